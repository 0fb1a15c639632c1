// How a node is put together.
#include "node/node.h"

#include <algorithm>

#include "base/log.h"
#include "base/wildcard.h"
#include "node/node_console.h"
#include "node/plumbing.h"

namespace selvage::node {
namespace {

std::uint64_t draw64(const NodeEnvironment& environment) {
    le64 out;
    environment.fill_random({reinterpret_cast<std::uint8_t*>(&out), sizeof(out)});
    return out;
}

SipKey draw_key(const NodeEnvironment& environment) {
    return {draw64(environment), draw64(environment)};
}

PeerId draw_peer_id(const NodeEnvironment& environment) {
    for (;;) {
        const PeerId id(static_cast<std::uint32_t>(draw64(environment)));
        if (id) return id;
    }
}

crypto::NonceSource make_nonces(const NodeEnvironment& environment) {
    std::array<std::uint8_t, 32> seed{};
    environment.fill_random(seed);
    crypto::NonceSource nonces(seed);
    crypto::wipe(seed);
    return nonces;
}

dataplane::PayloadCodec make_codec(
    const config::NodeOptions& options, const NodeEnvironment& environment
) {
    const auto algorithm =
        options.enable_encryption ? options.encryption_algorithm : crypto::CipherAlgorithm::none;
    auto cipher = crypto::PacketCipher::make(
        algorithm, options.network_secret, make_nonces(environment), environment.cipher_code
    );
    // Checked with the configuration; an OpenSSL without AES-GCM is a broken machine.
    return {std::move(cipher.value()), environment.pool, options.compress_data};
}

peer::PeerOptions peer_options(const config::NodeOptions& options, PeerId id) {
    return {
        .my_id = id,
        .network_name = options.network_name,
        .network_digest = crypto::network_digest(options.network_name, options.network_secret)
    };
}

route::RouteOptions route_options(
    const config::NodeOptions& options, PeerId id, const Uuid& instance, const std::string& name
) {
    route::RouteOptions out;
    out.self = id;
    out.network_name = options.network_name;
    out.own.hostname = name;
    out.own.ipv4 = options.addresses.ipv4;
    out.own.ipv6 = options.addresses.ipv6;
    out.own.instance = instance;
    if (options.routes) out.wide_networks_accepted = *options.routes;
    // As stock nodes do: who does not name its own network there would rather not relay for it.
    out.own.relays_data =
        !options.disable_relay_data &&
        matches_wildcard_list(options.relay_network_whitelist, options.network_name);
    return out;
}

ForeignNetworksOptions foreign_options(
    const config::NodeOptions& options, const std::string& name, bool relays_data
) {
    ForeignNetworksOptions out;
    out.network_name = options.network_name;
    out.network_digest = crypto::network_digest(options.network_name, options.network_secret);
    out.host_name = name;
    out.whitelist = options.relay_network_whitelist;
    out.relay_all_peer_rpc = options.relay_all_peer_rpc;
    out.private_mode = options.private_mode;
    out.relays_data = relays_data;
    out.bytes_per_second = options.foreign_relay_bps_limit;
    return out;
}

dataplane::DataplaneOptions dataplane_options(
    const config::NodeOptions& options, const NodeEnvironment& environment, PeerId id
) {
    return {
        .my_id = id,
        .addresses = options.addresses,
        .latency_first = options.latency_first,
        .exit_nodes = options.exit_nodes,
        .relays_data = !options.disable_relay_data,
        .hash_key = draw_key(environment)
    };
}

}  // namespace

Node::Node(config::NodeOptions options, NodeEnvironment environment)
    : options_(std::move(options)),
      environment_(std::move(environment)),
      log_(environment_.log.child(options_.instance_name)),
      my_id_(draw_peer_id(environment_)),
      instance_id_(options_.instance_id.value_or(
          Uuid::from_random(draw64(environment_), draw64(environment_))
      )),
      host_name_(config::clean_hostname(
          options_.hostname.empty() ? environment_.host_name : options_.hostname
      )),
      peer_plumbing_(std::make_unique<PeerPlumbing>(*this)),
      peers_(
          peer_options(options_, my_id_), environment_.runtime, environment_.pool, *peer_plumbing_,
          log_.child("peer")
      ),
      forwarder_(
          dataplane_options(options_, environment_, my_id_), make_codec(options_, environment_),
          environment_.runtime, peers_
      ),
      rpc_plumbing_(std::make_unique<RpcPlumbing>(*this)),
      rpc_(
          environment_.runtime, environment_.pool, *rpc_plumbing_, rpc_services_, my_id_, {},
          log_.child("rpc")
      ),
      routes_(
          environment_.runtime, rpc_, rpc_services_,
          route_options(options_, my_id_, instance_id_, host_name_), log_.child("route")
      ),
      foreign_(
          foreign_options(options_, host_name_, routes_.core().links().options().own.relays_data),
          environment_, routes_, forwarder_, log_.child("foreign")
      ),
      stack_(stack_options(), environment_.pool, {draw_key(environment_), draw_key(environment_)}),
      stack_plumbing_(std::make_unique<StackPlumbing>(*this)),
      overlay_(environment_.runtime, stack_, *stack_plumbing_),
      addresses_(forwarder_, overlay_, routes_, log_.child("address")),
      host_routes_(options_.routes, log_.child("route")),
      connect_options_{
          .peers = options_.peers,
          .listeners = options_.listeners,
          .enable_ipv6 = options_.enable_ipv6,
          .in_mesh = [this](const IpAddress& address) { return refuse_underlay(address); }
      },
      transports_(environment_.runtime, environment_.sockets, environment_.pool, {}, log_),
      listeners_(
          connect_options_, transports_, peers_,
          [this](const IpAddress& remote) { return refuse_underlay(remote); }, log_.child("listen")
      ),
      connectors_(connect_options_, transports_, peers_, log_.child("connect")),
      view_(mesh_facts(), forwarder_),
      dialer_(
          {.runtime = environment_.runtime,
           .pool = environment_.pool,
           .sockets = environment_.sockets,
           .overlay = overlay_,
           .routes = [this] { return routes_.table(); }}
      ),
      publisher_(
          environment_.runtime, forwarder_.claims(), overlay_,
          options_.addresses.any() || options_.dhcp,
          [this](packet::IpProtocol protocol, std::uint16_t port) {
              return host_listens(protocol, port);
          }
      ),
      host_ports_(environment_.runtime, environment_.pool, environment_.sockets),
      shells_(
          environment_.terminals == nullptr ? std::nullopt
                                            : std::optional<Shells>(*environment_.terminals)
      ),
      recordings_(
          environment_.record_files == nullptr
              ? std::nullopt
              : std::optional<Recordings>(*environment_.record_files)
      ),
      console_(std::make_unique<NodeConsole>(environment_.runtime, *this, environment_.log_tail)),
      services_(
          {.runtime = environment_.runtime,
           .log = log_.child("service"),
           .node = view_,
           .dialer = dialer_,
           .ports = publisher_,
           .host_listener = &host_ports_,
           .terminals = shells_ ? &*shells_ : nullptr,
           .recordings = recordings_ ? &*recordings_ : nullptr,
           .commands = console_.get()},
          options_.services
      ),
      forwards_(
          {.runtime = environment_.runtime,
           .log = log_.child("forward"),
           .node = view_,
           .dialer = dialer_,
           .ports = publisher_,
           .host_listener = host_ports_},
          options_.forwards
      ),
      directory_(
          environment_.runtime, rpc_, options_.network_name,
          [this](PeerId member) { return offers_to(member); }
      ),
      scope_(environment_.runtime, log_) {
    peers_.set_foreign_desk(foreign_);
    forwarder_.attach_foreign(foreign_);
    directory_.add_to(rpc_services_);
}

Node::~Node() = default;

void Node::apply_acl(const dataplane::AclRules& rules) {
    forwarder_.apply_acl(rules.duplicate());
    // Others believe our groups by what our record shows.
    route::OwnNode own = routes_.own();
    own.groups = forwarder_.acl().groups().claims(my_id_);
    routes_.set_own(std::move(own));
}

netstack::StackOptions Node::stack_options() {
    netstack::StackOptions out;
    out.mtu = static_cast<std::uint16_t>(options_.effective_mtu());
    out.ephemeral_first = dataplane::kStackPortFirst;
    out.ephemeral_last = dataplane::kStackPortLast;
    out.may_use_port = [this](packet::IpProtocol protocol, std::uint16_t port) {
        return !forwarder_.claims().has(static_cast<std::uint8_t>(protocol), port) &&
               !forwarder_.kernel_uses(protocol, port);
    };
    return out;
}

MeshView::Facts Node::mesh_facts() {
    return {
        .network = options_.network_name,
        .secret_proves_members = options_.enable_encryption && !options_.network_secret.empty(),
        .addresses = [this] { return addresses(); },
        .routes = [this] { return routes_.table(); },
        .listeners = [this] { return own_listeners(); },
        .host_addresses = environment_.host_addresses,
        .is_neighbour = [this](PeerId peer) { return peers_.has(peer); }
    };
}

std::vector<Offer> Node::offers_to(PeerId member) const {
    const auto routes = routes_.table();
    const route::RouteEntry* entry = routes->find(member);
    // A shared server passes calls on, and is no member.
    if (entry == nullptr || routes->is_public_server(member) || !routes->encrypt_rpc_to(member)) {
        return {};
    }
    const auto known = view_.member(member);
    if (!known) return {};
    std::vector<IpAddress> addresses;
    if (entry->record->ipv4) addresses.push_back(entry->record->ipv4->address);
    if (entry->record->ipv6) addresses.push_back(entry->record->ipv6->address);
    std::vector<Offer> out;
    for (edge::ServiceOffer& offer : services_.offers_to(*known, addresses))
        out.push_back({.service = std::move(offer.name), .port = offer.port, .protocol = "tcp"});
    return out;
}

const host::Tun* Node::tun_device() const {
    return tun_port_ ? &tun_port_->device() : nullptr;
}

std::string Node::device_name() const {
    return tun_port_ ? tun_port_->device().name() : "";
}

std::vector<Endpoint> Node::own_listeners() {
    std::vector<Endpoint> out;
    for (const tunnel::Url& url : listeners_.urls()) {
        if (auto address = IpAddress::parse(url.host)) out.push_back({*address, url.port});
    }
    // Services, forwards, and the ports of BIND and of UDP associations.
    for (const std::uint16_t port : forwarder_.claims().ports()) {
        for (const Prefix& own : addresses().list())
            out.push_back({own.address, port});
    }
    out.insert(out.end(), host_ports_.places().begin(), host_ports_.places().end());
    if (options_.rpc_portal) out.push_back(*options_.rpc_portal);
    return out;
}

bool Node::host_listens(packet::IpProtocol protocol, std::uint16_t port) const {
    if (!tun_port_) return false;
    // Where we listen for the host's programs we are in nobody's way.
    const bool ours = std::ranges::any_of(host_ports_.places(), [port](const Endpoint& at) {
        return at.port == port;
    });
    if (ours) return false;
    return std::ranges::any_of(addresses().list(), [&](const Prefix& own) {
        return environment_.host_listens(protocol, {own.address, port});
    });
}

bool Node::refuse_underlay(const IpAddress& remote) const {
    return !remote.is_loopback() && addresses().covers(remote);
}

void Node::on_device_lost(const Error& reason) {
    failure_ = reason.with("the TUN device is gone");
    environment_.on_failure();
}

}  // namespace selvage::node
