// The Internet checksum, eight bytes at a time.
#include "packet/checksum.h"

namespace selvage::packet {
namespace {

std::uint16_t fold(std::uint64_t sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
}

}  // namespace

std::uint16_t checksum_add(ByteView bytes, std::uint16_t start) {
    // The sum is the same in either byte order (RFC 1071 section 2 B), so words are added as the
    // machine reads them and the result is swapped once. 32-bit halves cannot overflow 64 bits.
    std::uint64_t sum = 0;
    const std::uint8_t* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; at += 8, left -= 8) {
        std::uint32_t words[2];
        std::memcpy(words, at, 8);
        sum += std::uint64_t{words[0]} + words[1];
    }
    if (left > 0) {
        std::uint8_t tail[8] = {};
        std::memcpy(tail, at, left);
        std::uint32_t words[2];
        std::memcpy(words, tail, 8);
        sum += std::uint64_t{words[0]} + words[1];
    }
    std::uint16_t folded = fold(sum);
    if constexpr (std::endian::native == std::endian::little) folded = std::byteswap(folded);
    return fold(std::uint64_t{folded} + start);
}

std::uint16_t pseudo_header_sum(
    const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
    std::uint32_t transport_bytes
) {
    struct Tail {
        be32 length;
        be32 protocol;
    } tail{transport_bytes, protocol};
    std::uint16_t sum = checksum_add(source.bytes());
    sum = checksum_add(destination.bytes(), sum);
    return checksum_add(as_bytes_of(tail), sum);
}

}  // namespace selvage::packet
