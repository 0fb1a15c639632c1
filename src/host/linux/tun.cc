// The kernel's TUN device. It lives as long as its descriptor; addresses and routes go with it.
// A device that an administrator made to stay (`ip tuntap add`) outlives us: from it we remove what
// we added, and at the start what an earlier run could not.
//
// One packet per read and write for now, up to 64 a turn. When the pool is empty nothing is read
// until blocks come back, so that the device's own queue holds or loses the packets.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstring>

#include "host/linux/host.h"
#include "host/linux/netlink.h"
#include "packet/peer_header.h"
#include "rt/timers.h"

namespace selvage::host {

namespace asio = boost::asio;
using packet::PacketBatch;
using packet::PacketBuf;
using packet::PacketPool;

namespace {

constexpr const char* kDevice = "/dev/net/tun";
constexpr const char* kWithout = "; without a TUN device: --no-tun";
// IPv4 promises 576 bytes to everybody; above, a sealed packet must fit a tcp frame.
constexpr unsigned kMtuMin = 576;
constexpr unsigned kMtuMax =
    packet::kPeerPacketMax - sizeof(packet::PeerHeader) - packet::kTailroom;
constexpr Duration kPoolRetry = 2ms;

class TunCore : public std::enable_shared_from_this<TunCore> {
public:
    TunCore(rt::Runtime& runtime, PacketPool& pool, Fd fd)
        : runtime_(runtime),
          pool_(pool),
          descriptor_(runtime.executor()),
          pool_timer_(runtime.timers()) {
        descriptor_.assign(fd.release());
    }

    void start(TunSink& sink) {
        sink_ = &sink;
        if (!closed_) wait_readable();
    }
    void send(PacketBatch&& batch);
    void close() {
        if (std::exchange(closed_, true)) return;
        sink_ = nullptr;
        pool_timer_.cancel();
        boost::system::error_code ignored;
        descriptor_.close(ignored);  // NOLINT(bugprone-unused-return-value)
    }
    const Tun::Stats& stats() const { return stats_; }

private:
    void wait_readable();
    void read_turn();
    void fail(int reason);

    rt::Runtime& runtime_;
    PacketPool& pool_;
    asio::posix::stream_descriptor descriptor_;
    rt::Timer pool_timer_;
    TunSink* sink_ = nullptr;
    Tun::Stats stats_;
    bool closed_ = false;
};

void TunCore::wait_readable() {
    descriptor_.async_wait(
        asio::posix::descriptor_base::wait_read,
        [self = shared_from_this()](boost::system::error_code error) {
            if (!error) self->read_turn();
        }
    );
}

void TunCore::read_turn() {
    if (closed_) return;
    PacketBatch batch(runtime_.now());
    int reason = 0;
    bool starved = false;
    while (!batch.full()) {
        PacketBuf packet = pool_.take();
        starved = !packet;
        if (starved) break;
        const ssize_t got = ::read(descriptor_.native_handle(), packet.data(), packet.tailroom());
        if (got <= 0) {
            reason = got == 0 ? EBADFD : errno;
            break;
        }
        packet.push_back(static_cast<std::size_t>(got));
        ++stats_.rx_packets;
        stats_.rx_bytes += static_cast<std::uint64_t>(got);
        batch.push(std::move(packet));
    }
    const bool drained = reason == EAGAIN || reason == EWOULDBLOCK;
    if (!batch.empty()) sink_->from_tun(std::move(batch));
    if (closed_) return;
    if (starved) {
        pool_timer_.set(runtime_.now() + kPoolRetry, [self = shared_from_this()] {
            self->read_turn();
        });
    } else if (drained) {
        wait_readable();
    } else if (reason == 0 || reason == EINTR) {
        runtime_.post([self = shared_from_this()] { self->read_turn(); });
    } else {
        fail(reason);
    }
}

void TunCore::fail(int reason) {
    TunSink* sink = std::exchange(sink_, nullptr);
    close();
    if (sink != nullptr) sink->on_tun_closed(os_error(reason, "the TUN device is gone"));
}

void TunCore::send(PacketBatch&& batch) {
    for (PacketBuf& packet : batch) {
        const ssize_t wrote =
            closed_ ? -1 : ::write(descriptor_.native_handle(), packet.data(), packet.size());
        if (wrote < 0) {
            ++stats_.tx_dropped;
        } else {
            ++stats_.tx_packets;
            stats_.tx_bytes += packet.size();
        }
    }
}

class LinuxTun final : public Tun {
public:
    struct Device {
        std::string name;
        unsigned index = 0;
        bool outlives_us = false;
    };
    LinuxTun(std::shared_ptr<TunCore> core, Device device, Netlink netlink)
        : core_(std::move(core)), device_(std::move(device)), netlink_(std::move(netlink)) {}
    LinuxTun(const LinuxTun&) = delete;
    LinuxTun& operator=(const LinuxTun&) = delete;
    ~LinuxTun() override {
        if (device_.outlives_us) netlink_.clear(device_.index);
        core_->close();
    }

    const std::string& name() const override { return device_.name; }
    void start(TunSink& sink) override { core_->start(sink); }
    void send(PacketBatch&& batch) override { core_->send(std::move(batch)); }
    Result<> add_address(const Prefix& address) override {
        return explain(netlink_.add_address(device_.index, address), "add address", address);
    }
    Result<> remove_address(const Prefix& address) override {
        return explain(netlink_.remove_address(device_.index, address), "remove address", address);
    }
    Result<> add_route(const Prefix& destination, unsigned metric) override {
        return explain(
            netlink_.add_route(device_.index, destination, metric), "add route", destination
        );
    }
    Result<> remove_route(const Prefix& destination, unsigned metric) override {
        return explain(
            netlink_.remove_route(device_.index, destination, metric), "remove route", destination
        );
    }
    const Stats& stats() const override { return core_->stats(); }

private:
    Result<> explain(Result<> outcome, std::string_view what, const Prefix& prefix) const {
        if (outcome) return outcome;
        return std::move(outcome).error().with(fmt::format("{}: {} {}", device_.name, what, prefix)
        );
    }

    std::shared_ptr<TunCore> core_;
    Device device_;
    Netlink netlink_;
};

Error explain_open(int reason) {
    switch (reason) {
        case EACCES:
        case EPERM:
            return Error(
                Errc::denied, std::string("a TUN device needs root or CAP_NET_ADMIN") + kWithout
            );
        case ENOENT:
        case ENODEV:
        case ENXIO:
            return Error(
                Errc::not_found,
                std::string("this system has no ") + kDevice + " (modprobe tun?)" + kWithout
            );
        default:
            return os_error(reason, kDevice);
    }
}

Result<Fd> open_device() {
    Fd fd(::open(kDevice, O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (!fd && errno == ENOENT) {
        // Containers often come without it although the kernel has the driver.
        ::mkdir("/dev/net", 0755);
        if (::mknod(kDevice, S_IFCHR | 0666, ::makedev(10, 200)) == 0) {
            fd = Fd(::open(kDevice, O_RDWR | O_NONBLOCK | O_CLOEXEC));
        } else {
            errno = ENOENT;
        }
    }
    if (!fd) return explain_open(errno);
    return fd;
}

Result<> check_options(const TunOptions& options) {
    const bool name_ok = options.name.size() < IFNAMSIZ && options.name != "." &&
                         options.name != ".." &&
                         options.name.find_first_of("/ \t\n:%") == std::string::npos;
    if (!name_ok) {
        return Error(
            Errc::bad_argument,
            fmt::format("\"{}\" is no name for a network device", printable(options.name))
        );
    }
    if (options.mtu < kMtuMin || options.mtu > kMtuMax) {
        return Error(
            Errc::bad_argument,
            fmt::format("mtu {}: {} to {} is possible", options.mtu, kMtuMin, kMtuMax)
        );
    }
    return {};
}

class LinuxTunFactory final : public TunFactory {
public:
    LinuxTunFactory(rt::Runtime& runtime, PacketPool& pool, Log log)
        : runtime_(runtime), pool_(pool), log_(std::move(log)) {}

    Result<TunPtr> open(const TunOptions& options) override {
        const auto checked = check_options(options);
        if (!checked) return checked.error();
        auto fd = open_device();
        if (!fd) return fd.error();
        ifreq request{};
        std::memcpy(request.ifr_name, options.name.c_str(), options.name.size());
        request.ifr_flags = IFF_TUN | IFF_NO_PI;
        if (::ioctl(fd->get(), TUNSETIFF, &request) != 0) {
            if (errno == EBUSY || errno == EINVAL) {
                return Error(
                    Errc::in_use,
                    fmt::format("a network device \"{}\" is in use; --dev-name", options.name)
                );
            }
            return explain_open(errno);
        }
        const std::string name(request.ifr_name);
        ifreq made{};
        const bool outlives_us = ::ioctl(fd->get(), TUNGETIFF, &made) == 0 &&
                                 (static_cast<unsigned>(made.ifr_flags) & IFF_PERSIST) != 0;
        auto netlink = Netlink::open();
        if (!netlink) return netlink.error();
        const Fd any_socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        if (::ioctl(any_socket.get(), SIOCGIFINDEX, &request) != 0) return os_error(errno, name);
        const auto index = static_cast<unsigned>(request.ifr_ifindex);
        if (outlives_us) netlink->clear(index);
        const auto set = netlink->set_link(index, {.mtu = options.mtu});
        if (!set) return set.error().with(name + ": mtu and up");
        log_.info("tun device", "name={} mtu={}", name, options.mtu);
        auto core = std::make_shared<TunCore>(runtime_, pool_, std::move(*fd));
        return std::make_unique<LinuxTun>(
            std::move(core),
            LinuxTun::Device{.name = name, .index = index, .outlives_us = outlives_us},
            std::move(*netlink)
        );
    }

private:
    rt::Runtime& runtime_;
    PacketPool& pool_;
    Log log_;
};

}  // namespace

std::unique_ptr<TunFactory> make_linux_tun_factory(
    rt::Runtime& runtime, PacketPool& pool, Log log
) {
    return std::make_unique<LinuxTunFactory>(runtime, pool, std::move(log));
}

}  // namespace selvage::host
