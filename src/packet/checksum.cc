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

// Words of 8 bytes, each as two halves, so that 64 bits cannot overflow. The compiler makes vector
// code of it, as wide as its caller may use.
[[gnu::always_inline]] inline std::uint64_t sum_words(const std::uint8_t* at, std::size_t words) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < words; ++i, at += 8) {
        std::uint32_t halves[2];
        std::memcpy(halves, at, 8);
        sum += std::uint64_t{halves[0]} + halves[1];
    }
    return sum;
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] std::uint64_t sum_words_avx2(const std::uint8_t* at, std::size_t words) {
    return sum_words(at, words);
}
#endif

std::uint64_t sum_whole_words(const std::uint8_t* at, std::size_t words) {
#if defined(__x86_64__)
    static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
    // Short ones, such as headers, are done before wide registers are warm.
    if (words >= 16 && has_avx2) return sum_words_avx2(at, words);
#endif
    return sum_words(at, words);
}

}  // namespace

std::uint16_t checksum_add(ByteView bytes, std::uint16_t start) {
    // The sum is the same in either byte order (RFC 1071 section 2 B), so words are added as the
    // machine reads them and the result is swapped once.
    const std::size_t words = bytes.size() / 8;
    std::uint64_t sum = sum_whole_words(bytes.data(), words);
    const ByteView rest = bytes.subspan(words * 8);
    if (!rest.empty()) {
        std::uint8_t tail[8] = {};
        std::memcpy(tail, rest.data(), rest.size());
        sum += sum_words(tail, 1);
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
