// Accepting, dialling and passing on for the configured forwards.
#include "edge/forward.h"

#include <array>
#include <cassert>

#include "edge/http_head.h"
#include "edge/relay.h"
#include "rt/with_timeout.h"

namespace selvage::edge {
namespace {

constexpr Duration kDialLimit = std::chrono::seconds(10);
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);
constexpr Duration kUdpIdle = std::chrono::seconds(60);
// Connections, or senders of datagrams, of one forward; those beyond are refused.
constexpr std::size_t kLiveMax = 512;
// Of one member of the mesh.
constexpr std::size_t kLivePerPeer = 128;
// Datagrams of one sender that wait until its target is known; later ones are lost.
constexpr std::size_t kPendingMax = 4;
constexpr std::size_t kDatagramMax = 65'535;

// "HOST:PORT", as the authority of a URL is written.
std::optional<Destination> read_target(OptionReader& in, std::string_view key) {
    auto to = parse_authority(in.text(key, ""), std::nullopt);
    if (!to) in.problem(key, "must be HOST:PORT, as \"127.0.0.1:80\"");
    return to;
}

std::optional<ForwardOptions> read_forward(OptionReader& in) {
    ForwardOptions out;
    out.from = in.word("from", "mesh", {"mesh", "host"}) == "mesh" ? Origin::mesh : Origin::host;
    out.udp = in.word("proto", "tcp", {"tcp", "udp"}) == "udp";
    out.allow = AllowList::read(in, "allow");
    out.shadow_host = in.boolean("shadow_host", false);
    out.proxy_protocol = in.boolean("proxy_protocol", false);
    if (out.proxy_protocol && out.udp) in.problem("proxy_protocol", "is for tcp only");
    const auto to = read_target(in, "to");
    const std::string listen = in.text("listen", "");
    bool good = to.has_value();
    if (out.from == Origin::mesh) {
        auto port = PortRange::parse(listen);
        if (!port || port->first != port->last || port->first == 0) {
            in.problem("listen", "must be a port of the virtual address, as \"8080\"");
            good = false;
        } else {
            out.listen.port = port->first;
        }
        if (out.allow.empty()) {
            in.problem("allow", "nobody could use it: name who may, for example [\"any-member\"]");
        }
    } else if (auto at = Endpoint::parse(listen); at && at->port != 0) {
        out.listen = *at;
    } else {
        in.problem("listen", "must be an address of the host, as \"127.0.0.1:8080\"");
        good = false;
    }
    in.finish();
    if (!good) return std::nullopt;
    out.to = *to;
    return out;
}

std::optional<ForwardOptions> read_port_forward(OptionReader& in) {
    ForwardOptions out;
    out.open_to_all = true;
    const std::string proto = in.text("proto", "");
    out.udp = proto == "udp" || proto == "UDP";
    if (!out.udp && proto != "tcp" && proto != "TCP") in.problem("proto", "must be tcp or udp");
    auto bind = Endpoint::parse(in.text("bind_addr", ""));
    if (!bind || bind->port == 0) in.problem("bind_addr", "must be ADDRESS:PORT");
    auto to = Endpoint::parse(in.text("dst_addr", ""));
    if (!to || to->port == 0) in.problem("dst_addr", "must be ADDRESS:PORT");
    in.finish();
    if (!bind || !to) return std::nullopt;
    out.listen = *bind;
    out.to = {.name = {}, .address = to->address, .port = to->port};
    return out;
}

}  // namespace

std::vector<ForwardOptions> read_forwards(OptionReader& document) {
    std::vector<ForwardOptions> out;
    for (const auto& [table, at] : document.tables("forward")) {
        OptionReader in(*table, document.path_of("forward"), at, document.problems());
        if (auto forward = read_forward(in)) out.push_back(std::move(*forward));
    }
    for (const auto& [table, at] : document.tables("port_forward")) {
        OptionReader in(*table, document.path_of("port_forward"), at, document.problems());
        if (auto forward = read_port_forward(in)) out.push_back(std::move(*forward));
    }
    return out;
}

Bytes build_proxy_header(const Endpoint& from, const Endpoint& to) {
    Bytes out{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
    const IpAddress source = from.address.unmapped();
    const IpAddress destination = to.address.unmapped();
    const auto add = [&out](ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); };
    const auto add16 = [&add](std::uint16_t value) { add(as_bytes_of(be16(value))); };
    // Two families in one connection cannot be told: then "LOCAL" says only that we are a proxy.
    if (source.is_v4() != destination.is_v4()) {
        add(std::array<std::uint8_t, 4>{0x20, 0x00, 0x00, 0x00});
        return out;
    }
    out.push_back(0x21);                          // version 2, PROXY
    out.push_back(source.is_v4() ? 0x11 : 0x21);  // the family, over TCP
    add16(source.is_v4() ? 12 : 36);
    add(source.bytes());
    add(destination.bytes());
    add16(from.port);
    add16(to.port);
    return out;
}

struct Forwards::Running {
    struct Flow {
        // Null while the target is looked up. Shared with a datagram that is being sent.
        std::shared_ptr<DatagramSocket> far;
        Endpoint target;
        TimePoint last_active;
        std::vector<Bytes> pending;  // at most kPendingMax
    };
    ForwardInfo info;
    std::map<PeerId, std::size_t> live_of;  // of members of the mesh
    rt::Acceptor* acceptor = nullptr;       // owned by its accept loop, valid until we close it
    DatagramSocketPtr near;
    std::map<Endpoint, Flow> flows;  // at most kLiveMax
};

// One connection's or sender's share of the limits.
class Forwards::Place {
public:
    Place(Running& forward, PeerId peer) : forward_(&forward), peer_(peer) {
        ++forward.info.live;
        if (peer_) ++forward.live_of[peer_];
    }
    Place(Place&& other) noexcept
        : forward_(std::exchange(other.forward_, nullptr)), peer_(other.peer_) {}
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    Place& operator=(Place&&) = delete;
    ~Place() {
        if (forward_ == nullptr) return;
        --forward_->info.live;
        if (!peer_) return;
        const auto mine = forward_->live_of.find(peer_);
        if (--mine->second == 0) forward_->live_of.erase(mine);
    }
    Running& forward() const { return *forward_; }

private:
    Running* forward_;
    PeerId peer_;
};

Forwards::Forwards(Parts parts, std::vector<ForwardOptions> options)
    : parts_(std::move(parts)), scope_(parts_.runtime, parts_.log) {
    for (ForwardOptions& each : options) {
        auto running = std::make_unique<Running>();
        running->info.options = std::move(each);
        running_.push_back(std::move(running));
    }
}

Forwards::~Forwards() {
    assert(scope_.empty());
}

Result<> Forwards::start() {
    Result<> first;
    for (auto& forward : running_) {
        auto started = start_one(*forward);
        if (started) continue;
        forward->info.error = started.error().message();
        parts_.log.error("forward did not start", "reason=\"{}\"", forward->info.error);
        if (first) first = std::move(started);
    }
    return first;
}

Result<> Forwards::start_one(Running& forward) {
    const ForwardOptions& options = forward.info.options;
    const bool mesh = options.from == Origin::mesh;
    const PortRequest request{.port = options.listen.port, .shadow_host = options.shadow_host};
    const std::string what =
        fmt::format("forward {} to {}", options.listen.port, options.to.to_string());
    if (options.udp) {
        auto opened = mesh ? parts_.ports.publish_datagrams(request)
                           : parts_.host_listener.listen_datagrams(options.listen);
        if (!opened) return std::move(opened).error().with(what);
        forward.near = std::move(*opened);
        scope_.spawn(what, receive_loop(forward));
    } else {
        auto opened =
            mesh ? parts_.ports.publish(request) : parts_.host_listener.listen(options.listen);
        if (!opened) return std::move(opened).error().with(what);
        forward.acceptor = opened->get();
        scope_.spawn(what, accept_loop(forward, std::move(*opened)));
    }
    parts_.log.info(
        "forward started", "port={} to={}", options.listen.port, options.to.to_string()
    );
    return {};
}

rt::Task<> Forwards::stop() {
    for (auto& forward : running_) {
        if (forward->acceptor != nullptr) std::exchange(forward->acceptor, nullptr)->close();
        if (forward->near) forward->near->close();
    }
    co_await scope_.close();
    for (auto& forward : running_)
        forward->near.reset();
}

std::vector<ForwardInfo> Forwards::list() const {
    std::vector<ForwardInfo> out;
    for (const auto& forward : running_)
        out.push_back(forward->info);
    return out;
}

std::optional<PeerId> Forwards::admit(
    const Running& forward, const Endpoint& remote, const Endpoint& local
) const {
    const ForwardOptions& options = forward.info.options;
    if (forward.info.live >= kLiveMax) return std::nullopt;
    if (options.open_to_all) return PeerId{};
    Caller caller;
    caller.origin = options.from;
    caller.address = remote;
    caller.local = local;
    if (options.from == Origin::host) {
        const bool loopback = remote.address.unmapped().is_loopback();
        const bool mine = loopback && options.listen.address.unmapped().is_loopback();
        return mine || options.allow.matches(caller) ? std::optional(PeerId{}) : std::nullopt;
    }
    const auto member =
        options.udp ? parts_.node.member_at(remote.address) : parts_.node.who_is(remote, local);
    if (!member) return std::nullopt;
    caller.peer = member->peer;
    caller.host_name = member->host_name;
    const auto live = forward.live_of.find(member->peer);
    if (live != forward.live_of.end() && live->second >= kLivePerPeer) return std::nullopt;
    return options.allow.matches(caller) ? std::optional(member->peer) : std::nullopt;
}

rt::Task<> Forwards::accept_loop(Running& forward, rt::AcceptorPtr acceptor) {
    for (;;) {
        auto stream = co_await acceptor->accept();
        if (!stream) {
            if (stream.error().is(Errc::closed)) co_return;
            co_await rt::sleep_for(parts_.runtime, kAcceptPause);
            continue;
        }
        const auto peer = admit(forward, (*stream)->remote(), (*stream)->local());
        if (!peer) {
            ++forward.info.refused;
            (*stream)->reset();
            continue;
        }
        ++forward.info.accepted;
        const std::string name = fmt::format("forward {}", (*stream)->remote());
        scope_.spawn(name, run_stream(Place(forward, *peer), std::move(*stream)));
    }
}

rt::Task<> Forwards::run_stream(Place place, rt::StreamPtr stream) {
    Running& forward = place.forward();
    auto far = co_await rt::with_timeout(parts_.runtime, kDialLimit, dial(forward.info.options.to));
    if (far && forward.info.options.proxy_protocol) {
        const Bytes header = build_proxy_header(stream->remote(), stream->local());
        auto told = co_await (*far)->write_all(header);
        if (!told) far = std::move(told).error();
    }
    if (!far) {
        ++forward.info.failed;
        parts_.log.debug("forward failed", "reason=\"{}\"", far.error().message());
        stream->reset();
        co_return;
    }
    auto done = co_await relay(parts_.runtime, *stream, **far, kHalfClosedLimit);
    if (!done) parts_.log.debug("forward ended", "reason=\"{}\"", done.error().message());
}

rt::Task<Result<Endpoint>> Forwards::find_target(Destination to) {
    if (to.name.empty()) co_return Endpoint{to.address, to.port};
    auto found = co_await parts_.dialer.resolve(to.name);
    if (!found) co_return found.error();
    co_return Endpoint{found->front(), to.port};
}

rt::Task<Result<rt::StreamPtr>> Forwards::dial(Destination to) {
    auto target = co_await find_target(std::move(to));
    if (!target) co_return target.error();
    if (parts_.node.in_mesh(target->address)) co_return co_await parts_.dialer.dial_mesh(*target);
    co_return co_await parts_.dialer.dial_host(*target);
}

rt::Task<> Forwards::receive_loop(Running& forward) {
    Bytes buffer(kDatagramMax);
    for (;;) {
        auto got = co_await forward.near->receive(buffer);
        if (!got) co_return;
        const ByteView datagram = ByteView(buffer).first(got->size);
        auto flow = forward.flows.find(got->from);
        if (flow == forward.flows.end()) {
            const auto peer = admit(forward, got->from, forward.near->local());
            if (!peer) {
                ++forward.info.refused;
                continue;
            }
            flow = forward.flows.emplace(got->from, Running::Flow()).first;
            const std::string name = fmt::format("forward {}", got->from);
            flow->second.pending.emplace_back(datagram.begin(), datagram.end());
            scope_.spawn(name, run_flow(Place(forward, *peer), got->from));
            continue;
        }
        if (flow->second.far == nullptr) {
            std::vector<Bytes>& pending = flow->second.pending;
            if (pending.size() < kPendingMax)
                pending.emplace_back(datagram.begin(), datagram.end());
            continue;
        }
        flow->second.last_active = parts_.runtime.now();
        const Endpoint target = flow->second.target;
        const std::shared_ptr<DatagramSocket> far = flow->second.far;
        static_cast<void>(co_await far->send(target, datagram));
    }
}

Result<DatagramSocketPtr> Forwards::open_far(const Endpoint& target) {
    if (parts_.node.in_mesh(target.address)) return parts_.dialer.open_mesh_datagrams();
    return parts_.dialer.open_host_datagrams(target.address);
}

// One sender: looks the target up, opens the way there, and carries the answers back.
rt::Task<> Forwards::run_flow(Place place, Endpoint client) {
    Running& forward = place.forward();
    // The flow goes with this coroutine, however that ends.
    struct Entry {
        Running& forward;
        Endpoint client;
        ~Entry() { forward.flows.erase(client); }
    } const entry{forward, client};
    auto target =
        co_await rt::with_timeout(parts_.runtime, kDialLimit, find_target(forward.info.options.to));
    Result<DatagramSocketPtr> far = Errc::unreachable;
    if (target) far = open_far(*target);
    if (!far) {
        ++forward.info.failed;
        co_return;
    }
    ++forward.info.accepted;
    Running::Flow& flow = forward.flows.at(client);
    flow.far = std::move(*far);
    flow.target = *target;
    flow.last_active = parts_.runtime.now();
    for (const Bytes& datagram : std::exchange(flow.pending, {}))
        static_cast<void>(co_await flow.far->send(*target, datagram));
    Bytes buffer(kDatagramMax);
    for (;;) {
        auto got = co_await rt::with_timeout(parts_.runtime, kUdpIdle, flow.far->receive(buffer));
        if (!got) {
            const bool idle = parts_.runtime.now() - flow.last_active >= kUdpIdle;
            if (!got.error().is(Errc::timed_out) || idle) co_return;
            continue;
        }
        const Endpoint from{got->from.address.unmapped(), got->from.port};
        if (from != *target) continue;  // a stranger
        flow.last_active = parts_.runtime.now();
        static_cast<void>(co_await forward.near->send(client, ByteView(buffer).first(got->size)));
    }
}

}  // namespace selvage::edge
