// recvmmsg and sendmmsg with the kernel's segmentation offloads.
#include "host/linux/udp_socket.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <deque>

#include "host/linux/packet_descriptor.h"

namespace selvage::host {

using packet::PacketBatch;
using packet::PacketBuf;
using packet::PacketPool;

namespace {

constexpr std::size_t kMessages = PacketBatch::kCapacity;
constexpr std::size_t kSlotBytes = 65536;  // the largest that one UDP message can be
// UDP_MAX_SEGMENTS of the kernel, and what an IP packet can hold.
constexpr std::size_t kSegmentsLimit = 64;
constexpr std::size_t kTrainBytes = 65000;
// Datagrams that wait for room in the kernel's send buffer. Beyond it the newest are dropped: what
// waits here is younger than what the kernel holds.
constexpr std::size_t kBacklog = 256;
// How soon to look again for blocks when the pool is empty; nobody tells when one comes back.
constexpr Duration kPoolRetry = 2ms;

using Control = std::array<std::uint8_t, CMSG_SPACE(sizeof(int))>;

}  // namespace

// What one call needs; its contents do not outlive the turn. Receiving and sending have one each,
// because a sink sends while it is handed what was received.
struct UdpSocketFactory::Scratch {
    struct Calls {
        std::array<mmsghdr, kMessages> headers{};
        std::array<iovec, kMessages> vectors{};
        std::array<SocketAddress, kMessages> addresses;
        alignas(cmsghdr) std::array<Control, kMessages> controls{};
    };
    Calls rx;
    Calls tx;
    // Its pages exist only once they were used.
    std::unique_ptr<std::uint8_t[]> rx_bytes =
        std::make_unique_for_overwrite<std::uint8_t[]>(kMessages * kSlotBytes);
    std::array<std::size_t, kMessages> tx_runs{};  // datagrams in each message
};

namespace {

using Scratch = UdpSocketFactory::Scratch;

// Size of the pieces that UDP_GRO joined; 0 when the message is one datagram.
std::size_t piece_size(msghdr& header) {
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int size = 0;
            std::memcpy(&size, CMSG_DATA(c), sizeof size);
            return size > 0 ? static_cast<std::size_t>(size) : 0;
        }
    }
    return 0;
}

// The socket itself; shared with the waits that are pending when its handle goes.
class UdpCore : public std::enable_shared_from_this<UdpCore> {
public:
    UdpCore(rt::Runtime& runtime, PacketPool& pool, std::shared_ptr<Scratch> scratch, Log log)
        : runtime_(runtime),
          pool_(pool),
          scratch_(std::move(scratch)),
          log_(std::move(log)),
          descriptor_(runtime) {}

    void adopt(Fd fd, const Offloads& offloads) {
        int size = 0;
        socklen_t length = sizeof size;
        segments_ = offloads.udp_segment &&
                    ::getsockopt(fd.get(), SOL_UDP, UDP_SEGMENT, &size, &length) == 0;
        const int on = offloads.udp_join ? 1 : 0;
        ::setsockopt(fd.get(), SOL_UDP, UDP_GRO, &on, sizeof on);  // older kernels go without
        local_ = local_endpoint(fd.get());
        descriptor_.adopt(std::move(fd));
    }

    void start(UdpSink& sink) {
        sink_ = &sink;
        descriptor_.wait_readable(next_turn());
    }
    std::size_t send(std::span<Datagram> datagrams);
    void close() {
        if (std::exchange(closed_, true)) return;
        sink_ = nullptr;
        backlog_.clear();
        descriptor_.close();
    }
    const Endpoint& local() const { return local_; }
    const UdpStats& stats() const { return stats_; }

private:
    void read_turn();
    struct ReadTurn {
        std::shared_ptr<UdpCore> self;
        void operator()() const { self->read_turn(); }
    };
    ReadTurn next_turn() { return {shared_from_this()}; }
    int receive(std::size_t messages);
    std::size_t deliver(int messages);
    void hand_over();
    void wait_writable();
    void flush_backlog();
    std::size_t prepare(std::span<Datagram> datagrams, bool segment);
    std::size_t transmit(std::span<Datagram> datagrams, std::size_t& taken);
    void keep(std::span<Datagram> datagrams);

    rt::Runtime& runtime_;
    PacketPool& pool_;
    std::shared_ptr<Scratch> scratch_;
    Log log_;
    PacketDescriptor descriptor_;
    Endpoint local_;
    UdpSink* sink_ = nullptr;
    UdpStats stats_;
    bool closed_ = false;
    bool segments_ = false;
    bool waits_writable_ = false;
    std::size_t pieces_per_message_ = 1;  // seen last; keeps a turn near its limit of packets
    std::vector<Datagram> arrived_;       // at most PacketBatch::kCapacity, within one turn
    std::deque<Datagram> backlog_;        // at most kBacklog
};

void UdpCore::read_turn() {
    if (closed_) return;
    const std::size_t room = std::min(kMessages, pool_.available());
    if (room == 0) {
        ++stats_.rx_pauses;
        descriptor_.wait_for(kPoolRetry, next_turn());
        return;
    }
    const std::size_t wanted = std::clamp<std::size_t>(kMessages / pieces_per_message_, 1, room);
    const int got = receive(wanted);
    const std::size_t datagrams = got > 0 ? deliver(got) : 0;
    if (closed_) return;
    if (std::cmp_equal(got, wanted)) {
        runtime_.post(next_turn());
    } else {
        descriptor_.wait_for_more(datagrams, next_turn());
    }
}

int UdpCore::receive(std::size_t messages) {
    for (std::size_t i = 0; i < messages; ++i) {
        scratch_->rx.vectors[i] = {scratch_->rx_bytes.get() + i * kSlotBytes, kSlotBytes};
        msghdr& header = scratch_->rx.headers[i].msg_hdr;
        header = {};
        header.msg_name = scratch_->rx.addresses[i].get();
        header.msg_namelen = sizeof(sockaddr_storage);
        header.msg_iov = &scratch_->rx.vectors[i];
        header.msg_iovlen = 1;
        header.msg_control = scratch_->rx.controls[i].data();
        header.msg_controllen = scratch_->rx.controls[i].size();
    }
    // An error here is one that an earlier datagram caused; it is gone with this call.
    return ::recvmmsg(
        descriptor_.get(), scratch_->rx.headers.data(), static_cast<unsigned>(messages),
        MSG_DONTWAIT, nullptr
    );
}

// Returns how many datagrams there were.
std::size_t UdpCore::deliver(int messages) {
    std::size_t pieces = 0;
    for (int i = 0; i < messages && !closed_; ++i) {
        const auto at = static_cast<std::size_t>(i);
        mmsghdr& message = scratch_->rx.headers[at];
        ByteView rest(scratch_->rx_bytes.get() + at * kSlotBytes, message.msg_len);
        const std::size_t joined = piece_size(message.msg_hdr);
        const std::size_t step = joined == 0 ? std::max<std::size_t>(rest.size(), 1) : joined;
        const Endpoint remote = scratch_->rx.addresses[at].endpoint();
        do {
            const ByteView piece = rest.first(std::min(step, rest.size()));
            rest = rest.subspan(piece.size());
            ++pieces;
            if (piece.size() > packet::kBlockBytes - packet::kHeadroom) {
                ++stats_.rx_too_large;
                continue;
            }
            PacketBuf payload = pool_.copy(piece);
            if (!payload) {
                ++stats_.rx_no_buffer;
                continue;
            }
            arrived_.push_back({std::move(payload), remote});
            if (arrived_.size() == PacketBatch::kCapacity) hand_over();
        } while (!rest.empty() && !closed_);
    }
    hand_over();
    pieces_per_message_ = std::max<std::size_t>(1, pieces / static_cast<std::size_t>(messages));
    return pieces;
}

void UdpCore::hand_over() {
    stats_.rx_datagrams += arrived_.size();
    // The sink may close us, and a new socket may read, before it returns.
    std::vector<Datagram> now_arrived;
    now_arrived.swap(arrived_);
    if (!now_arrived.empty() && sink_ != nullptr) sink_->on_datagrams(now_arrived, runtime_.now());
    now_arrived.clear();
    if (arrived_.empty()) arrived_.swap(now_arrived);  // keeps the allocation
}

void UdpCore::wait_writable() {
    if (std::exchange(waits_writable_, true)) return;
    descriptor_.wait_writable([self = shared_from_this()] {
        self->waits_writable_ = false;
        if (!self->closed_) self->flush_backlog();
    });
}

void UdpCore::flush_backlog() {
    std::vector<Datagram> waiting(
        std::make_move_iterator(backlog_.begin()), std::make_move_iterator(backlog_.end())
    );
    backlog_.clear();
    send(waiting);
}

void UdpCore::keep(std::span<Datagram> datagrams) {
    for (Datagram& datagram : datagrams) {
        if (backlog_.size() >= kBacklog) {
            ++stats_.tx_dropped;
            datagram.payload = {};
        } else {
            backlog_.push_back(std::move(datagram));
        }
    }
    wait_writable();
}

std::size_t UdpCore::send(std::span<Datagram> datagrams) {
    if (closed_) {
        for (Datagram& datagram : datagrams)
            datagram.payload = {};
        return 0;
    }
    std::size_t sent = 0;
    while (!datagrams.empty()) {
        if (!backlog_.empty()) {
            keep(datagrams);
            break;
        }
        std::size_t taken = 0;
        sent += transmit(datagrams, taken);
        if (taken == 0) {
            keep(datagrams);
            break;
        }
        for (Datagram& datagram : datagrams.first(taken))
            datagram.payload = {};
        datagrams = datagrams.subspan(taken);
    }
    stats_.tx_datagrams += sent;
    return sent;
}

// Fills the scratch with messages for the front of `datagrams`; returns how many messages.
std::size_t UdpCore::prepare(std::span<Datagram> datagrams, bool segment) {
    std::size_t messages = 0;
    std::size_t at = 0;
    while (at < datagrams.size() && at < kMessages) {
        const std::size_t size = datagrams[at].payload.size();
        std::size_t run = 0;
        std::size_t bytes = 0;
        // A train is a run of equal sizes; only its last datagram may be shorter.
        while (at + run < std::min(datagrams.size(), kMessages)) {
            const Datagram& next = datagrams[at + run];
            const bool fits = next.payload.size() <= size && next.payload.size() > 0 &&
                              run < kSegmentsLimit && bytes + next.payload.size() <= kTrainBytes;
            if (run > 0 && (!fits || !segment || next.remote != datagrams[at].remote)) break;
            scratch_->tx.vectors[at + run] = {
                const_cast<std::uint8_t*>(next.payload.data()), next.payload.size()
            };
            bytes += next.payload.size();
            ++run;
            if (next.payload.size() < size) break;
        }
        msghdr& header = scratch_->tx.headers[messages].msg_hdr;
        header = {};
        scratch_->tx.addresses[messages] = SocketAddress(datagrams[at].remote);
        header.msg_name = scratch_->tx.addresses[messages].get();
        header.msg_namelen = scratch_->tx.addresses[messages].size;
        header.msg_iov = &scratch_->tx.vectors[at];
        header.msg_iovlen = run;
        if (run > 1) {
            header.msg_control = scratch_->tx.controls[messages].data();
            header.msg_controllen = CMSG_SPACE(sizeof(std::uint16_t));
            cmsghdr* control = CMSG_FIRSTHDR(&header);
            control->cmsg_level = SOL_UDP;
            control->cmsg_type = UDP_SEGMENT;
            control->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
            const auto segment_size = static_cast<std::uint16_t>(size);
            std::memcpy(CMSG_DATA(control), &segment_size, sizeof segment_size);
        }
        scratch_->tx_runs[messages] = run;
        ++messages;
        at += run;
    }
    return messages;
}

// One round: returns how many datagrams went out, sets how many are done with. None is done with
// when the kernel has no room.
std::size_t UdpCore::transmit(std::span<Datagram> datagrams, std::size_t& taken) {
    bool segment = segments_;
    for (;;) {
        const std::size_t messages = prepare(datagrams, segment);
        const int went = ::sendmmsg(
            descriptor_.get(), scratch_->tx.headers.data(), static_cast<unsigned>(messages),
            MSG_DONTWAIT | MSG_NOSIGNAL
        );
        if (went > 0) {
            for (int i = 0; i < went; ++i)
                taken += scratch_->tx_runs[static_cast<std::size_t>(i)];
            return taken;
        }
        const int reason = errno;
        if (reason == EAGAIN || reason == EWOULDBLOCK || reason == EINTR) return 0;
        const bool was_train = scratch_->tx_runs[0] > 1;
        if (was_train && (reason == EIO || reason == EINVAL || reason == EMSGSIZE)) {
            // EIO: the device cannot do checksums, so no train will ever pass. The others: these
            // sizes do not suit this path, where single datagrams may be fragmented.
            if (reason == EIO) {
                segments_ = false;
                log_.debug("udp segmentation off", "local={}", local_);
            }
            segment = false;
            continue;
        }
        // This message is refused (unreachable, too large, forbidden); the next may pass.
        taken = scratch_->tx_runs[0];
        stats_.tx_dropped += taken;
        return 0;
    }
}

class LinuxUdpSocket final : public UdpSocket {
public:
    explicit LinuxUdpSocket(std::shared_ptr<UdpCore> core) : core_(std::move(core)) {}
    LinuxUdpSocket(const LinuxUdpSocket&) = delete;
    LinuxUdpSocket& operator=(const LinuxUdpSocket&) = delete;
    ~LinuxUdpSocket() override { core_->close(); }

    void start(UdpSink& sink) override { core_->start(sink); }
    std::size_t send(std::span<Datagram> datagrams) override { return core_->send(datagrams); }
    Endpoint local() const override { return core_->local(); }
    UdpStats stats() const override { return core_->stats(); }
    void close() override { core_->close(); }

private:
    std::shared_ptr<UdpCore> core_;
};

// The plain option is cut to net.core.{r,w}mem_max; the forced one needs CAP_NET_ADMIN.
void set_buffer(int fd, int force_option, int option, std::size_t bytes) {
    const int value = static_cast<int>(std::min<std::size_t>(bytes, 1 << 30));
    if (::setsockopt(fd, SOL_SOCKET, force_option, &value, sizeof value) == 0) return;
    ::setsockopt(fd, SOL_SOCKET, option, &value, sizeof value);
}

}  // namespace

UdpSocketFactory::UdpSocketFactory(
    rt::Runtime& runtime, PacketPool& pool, Log log, Offloads offloads
)
    : runtime_(runtime),
      pool_(pool),
      log_(std::move(log)),
      offloads_(offloads),
      scratch_(std::make_shared<Scratch>()) {}

Result<UdpSocketPtr> UdpSocketFactory::open(Endpoint local, const UdpOptions& options) {
    const SocketAddress address(local);
    Fd fd(::socket(address.storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return os_error(errno, "socket");
    const int on = 1;
    if (options.reuse_address) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (local.address.is_v6() && options.v6_only) {
        ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    set_buffer(fd.get(), SO_RCVBUFFORCE, SO_RCVBUF, options.buffer_bytes);
    set_buffer(fd.get(), SO_SNDBUFFORCE, SO_SNDBUF, options.buffer_bytes);
    if (auto bound = bind_to_device(fd.get(), options.device); !bound) return bound.error();
    if (::bind(fd.get(), address.get(), address.size) != 0) return os_error(errno, "bind");
    auto core = std::make_shared<UdpCore>(runtime_, pool_, scratch_, log_);
    core->adopt(std::move(fd), offloads_);
    return std::make_unique<LinuxUdpSocket>(std::move(core));
}

}  // namespace selvage::host
