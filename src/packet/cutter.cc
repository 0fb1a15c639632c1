// Cutting of super-packets, and the checksums that the kernel leaves to a device.
#include "packet/cutter.h"

#include "packet/checksum.h"
#include "packet/ip_headers.h"

namespace selvage::packet {
namespace {

// A packet must leave its block room for what is put around it later.
constexpr std::size_t kPacketBytesMax = kBlockBytes - kHeadroom - kTailroom;

std::uint16_t sum_of_two(std::uint16_t a, std::uint16_t b) {
    const std::uint32_t sum = std::uint32_t{a} + b;
    return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
}

// UDP has another meaning for 0, and both say the same (RFC 768).
std::uint16_t checksum_field(std::uint16_t sum) {
    const std::uint16_t value = checksum_finish(sum);
    return value == 0 ? 0xffff : value;
}

}  // namespace

bool Cutter::begin(MutableByteView bytes, const Offload& offload) {
    bytes_ = bytes;
    kind_ = offload.kind;
    made_ = count_ = 0;
    return kind_ == SuperKind::none ? begin_single(offload) : begin_super(offload);
}

bool Cutter::begin_single(const Offload& offload) {
    if (bytes_.empty() || bytes_.size() > kPacketBytesMax) return false;
    if (offload.needs_checksum) {
        const std::size_t start = offload.checksum_start;
        const std::size_t field = start + offload.checksum_offset;
        if (field + sizeof(be16) > bytes_.size()) return false;
        const be16 checksum = checksum_field(checksum_add(bytes_.subspan(start)));
        std::memcpy(&bytes_[field], &checksum, sizeof(checksum));
    }
    header_bytes_ = bytes_.size();
    segment_bytes_ = 0;
    count_ = 1;
    return true;
}

bool Cutter::begin_super(const Offload& offload) {
    const auto meta = parse_ip(bytes_);
    if (!meta || meta->is_fragment || meta->total_length != bytes_.size()) return false;
    is_v4_ = meta->source.is_v4();
    ip_bytes_ = meta->transport_offset;
    const std::size_t behind_ip = bytes_.size() - ip_bytes_;
    std::size_t transport_bytes = sizeof(UdpHeader);
    auto protocol = IpProtocol::udp;
    if (kind_ != SuperKind::udp) {
        protocol = IpProtocol::tcp;
        if (is_v4_ != (kind_ == SuperKind::tcp4) || behind_ip < sizeof(TcpHeader)) return false;
        transport_bytes = reinterpret_cast<const TcpHeader*>(&bytes_[ip_bytes_])->header_bytes();
        if (transport_bytes < sizeof(TcpHeader)) return false;
    }
    if (meta->protocol != static_cast<std::uint8_t>(protocol)) return false;
    if (transport_bytes >= behind_ip || offload.segment_bytes == 0) return false;
    header_bytes_ = ip_bytes_ + transport_bytes;
    segment_bytes_ = offload.segment_bytes;
    if (header_bytes_ + segment_bytes_ > kPacketBytesMax) return false;
    pseudo_sum_ = pseudo_header_sum(meta->source, meta->destination, meta->protocol, 0);
    count_ = (bytes_.size() - header_bytes_ + segment_bytes_ - 1) / segment_bytes_;
    return true;
}

PacketBuf Cutter::next(PacketPool& pool) {
    PacketBuf packet = pool.take();
    if (!packet) return packet;
    const std::size_t from = header_bytes_ + made_ * segment_bytes_;
    const std::size_t size = std::min(segment_bytes_, bytes_.size() - from);
    std::memcpy(packet.push_back(header_bytes_), bytes_.data(), header_bytes_);
    if (size > 0) std::memcpy(packet.push_back(size), &bytes_[from], size);
    if (kind_ != SuperKind::none) {
        finish_ip(packet);
        finish_transport(packet);
    }
    ++made_;
    return packet;
}

void Cutter::finish_ip(PacketBuf& packet) const {
    if (!is_v4_) {
        auto* ip = packet.header<Ipv6Header>();
        ip->payload_length = static_cast<std::uint16_t>(packet.size() - sizeof(Ipv6Header));
        return;
    }
    auto* ip = packet.header<Ipv4Header>();
    ip->total_length = static_cast<std::uint16_t>(packet.size());
    ip->id = static_cast<std::uint16_t>(ip->id + made_);
    ip->checksum = 0;
    ip->checksum = checksum_finish(checksum_add(packet.bytes().first(ip_bytes_)));
}

void Cutter::finish_transport(PacketBuf& packet) const {
    const MutableByteView transport = packet.bytes().subspan(ip_bytes_);
    const auto length = static_cast<std::uint16_t>(transport.size());
    const std::uint16_t start = sum_of_two(pseudo_sum_, length);
    if (kind_ == SuperKind::udp) {
        auto* udp = reinterpret_cast<UdpHeader*>(transport.data());
        udp->length = length;
        udp->checksum = 0;
        udp->checksum = checksum_field(checksum_add(transport, start));
        return;
    }
    auto* tcp = reinterpret_cast<TcpHeader*>(transport.data());
    tcp->sequence = static_cast<std::uint32_t>(tcp->sequence + made_ * segment_bytes_);
    unsigned not_here = 0;
    if (made_ > 0) not_here |= tcp_flag::kCwr;
    if (made_ + 1 < count_) not_here |= tcp_flag::kFin | tcp_flag::kPsh;
    tcp->flags = static_cast<std::uint8_t>(tcp->flags & ~not_here);
    tcp->checksum = 0;
    tcp->checksum = checksum_field(checksum_add(transport, start));
}

}  // namespace selvage::packet
