// The kernel's TUN device. It lives as long as its descriptor; addresses and routes go with it.
// A device that an administrator made to stay (`ip tuntap add`) outlives us: from it we remove what
// we added, and at the start what an earlier run could not.
//
// Where the kernel can, a read gives a super-packet, which is cut here, and the packets of a batch
// are joined before they are written (packet/super_packet.h). The packets of one super-packet stay
// in one batch; a turn is one batch. Where the kernel cannot (before 2.6.27, and for UDP
// before 6.2), or when it refuses a train, packets pass one by one.
//
// When the pool is empty nothing is read until blocks come back, so that the device's own queue
// holds or loses the packets.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

#include "host/linux/host.h"
#include "host/linux/netlink.h"
#include "host/linux/packet_descriptor.h"
#include "packet/cutter.h"
#include "packet/joiner.h"
#include "packet/peer_header.h"

namespace selvage::host {

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

// Of Linux 6.2; older headers lack them.
constexpr unsigned kOffloadUdp4 = 0x20;
constexpr unsigned kOffloadUdp6 = 0x40;
constexpr unsigned kOffloadTcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

// What the kernel reads and writes in front of a packet; its numbers are in the machine's order.
// Linux's own header for it is not C++.
struct VirtioHeader {
    std::uint8_t flags = 0;
    std::uint8_t gso_type = 0;
    std::uint16_t hdr_len = 0;
    std::uint16_t gso_size = 0;
    std::uint16_t csum_start = 0;
    std::uint16_t csum_offset = 0;
};
static_assert(sizeof(VirtioHeader) == 10);
constexpr std::uint8_t kNeedsChecksum = 1;
constexpr std::uint8_t kGsoTcp4 = 1;
constexpr std::uint8_t kGsoTcp6 = 4;
constexpr std::uint8_t kGsoUdp = 5;
constexpr std::uint8_t kGsoEcn = 0x80;  // the super-packet has CWR
constexpr std::size_t kReadBytes = sizeof(VirtioHeader) + 65536;

// What the kernel agreed to.
struct TunOffloads {
    bool headers = false;  // a VirtioHeader in front of every packet
    packet::JoinOptions joins{.tcp = false, .udp = false};
};

packet::Offload offload_of(const VirtioHeader& header) {
    packet::Offload out{
        .needs_checksum = (header.flags & kNeedsChecksum) != 0,
        .segment_bytes = header.gso_size,
        .checksum_start = header.csum_start,
        .checksum_offset = header.csum_offset
    };
    switch (header.gso_type & ~kGsoEcn) {
        case kGsoTcp4:
            out.kind = packet::SuperKind::tcp4;
            break;
        case kGsoTcp6:
            out.kind = packet::SuperKind::tcp6;
            break;
        case kGsoUdp:
            out.kind = packet::SuperKind::udp;
            break;
        default:
            break;
    }
    return out;
}

VirtioHeader header_of(const packet::Offload& offload) {
    VirtioHeader out{};
    switch (offload.kind) {
        case packet::SuperKind::none:
            return out;
        case packet::SuperKind::tcp4:
            out.gso_type = kGsoTcp4;
            break;
        case packet::SuperKind::tcp6:
            out.gso_type = kGsoTcp6;
            break;
        case packet::SuperKind::udp:
            out.gso_type = kGsoUdp;
            break;
    }
    out.flags = kNeedsChecksum;
    out.hdr_len = offload.header_bytes;
    out.gso_size = offload.segment_bytes;
    out.csum_start = offload.checksum_start;
    out.csum_offset = offload.checksum_offset;
    return out;
}

class TunCore : public std::enable_shared_from_this<TunCore> {
public:
    TunCore(rt::Runtime& runtime, PacketPool& pool, Fd fd, TunOffloads offloads)
        : runtime_(runtime),
          pool_(pool),
          descriptor_(runtime),
          has_headers_(offloads.headers),
          joiner_(offloads.joins) {
        descriptor_.adopt(std::move(fd));
    }

    void start(TunSink& sink) {
        sink_ = &sink;
        if (!closed_) descriptor_.wait_readable(next_turn());
    }
    void send(PacketBatch&& batch);
    void close() {
        if (std::exchange(closed_, true)) return;
        sink_ = nullptr;
        descriptor_.close();
    }
    const Tun::Stats& stats() const { return stats_; }

private:
    enum class Fill : std::uint8_t { full, starved, drained, failed };

    void read_turn();
    struct ReadTurn {
        std::shared_ptr<TunCore> self;
        void operator()() const { self->read_turn(); }
    };
    ReadTurn next_turn() { return {shared_from_this()}; }
    Fill fill(PacketBatch& batch);
    int read_next();
    void fail(int reason);
    void send_single(PacketBuf& packet);
    void send_train(PacketBatch& batch, const packet::Joiner::Train& train);
    int write_train(PacketBatch& batch, const packet::Joiner::Train& train);

    rt::Runtime& runtime_;
    PacketPool& pool_;
    PacketDescriptor descriptor_;
    TunSink* sink_ = nullptr;
    Tun::Stats stats_;
    bool closed_ = false;
    int reason_ = 0;  // why the last read gave nothing
    bool has_headers_;
    // What was read last, until all its packets were delivered. Its pages exist once they were
    // used.
    std::unique_ptr<std::uint8_t[]> read_ =
        std::make_unique_for_overwrite<std::uint8_t[]>(kReadBytes);
    packet::Cutter cutter_;
    packet::Joiner joiner_;
};

void TunCore::read_turn() {
    if (closed_) return;
    PacketBatch batch(runtime_.now());
    const Fill fill_ended = fill(batch);
    const std::size_t packets = batch.size();
    if (!batch.empty()) sink_->from_tun(std::move(batch));
    if (closed_) return;
    switch (fill_ended) {
        case Fill::full:
            runtime_.post(next_turn());
            break;
        case Fill::starved:
            descriptor_.wait_for(kPoolRetry, next_turn());
            break;
        case Fill::drained:
            descriptor_.wait_for_more(packets, next_turn());
            break;
        case Fill::failed:
            fail(reason_);
            break;
    }
}

TunCore::Fill TunCore::fill(PacketBatch& batch) {
    while (!batch.full()) {
        if (cutter_.done()) {
            reason_ = read_next();
            if (reason_ == EAGAIN || reason_ == EWOULDBLOCK) return Fill::drained;
            if (reason_ == EINTR) continue;
            if (reason_ != 0) return Fill::failed;
            // What belongs together travels together, if it fits at all.
            const bool fits = batch.size() + cutter_.left() <= PacketBatch::kCapacity;
            if (!fits && !batch.empty()) return Fill::full;
            continue;
        }
        PacketBuf packet = cutter_.next(pool_);
        if (!packet) return Fill::starved;
        ++stats_.rx_packets;
        stats_.rx_bytes += packet.size();
        batch.push(std::move(packet));
    }
    return Fill::full;
}

// Gives the cutter something to do, unless what came is nothing that it can cut; answers with
// errno.
int TunCore::read_next() {
    const ssize_t got = ::read(descriptor_.get(), read_.get(), kReadBytes);
    if (got <= 0) return got == 0 ? EBADFD : errno;
    MutableByteView bytes(read_.get(), static_cast<std::size_t>(got));
    packet::Offload offload;
    if (has_headers_) {
        VirtioHeader header;
        if (bytes.size() < sizeof(header)) return EBADFD;
        std::memcpy(&header, bytes.data(), sizeof(header));
        offload = offload_of(header);
        bytes = bytes.subspan(sizeof(header));
    }
    if (!cutter_.begin(bytes, offload)) {
        ++stats_.rx_dropped;
    } else if (offload.kind != packet::SuperKind::none) {
        ++stats_.rx_trains;
    }
    return 0;
}

void TunCore::fail(int reason) {
    TunSink* sink = std::exchange(sink_, nullptr);
    close();
    if (sink != nullptr) sink->on_tun_closed(os_error(reason, "the TUN device is gone"));
}

void TunCore::send(PacketBatch&& batch) {
    if (closed_) {
        stats_.tx_dropped += batch.size();
        return;
    }
    for (const packet::Joiner::Train& train : joiner_.arrange(batch)) {
        if (train.count == 1) {
            send_single(batch[train.first]);
        } else {
            send_train(batch, train);
        }
    }
}

void TunCore::send_single(PacketBuf& packet) {
    const std::size_t size = packet.size();
    if (has_headers_) {
        if (packet.headroom() < sizeof(VirtioHeader)) {
            ++stats_.tx_dropped;
            return;
        }
        std::memset(packet.push_front(sizeof(VirtioHeader)), 0, sizeof(VirtioHeader));
    }
    if (::write(descriptor_.get(), packet.data(), packet.size()) < 0) {
        ++stats_.tx_dropped;
    } else {
        ++stats_.tx_packets;
        stats_.tx_bytes += size;
    }
}

void TunCore::send_train(PacketBatch& batch, const packet::Joiner::Train& train) {
    const int refused = write_train(batch, train);
    if (refused == 0) {
        ++stats_.tx_trains;
        stats_.tx_packets += train.count;
        stats_.tx_bytes += std::size_t{train.header_bytes} * train.count + train.payload_bytes;
        return;
    }
    ++stats_.tx_refused_trains;
    if (refused == EINVAL) {
        // Not a matter of memory or of the device's state: it would refuse the next one as well.
        packet::JoinOptions joins = joiner_.options();
        (train.kind == packet::SuperKind::udp ? joins.udp : joins.tcp) = false;
        joiner_.set(joins);
    }
    std::uint8_t at = train.first;
    for (unsigned i = 0; i < train.count; ++i, at = joiner_.next(at))
        send_single(batch[at]);
}

// One call for the whole train: new headers, then the payloads where they lie.
int TunCore::write_train(PacketBatch& batch, const packet::Joiner::Train& train) {
    std::array<std::uint8_t, packet::Joiner::kHeaderMax> headers;
    packet::Offload offload;
    const std::size_t header_bytes = packet::Joiner::build_header(batch, train, headers, offload);
    VirtioHeader virtio = header_of(offload);
    std::array<iovec, PacketBatch::kCapacity + 2> pieces;
    pieces[0] = {&virtio, sizeof(virtio)};
    pieces[1] = {headers.data(), header_bytes};
    std::uint8_t at = train.first;
    for (unsigned i = 0; i < train.count; ++i, at = joiner_.next(at)) {
        PacketBuf& packet = batch[at];
        pieces[i + 2] = {packet.data() + header_bytes, packet.size() - header_bytes};
    }
    const int count = train.count + 2;
    return ::writev(descriptor_.get(), pieces.data(), count) < 0 ? errno : 0;
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

// As much as the kernel agrees to. Precondition: the device was made with VirtioHeaders.
TunOffloads agree_offloads(int fd) {
    for (const bool udp : {true, false}) {
        const unsigned wanted = kOffloadTcp | (udp ? kOffloadUdp4 | kOffloadUdp6 : 0);
        if (::ioctl(fd, TUNSETOFFLOAD, static_cast<unsigned long>(wanted)) == 0) {
            return {.headers = true, .joins = {.tcp = true, .udp = udp}};
        }
    }
    return {.headers = true};
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
    LinuxTunFactory(rt::Runtime& runtime, PacketPool& pool, Log log, Offloads offloads)
        : runtime_(runtime), pool_(pool), log_(std::move(log)), offloads_(offloads) {}

    Result<TunPtr> open(const TunOptions& options) override {
        const auto checked = check_options(options);
        if (!checked) return checked.error();
        auto fd = open_device();
        if (!fd) return fd.error();
        ifreq request{};
        std::memcpy(request.ifr_name, options.name.c_str(), options.name.size());
        unsigned known = 0;
        const bool headers = offloads_.tun && ::ioctl(fd->get(), TUNGETFEATURES, &known) == 0 &&
                             (known & IFF_VNET_HDR) != 0;
        request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | (headers ? IFF_VNET_HDR : 0));
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
        const TunOffloads offloads = headers ? agree_offloads(fd->get()) : TunOffloads{};
        log_.info(
            "tun device", "name={} mtu={} tcp_offload={} udp_offload={}", name, options.mtu,
            offloads.joins.tcp, offloads.joins.udp
        );
        auto core = std::make_shared<TunCore>(runtime_, pool_, std::move(*fd), offloads);
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
    Offloads offloads_;
};

}  // namespace

std::unique_ptr<TunFactory> make_linux_tun_factory(
    rt::Runtime& runtime, PacketPool& pool, Log log, Offloads offloads
) {
    return std::make_unique<LinuxTunFactory>(runtime, pool, std::move(log), offloads);
}

}  // namespace selvage::host
