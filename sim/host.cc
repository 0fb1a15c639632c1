// The sockets of a simulated host.
#include "sim/host.h"

#include <algorithm>
#include <cassert>

#include "base/siphash.h"
#include "rt/memory_stream.h"

namespace selvage::sim {

// What a listener on a path and its acceptor share.
struct Host::UnixListener {
    static constexpr std::size_t kBacklog = 128;
    explicit UnixListener(rt::VirtualRuntime& loop) : changed(loop) {}
    rt::Event changed;
    std::deque<rt::StreamPtr> ready;  // at most kBacklog; connecting beyond it is refused
    bool closed = false;
};

class Host::UnixAcceptor final : public rt::Acceptor {
public:
    explicit UnixAcceptor(std::shared_ptr<UnixListener> state) : state_(std::move(state)) {}
    ~UnixAcceptor() override { close(); }
    rt::Task<Result<rt::StreamPtr>> accept() override {
        const auto state = state_;
        while (!state->closed && state->ready.empty())
            co_await state->changed.wait();
        if (state->closed) co_return Errc::closed;
        rt::StreamPtr stream = std::move(state->ready.front());
        state->ready.pop_front();
        co_return stream;
    }
    Endpoint local() const override { return {}; }
    void close() override {
        if (std::exchange(state_->closed, true)) return;
        state_->ready.clear();
        state_->changed.notify();
    }

private:
    std::shared_ptr<UnixListener> state_;
};

Host::Host(Parts parts, std::string name, const HostOptions& options)
    : parts_(parts),
      name_(std::move(name)),
      runtime_(parts.loop, siphash24({parts.seed, 2}, as_view(name_))),
      log_(parts.log.child(name_)),
      pool_(options.pool_blocks),
      tcp_(
          parts.loop, {.transmit = [this](Frame&& f) { parts_.network.send(name_, std::move(f)); },
                       .mtu = [this](const IpAddress& to) { return parts_.network.mtu(name_, to); }}
      ),
      udp_(
          parts.loop, pool_,
          {.transmit = [this](Frame&& f) { parts_.network.send(name_, std::move(f)); },
           .source = [this](const IpAddress& to) { return source_for(to); }}
      ),
      tun_(parts.loop, parts.trace, pool_, name_),
      random_(siphash24({parts.seed, 3}, as_view(name_))),
      tasks_(parts.loop, log_),
      terminals_(parts.loop, tasks_) {
    parts_.network.attach(*this);
    for (const IpAddress& address : options.addresses)
        add_address(address);
}

Host::~Host() {
    power_off();
}

IpAddress Host::address() const {
    const auto found = std::ranges::find_if(addresses_, &IpAddress::is_v4);
    assert(found != addresses_.end());
    return *found;
}

IpAddress Host::address6() const {
    const auto found = std::ranges::find_if(addresses_, &IpAddress::is_v6);
    assert(found != addresses_.end());
    return *found;
}

void Host::add_address(const IpAddress& address) {
    parts_.network.add_address(name_, address);
    addresses_.push_back(address);
}

void Host::remove_address(const IpAddress& address) {
    parts_.network.remove_address(address);
    std::erase(addresses_, address);
}

void Host::power_off() {
    on_ = false;
    tcp_.vanish();
    udp_.vanish();
    tun_.destroy_device();
    for (const auto& [path, listener] : std::exchange(unix_, {})) {
        if (const auto state = listener.lock()) {
            state->closed = true;
            state->ready.clear();
            state->changed.notify();
        }
    }
}

void Host::fill_random(MutableByteView out) {
    for (std::uint8_t& byte : out)
        byte = static_cast<std::uint8_t>(random_.next() >> 56);
}

void Host::reset_sockets() {
    tcp_.reset_all();
    udp_.vanish();
}

void Host::on_frame(Frame&& frame) {
    if (frame.kind == FrameKind::datagram) {
        udp_.on_frame(std::move(frame));
    } else {
        tcp_.on_frame(std::move(frame));
    }
}

bool Host::owns(const IpAddress& address) const {
    return address.is_unspecified() || address.is_loopback() ||
           std::ranges::find(addresses_, address) != addresses_.end();
}

std::optional<IpAddress> Host::source_for(const IpAddress& remote) const {
    if (remote.is_loopback() || std::ranges::find(addresses_, remote) != addresses_.end()) {
        return remote;
    }
    for (const IpAddress& own : addresses_) {
        if (own.is_v4() == remote.is_v4()) return own;
    }
    return std::nullopt;
}

Result<Endpoint> Host::bind(Endpoint local, Use use) {
    if (!on_) return Errc::closed;
    if (!owns(local.address)) {
        return Error(
            Errc::bad_argument, fmt::format("{} is not an address of this host", local.address)
        );
    }
    const auto taken = [&] {
        if (use == Use::udp) return udp_.port_taken(local);
        return use == Use::tcp_reusing ? tcp_.has_listener(local) : tcp_.port_taken(local);
    };
    if (local.port != 0) {
        if (taken()) return Error(Errc::in_use, fmt::format("{} is in use", local));
        return local;
    }
    for (unsigned tries = 0; tries < 30000; ++tries) {
        local.port = next_port();
        if (!taken()) return local;
    }
    return Error(Errc::limit, "no free port");
}

rt::Task<Result<rt::StreamPtr>> Host::connect_tcp(Endpoint remote) {
    remote.address = remote.address.unmapped();
    const auto source = source_for(remote.address);
    if (!on_ || !source) co_return Errc::unreachable;
    const auto local = bind({*source, 0}, Use::tcp);
    if (!local) co_return local.error();
    // Ends the attempt when the caller is cancelled.
    struct Attempt {
        std::shared_ptr<TcpConn> conn;
        ~Attempt() {
            if (conn) conn->release();
        }
    } attempt{tcp_.connect(*local, remote)};
    while (!attempt.conn->open() && !attempt.conn->failure())
        co_await attempt.conn->changed().wait();
    if (attempt.conn->failure()) co_return *attempt.conn->failure();
    co_return make_tcp_stream(std::move(attempt.conn));
}

Result<rt::AcceptorPtr> Host::listen_tcp(Endpoint local, host::TcpListenOptions options) {
    auto bound = bind(local, options.reuse_address ? Use::tcp_reusing : Use::tcp);
    if (!bound) return std::move(bound).error();
    return tcp_.listen(*bound, options.v6_only);
}

Result<host::UdpSocketPtr> Host::open_udp(Endpoint local, host::UdpOptions options) {
    auto bound = bind(local, Use::udp);
    if (!bound) return std::move(bound).error();
    return udp_.open(*bound, options);
}

rt::Task<Result<std::vector<IpAddress>>> Host::resolve(std::string name) {
    if (const auto literal = IpAddress::parse(name)) co_return std::vector{*literal};
    if (name == "localhost") co_return std::vector{IpAddress::v4(127, 0, 0, 1)};
    const Network::Name* found = parts_.network.find_name(name);
    // Copied: the table may change while the answer is on its way.
    const Network::Name answer = found ? *found : Network::Name{.failure = Errc::not_found};
    co_await rt::sleep_for(parts_.loop, answer.delay);
    if (!on_) co_return Errc::closed;
    if (answer.failure) co_return Error(*answer.failure, fmt::format("resolve {}", name));
    co_return answer.addresses;
}

rt::Task<Result<rt::StreamPtr>> Host::connect_unix(std::string path) {
    const auto found = unix_.find(path);
    if (found == unix_.end()) co_return Error(Errc::not_found, path);
    const auto listener = found->second.lock();
    if (!listener || listener->closed) co_return Error(Errc::refused, path);
    if (listener->ready.size() >= UnixListener::kBacklog) co_return Error(Errc::refused, path);
    auto [ours, theirs] = rt::make_stream_pair(parts_.loop);
    listener->ready.push_back(std::move(theirs));
    listener->changed.notify();
    co_return std::move(ours);
}

Result<rt::AcceptorPtr> Host::listen_unix(std::string path) {
    if (!on_) return Errc::closed;
    if (const auto old = unix_[path].lock(); old && !old->closed) return Error(Errc::in_use, path);
    auto listener = std::make_shared<UnixListener>(parts_.loop);
    unix_[path] = listener;
    return rt::AcceptorPtr(std::make_unique<UnixAcceptor>(std::move(listener)));
}

}  // namespace selvage::sim
