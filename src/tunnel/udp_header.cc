// Parsing and building of the UDP tunnel header.
#include "tunnel/udp_header.h"

namespace selvage::tunnel {

Result<UdpFrame> parse_udp_frame(ByteView datagram) {
    Reader in(datagram);
    UdpHeader header;
    if (!in.read(header)) return Errc::truncated;
    if (header.length != in.left()) return Errc::bad_length;
    const UdpFrame frame{header.conn_id, static_cast<UdpType>(header.type), in.rest()};
    const bool opening = frame.type == UdpType::syn || frame.type == UdpType::sack;
    if (opening && frame.body.size() != sizeof(le64)) return Errc::bad_length;
    return frame;
}

std::uint64_t magic_of(const UdpFrame& frame) {
    le64 magic;
    Reader in(frame.body);
    return in.read(magic) ? magic.value() : 0;
}

UdpHeader build_udp_header(std::uint32_t conn_id, UdpType type, std::size_t body_bytes) {
    UdpHeader header;
    header.conn_id = conn_id;
    header.type = static_cast<std::uint8_t>(type);
    header.length = static_cast<std::uint16_t>(body_bytes);
    return header;
}

Bytes build_udp_opening(std::uint32_t conn_id, UdpType type, std::uint64_t magic) {
    const UdpHeader header = build_udp_header(conn_id, type, sizeof(le64));
    const le64 body = magic;
    Bytes out(sizeof header + sizeof body);
    std::memcpy(out.data(), &header, sizeof header);
    std::memcpy(out.data() + sizeof header, &body, sizeof body);
    return out;
}

}  // namespace selvage::tunnel
