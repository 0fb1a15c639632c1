// A simulated machine: addresses, sockets, a TUN device, a clock's view and a power switch.
//
//   auto& a = world.add_host("a");
//   auto stream = co_await a.connect_tcp({b.address(), 80});
//
// Implements host::Sockets with what a program on the machine can observe: connections that are
// refused, reset, or time out in silence; back-pressure; datagrams that are lost; names that
// resolve late, or not.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "host/sockets.h"
#include "rt/scope.h"
#include "sim/network.h"
#include "sim/runtime.h"
#include "sim/tcp_layer.h"
#include "sim/terminal.h"
#include "sim/tun.h"
#include "sim/udp_layer.h"

namespace selvage::sim {

struct HostOptions {
    // Empty: one IPv4 and one IPv6 address, given by the world.
    std::vector<IpAddress> addresses;
    std::size_t pool_blocks = packet::PacketPool::kDefaultBlocks;
};

class Host final : public host::Sockets, private NetworkPort {
public:
    // What a host needs of its world.
    struct Parts {
        rt::VirtualRuntime& loop;
        Network& network;
        Trace& trace;
        std::uint64_t seed;
        Log log;
    };
    Host(Parts parts, std::string name, const HostOptions& options);
    ~Host() override;

    const std::string& name() const override { return name_; }
    const std::vector<IpAddress>& addresses() const { return addresses_; }
    IpAddress address() const;   // the first IPv4 address
    IpAddress address6() const;  // the first IPv6 address
    void add_address(const IpAddress& address);
    void remove_address(const IpAddress& address);

    HostRuntime& runtime() { return runtime_; }
    TunLayer& tun() { return tun_; }
    Terminals& terminals() { return terminals_; }
    packet::PacketPool& pool() { return pool_; }
    // Repeatable, from a stream of its own: what a node gets as its source of ids and nonces.
    void fill_random(MutableByteView out);
    const Log& log() const { return log_; }
    // For the programs of a test that run on this host; the world cancels them at its end.
    rt::TaskScope& tasks() { return tasks_; }

    // Power lost: every socket vanishes without a word, frames that arrive are lost. Processes are
    // the test's: end them after this, and nothing they say gets out any more.
    void power_off();
    void power_on() { on_ = true; }
    bool is_on() const override { return on_; }
    // The processes die but the kernel lives: connections are reset, sockets closed.
    void reset_sockets();
    std::size_t tcp_connections() const { return tcp_.connection_count(); }
    std::size_t udp_sockets() const { return udp_.socket_count(); }
    std::uint64_t udp_dropped() const { return udp_.dropped(); }

    // host::Sockets
    rt::Task<Result<rt::StreamPtr>> connect_tcp(Endpoint remote) override;
    Result<rt::AcceptorPtr> listen_tcp(Endpoint local, host::TcpListenOptions options) override;
    Result<host::UdpSocketPtr> open_udp(Endpoint local, host::UdpOptions options) override;
    rt::Task<Result<std::vector<IpAddress>>> resolve(std::string name) override;
    rt::Task<Result<rt::StreamPtr>> connect_unix(std::string path) override;
    Result<rt::AcceptorPtr> listen_unix(std::string path) override;

private:
    struct UnixListener;
    class UnixAcceptor;

    void on_frame(Frame&& frame) override;
    bool owns(const IpAddress& address) const;
    std::optional<IpAddress> source_for(const IpAddress& remote) const;
    // Fails when the address is not ours or the port is taken; fills in a free port for 0.
    enum class Use : std::uint8_t { tcp, tcp_reusing, udp };
    Result<Endpoint> bind(Endpoint local, Use use);
    std::uint16_t next_port() { return next_port_ == 60999 ? next_port_ = 32768 : ++next_port_; }

    Parts parts_;
    std::string name_;
    std::vector<IpAddress> addresses_;
    bool on_ = true;
    HostRuntime runtime_;
    Log log_;
    packet::PacketPool pool_;
    TcpLayer tcp_;
    UdpLayer udp_;
    TunLayer tun_;
    std::map<std::string, std::weak_ptr<UnixListener>> unix_;
    std::uint16_t next_port_ = 32767;
    rt::Rng random_;
    rt::TaskScope tasks_;
    Terminals terminals_;
};

}  // namespace selvage::sim
