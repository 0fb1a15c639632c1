// pcap: a file header of 24 bytes, then for each packet 16 bytes and the packet.
#include "sim/pcap.h"

#include <fstream>

#include "packet/checksum.h"
#include "packet/ip_headers.h"

namespace selvage::sim {
namespace {

constexpr std::uint32_t kMagicNanoseconds = 0xa1b23c4d;
constexpr std::uint32_t kLinkTypeRawIp = 101;
constexpr std::uint32_t kSnapBytes = 65535;

struct FileHeader {
    le32 magic = kMagicNanoseconds;
    le16 major = std::uint16_t{2};
    le16 minor = std::uint16_t{4};
    le32 zone = 0U;
    le32 accuracy = 0U;
    le32 snap_bytes = kSnapBytes;
    le32 link_type = kLinkTypeRawIp;
};
static_assert(sizeof(FileHeader) == 24);

struct RecordHeader {
    le32 seconds;
    le32 nanoseconds;
    le32 captured;
    le32 original;
};
static_assert(sizeof(RecordHeader) == 16);

template <WireStruct T>
void append(Bytes& out, const T& value) {
    const ByteView bytes = as_bytes_of(value);
    out.insert(out.end(), bytes.begin(), bytes.end());
}

Bytes build_transport(const Frame& frame) {
    Bytes out;
    if (frame.kind == FrameKind::datagram) {
        packet::UdpHeader udp;
        udp.source_port = frame.from.port;
        udp.destination_port = frame.to.port;
        udp.length = static_cast<std::uint16_t>(sizeof udp + frame.payload.size());
        append(out, udp);
    } else {
        packet::TcpHeader tcp;
        tcp.source_port = frame.from.port;
        tcp.destination_port = frame.to.port;
        // Position 0 is the byte after the SYN.
        const bool is_syn = frame.kind == FrameKind::syn || frame.kind == FrameKind::syn_ack;
        tcp.sequence = static_cast<std::uint32_t>(frame.position + (is_syn ? 0 : 1));
        tcp.acknowledgement = static_cast<std::uint32_t>(frame.acknowledged + 1);
        tcp.window = static_cast<std::uint16_t>(std::min<std::uint64_t>(frame.window, 65535));
        tcp.flags = frame.kind == FrameKind::reset ? packet::tcp_flag::kRst
                    : frame.kind == FrameKind::syn ? packet::tcp_flag::kSyn
                                                   : packet::tcp_flag::kAck;
        if (frame.kind == FrameKind::syn_ack) tcp.flags |= packet::tcp_flag::kSyn;
        if (frame.fin) tcp.flags |= packet::tcp_flag::kFin;
        append(out, tcp);
    }
    out.insert(out.end(), frame.payload.begin(), frame.payload.end());
    const bool is_udp = frame.kind == FrameKind::datagram;
    const auto sum = packet::checksum_finish(packet::checksum_add(
        out, packet::pseudo_header_sum(
                 frame.from.address, frame.to.address, is_udp ? 17 : 6,
                 static_cast<std::uint32_t>(out.size())
             )
    ));
    const std::size_t at = is_udp ? 6 : 16;
    out[at] = static_cast<std::uint8_t>(sum >> 8);
    out[at + 1] = static_cast<std::uint8_t>(sum);
    return out;
}

Bytes build_ip(const Frame& frame) {
    const Bytes transport = build_transport(frame);
    const std::uint8_t protocol = frame.kind == FrameKind::datagram ? 17 : 6;
    Bytes out;
    if (frame.from.address.is_v4()) {
        packet::Ipv4Header ip;
        ip.total_length = static_cast<std::uint16_t>(sizeof ip + transport.size());
        ip.protocol = protocol;
        ip.source = frame.from.address.v4_value();
        ip.destination = frame.to.address.v4_value();
        ip.checksum = packet::checksum_finish(packet::checksum_add(as_bytes_of(ip)));
        append(out, ip);
    } else {
        packet::Ipv6Header ip;
        ip.payload_length = static_cast<std::uint16_t>(transport.size());
        ip.next_header = protocol;
        ip.source = frame.from.address.raw();
        ip.destination = frame.to.address.raw();
        append(out, ip);
    }
    out.insert(out.end(), transport.begin(), transport.end());
    return out;
}

}  // namespace

Bytes build_pcap(const Network& network) {
    Bytes out;
    append(out, FileHeader{});
    for (const CapturedFrame& captured : network.captured()) {
        const Bytes packet = build_ip(captured.frame);
        const auto at = captured.when.time_since_epoch();
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(at);
        RecordHeader record;
        record.seconds = static_cast<std::uint32_t>(seconds.count());
        record.nanoseconds = static_cast<std::uint32_t>((at - seconds).count());
        record.captured = static_cast<std::uint32_t>(packet.size());
        record.original = static_cast<std::uint32_t>(packet.size());
        append(out, record);
        out.insert(out.end(), packet.begin(), packet.end());
    }
    return out;
}

Result<> write_pcap(const Network& network, const std::string& path) {
    const Bytes bytes = build_pcap(network);
    std::ofstream file(path, std::ios::binary);
    file.write(
        reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size())
    );
    file.close();
    if (!file) return Error(Errc::internal, "cannot write " + path);
    return {};
}

}  // namespace selvage::sim
