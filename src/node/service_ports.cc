// Adapters between edge and the modules of the mesh and of the host.
#include "node/service_ports.h"

#include <algorithm>

#include "gateway/published_port.h"
#include "node/datagrams.h"

namespace selvage::node {
namespace {

// Services add their own, shorter limits; this one ends what they forgot.
constexpr Duration kDialLimit = std::chrono::seconds(30);

// Of random ports that are tried where any will do.
constexpr int kPortAttempts = 16;

Error no_address() {
    return {Errc::bad_argument, "this node has no virtual address; set ipv4 (-i), ipv6 or dhcp"};
}

class HostTerminal final : public edge::Terminal {
public:
    explicit HostTerminal(host::TerminalPtr inner) : inner_(std::move(inner)) {}
    rt::Stream& stream() override { return inner_->stream(); }
    void resize(edge::TerminalSize size) override {
        inner_->resize({.columns = size.columns, .rows = size.rows});
    }
    void interrupt() override { inner_->interrupt(); }
    rt::Task<int> wait() override { return inner_->wait(); }

private:
    host::TerminalPtr inner_;
};

class HostRecording final : public edge::RecordingFile {
public:
    explicit HostRecording(std::unique_ptr<host::RecordFile> inner) : inner_(std::move(inner)) {}
    void append(std::string text) override { inner_->append(std::move(text)); }
    rt::Task<> room() override { return inner_->room(); }
    bool failed() const override { return inner_->failed(); }

private:
    std::unique_ptr<host::RecordFile> inner_;
};

}  // namespace

std::optional<edge::MemberInfo> MeshView::who_is(const Endpoint& remote, const Endpoint& local)
    const {
    constexpr auto kTcp = static_cast<std::uint8_t>(packet::IpProtocol::tcp);
    return member(forwarder_.peer_of_flow(kTcp, local, remote));
}

std::optional<edge::MemberInfo> MeshView::member_at(const IpAddress& address) const {
    return member(facts_.routes()->peer_for(address).value_or(PeerId{}));
}

std::optional<edge::MemberInfo> MeshView::member(PeerId peer) const {
    if (!peer) return std::nullopt;
    const auto routes = facts_.routes();
    const route::RouteEntry* entry = routes->find(peer);
    if (entry == nullptr) return std::nullopt;
    return edge::MemberInfo{
        .peer = peer,
        .host_name = entry->record->hostname,
        .instance = entry->record->instance.value_or(Uuid{}),
        .network = facts_.network,
        .virtual_address =
            entry->record->ipv4 ? std::optional(entry->record->ipv4->address) : std::nullopt,
        .auth =
            facts_.secret_proves_members ? edge::AuthLevel::network_secret : edge::AuthLevel::none,
        .path = facts_.is_neighbour(peer) ? edge::PathKind::direct : edge::PathKind::relayed
    };
}

std::vector<IpAddress> MeshView::own_addresses() const {
    std::vector<IpAddress> out = facts_.host_addresses();
    for (const Prefix& own : facts_.addresses().list())
        out.push_back(own.address);
    return out;
}

bool MeshView::in_mesh(const IpAddress& address) const {
    if (facts_.addresses().covers(address)) return true;
    return facts_.routes()->peer_for(address).has_value();
}

rt::Task<Result<rt::StreamPtr>> ServiceDialer::dial_mesh(Endpoint to) {
    return parts_.overlay.dial_tcp(to, kDialLimit);
}

rt::Task<Result<rt::StreamPtr>> ServiceDialer::dial_host(Endpoint to) {
    return parts_.sockets.connect_tcp(to);
}

rt::Task<Result<std::vector<IpAddress>>> ServiceDialer::resolve(std::string name) {
    // Host names of the mesh first: a resolver outside cannot know them, and must not be able to
    // send a caller elsewhere.
    // Only names without a dot: a member that calls itself "www.example.com" must not become it.
    std::vector<IpAddress> members;
    const bool may_be_member = name.find('.') == std::string::npos;
    const auto routes = parts_.routes();
    for (const route::RouteEntry& entry : routes->entries()) {
        const route::PeerRecord& record = *entry.record;
        if (!may_be_member || record.hostname != name) continue;
        if (record.ipv4) members.push_back(record.ipv4->address);
        if (record.ipv6) members.push_back(record.ipv6->address);
    }
    // The family that everybody has first.
    std::ranges::sort(members, {}, [](const IpAddress& a) { return std::pair(a.is_v6(), a); });
    if (!members.empty()) co_return members;
    co_return co_await parts_.sockets.resolve(std::move(name));
}

Result<edge::DatagramSocketPtr> ServiceDialer::open_mesh_datagrams() {
    if (parts_.overlay.stack().addresses().empty()) return no_address();
    // No claim: only answers to what it sends are for it.
    auto socket = parts_.overlay.open_udp(0);
    if (!socket) return std::move(socket).error();
    return std::make_unique<MeshDatagrams>(std::move(*socket), dataplane::Claim());
}

Result<edge::DatagramSocketPtr> ServiceDialer::open_host_datagrams(const IpAddress& to) {
    const IpAddress any = to.is_v4() ? IpAddress::v4(0) : IpAddress::v6({});
    return HostDatagrams::open(parts_.runtime, parts_.pool, parts_.sockets, {any, 0});
}

Result<> MeshPublisher::check(packet::IpProtocol protocol, edge::PortRequest request) const {
    if (!has_address_) return no_address();
    if (request.shadow_host || request.port == 0 || !host_listens_(protocol, request.port)) {
        return {};
    }
    return Error(
        Errc::in_use,
        "a program of this host listens there and keeps it; `shadow_host = true` takes it"
    );
}

Result<rt::AcceptorPtr> MeshPublisher::publish(edge::PortRequest request) {
    if (auto good = check(packet::IpProtocol::tcp, request); !good) return std::move(good).error();
    if (request.port != 0) return gateway::publish_tcp_port(claims_, overlay_, request.port);
    constexpr std::uint32_t kRange = dataplane::kStackPortLast - dataplane::kStackPortFirst + 1;
    Result<rt::AcceptorPtr> last = Errc::in_use;
    for (int attempt = 0; attempt < kPortAttempts && !last; ++attempt) {
        const auto chosen =
            static_cast<std::uint16_t>(dataplane::kStackPortFirst + runtime_.rng().below(kRange));
        if (!host_listens(chosen)) last = gateway::publish_tcp_port(claims_, overlay_, chosen);
    }
    return last;
}

Result<edge::DatagramSocketPtr> MeshPublisher::publish_datagrams(edge::PortRequest request) {
    if (auto good = check(packet::IpProtocol::udp, request); !good) return std::move(good).error();
    auto published = gateway::publish_udp_port(claims_, overlay_, request.port);
    if (!published) return std::move(published).error();
    return std::make_unique<MeshDatagrams>(
        std::move(published->socket), std::move(published->claim)
    );
}

namespace {

// Takes its place from the list when it goes.
class Listed {
public:
    Listed(std::shared_ptr<HostPorts::Places> places, const Endpoint& at)
        : places_(std::move(places)), at_(places_->insert(at)) {}
    Listed(const Listed&) = delete;
    Listed& operator=(const Listed&) = delete;
    ~Listed() { places_->erase(at_); }

private:
    std::shared_ptr<HostPorts::Places> places_;
    HostPorts::Places::iterator at_;
};

class ListedAcceptor final : public rt::Acceptor {
public:
    ListedAcceptor(std::shared_ptr<HostPorts::Places> places, rt::AcceptorPtr inner)
        : listed_(std::move(places), inner->local()), inner_(std::move(inner)) {}
    rt::Task<Result<rt::StreamPtr>> accept() override { return inner_->accept(); }
    Endpoint local() const override { return inner_->local(); }
    void close() override { inner_->close(); }

private:
    Listed listed_;
    rt::AcceptorPtr inner_;
};

class ListedDatagrams final : public edge::DatagramSocket {
public:
    ListedDatagrams(std::shared_ptr<HostPorts::Places> places, edge::DatagramSocketPtr inner)
        : listed_(std::move(places), inner->local()), inner_(std::move(inner)) {}
    rt::Task<Result<Received>> receive(MutableByteView buffer) override {
        return inner_->receive(buffer);
    }
    rt::Task<Result<>> send(Endpoint to, ByteView bytes) override {
        return inner_->send(to, bytes);
    }
    Endpoint local() const override { return inner_->local(); }
    void close() override { inner_->close(); }

private:
    Listed listed_;
    edge::DatagramSocketPtr inner_;
};

}  // namespace

Result<rt::AcceptorPtr> HostPorts::listen(Endpoint at) {
    auto opened = sockets_.listen_tcp(at, {});
    if (!opened) return std::move(opened).error();
    return std::make_unique<ListedAcceptor>(places_, std::move(*opened));
}

Result<edge::DatagramSocketPtr> HostPorts::listen_datagrams(Endpoint at) {
    auto opened = HostDatagrams::open(runtime_, pool_, sockets_, at);
    if (!opened) return std::move(opened).error();
    return std::make_unique<ListedDatagrams>(places_, std::move(*opened));
}

rt::Task<Result<edge::OpenedRecording>> Recordings::create(std::string folder, std::string name) {
    auto opened = co_await files_.create(std::move(folder), std::move(name));
    if (!opened) co_return std::move(opened).error();
    co_return edge::OpenedRecording{
        .file = std::make_unique<HostRecording>(std::move(opened->file)), .used = opened->used
    };
}

rt::Task<Result<std::unique_ptr<edge::Terminal>>> Shells::open(edge::TerminalRequest request) {
    host::TerminalCommand command{
        .account = std::move(request.account.account),
        .program = std::move(request.account.shell),
        .term = std::move(request.term),
        .size = {.columns = request.size.columns, .rows = request.size.rows},
        .allow_root = request.account.allow_root
    };
    auto terminal = co_await factory_.open(std::move(command));
    if (!terminal) co_return std::move(terminal).error();
    co_return std::make_unique<HostTerminal>(std::move(*terminal));
}

}  // namespace selvage::node
