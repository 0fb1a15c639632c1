// Starting and stopping a node: a table of contents.
#include "node/node.h"
#include "node/plumbing.h"

namespace selvage::node {
namespace {

// Flows age and latencies are passed on in steps of this.
constexpr Duration kHousekeeping = std::chrono::seconds(1);

}  // namespace

rt::Task<Result<>> Node::start() {
    started_ = true;
    started_at_ = environment_.runtime.now();

    // Before the first packet.
    apply_acl(options_.acl);
    // Our address, and who takes what arrives for it.
    if (auto opened = open_device(); !opened) co_return opened;
    // Routes: from now on we have a table, with only ourselves in it.
    routes_.start();
    // Other networks that we serve, as soon as their clients come.
    foreign_.start();
    // Connections: accept, then dial.
    if (auto listening = listeners_.start(); !listening) co_return listening;
    connectors_.start();
    // Services at our address. One that cannot start is reported and does not stop the others.
    if (auto served = services_.start(); !served) {
        log_.error("a service did not start", "reason=\"{}\"", served.error().message());
    }
    // Forwards likewise.
    if (auto forwarded = forwards_.start(); !forwarded) {
        log_.error("a forward did not start", "reason=\"{}\"", forwarded.error().message());
    }
    scope_.spawn("follow routes", follow_routes());
    scope_.spawn("housekeeping", keep_house());
    if (options_.dhcp) scope_.spawn("choose address", choose_address());

    log_.info(
        "node up", "network=\"{}\" address={} peer_id={} hostname=\"{}\" device={}",
        printable(options_.network_name), addresses().to_string(), my_id_, printable(host_name_),
        tun_port_ ? device_name() : "none"
    );
    co_return Result<>{};
}

rt::Task<> Node::stop() {
    if (!std::exchange(started_, false)) co_return;
    co_await scope_.close();
    co_await forwards_.stop();
    co_await services_.stop();
    co_await directory_.close();
    co_await connectors_.close();
    co_await listeners_.close();
    co_await foreign_.stop();
    co_await routes_.stop();
    co_await rpc_.close();
    co_await peers_.close();
    co_await transports_.tasks.close();
    addresses_.set_device(nullptr);
    host_routes_.set_device(nullptr);
    tun_port_.reset();
    log_.info("node down");
}

Result<> Node::open_device() {
    dataplane::NicPort* nic = &null_port_;
    if (options_.wants_tun()) {
        if (environment_.tuns == nullptr) {
            return Error(Errc::unsupported, "no TUN devices on this system; use --no-tun");
        }
        auto tun =
            environment_.tuns->open({.name = options_.dev_name, .mtu = options_.effective_mtu()});
        if (!tun) return std::move(tun).error();
        tun_port_ = std::make_unique<dataplane::TunPort>(
            std::move(*tun), forwarder_, [this](const Error& reason) { on_device_lost(reason); },
            log_.child("tun")
        );
        nic = tun_port_.get();
        addresses_.set_device(&tun_port_->device());
        host_routes_.set_device(&tun_port_->device());
    }
    if (auto set = addresses_.change(options_.addresses); !set) return set;
    forwarder_.attach(*stack_plumbing_, *nic, *rpc_plumbing_);
    if (tun_port_) tun_port_->start();
    return {};
}

rt::Task<> Node::follow_routes() {
    for (auto before = routes_.table();;) {
        const auto table = routes_.table();
        forwarder_.set_routes(table);
        check_contested(*before, *table);
        before = table;
        co_await routes_.changed().wait();
    }
}

rt::Task<> Node::keep_house() {
    for (;;) {
        co_await rt::sleep_for(environment_.runtime, kHousekeeping);
        forwarder_.sweep();
        look_at_routes();
        for (const PeerId neighbour : peers_.neighbours()) {
            if (auto latency = peers_.latency(neighbour))
                routes_.neighbour_latency(neighbour, *latency);
        }
    }
}

}  // namespace selvage::node
