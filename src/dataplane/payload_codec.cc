// Shrink, seal, open and expand.
#include "dataplane/payload_codec.h"

#include <algorithm>

namespace selvage::dataplane {

using packet::PacketBuf;
using packet::PeerHeader;

void PayloadCodec::shrink(PacketBuf& packet) {
    auto* header = packet.header<PeerHeader>();
    constexpr std::uint8_t kDone = packet::flag::kCompressed | packet::flag::kEncrypted;
    if (!compresses_ || (header->flags & kDone) != 0) return;
    const MutableByteView plain = packet.bytes().subspan(sizeof(PeerHeader));
    // No more room than the plaintext takes: what does not fit is not worth sending.
    const auto small = compressor_.shrink(plain, MutableByteView(scratch_).first(plain.size()));
    if (!small) return;
    std::ranges::copy(*small, plain.begin());
    packet.truncate(sizeof(PeerHeader) + small->size());
    header->flags |= packet::flag::kCompressed;
}

bool PayloadCodec::seal(PacketBuf& packet) {
    auto* header = packet.header<PeerHeader>();
    if (!cipher_.enabled() || header->has(packet::flag::kEncrypted)) return true;
    if (packet.tailroom() < cipher_.tail_bytes()) return false;
    packet.push_back(cipher_.tail_bytes());
    if (!cipher_.seal(packet.bytes().subspan(sizeof(PeerHeader)))) return false;
    header->flags |= packet::flag::kEncrypted;
    return true;
}

std::optional<DropReason> PayloadCodec::open(PacketBuf& packet) {
    auto* header = packet.header<PeerHeader>();
    if (header->has(packet::flag::kEncrypted)) {
        const auto size = cipher_.open(packet.bytes().subspan(sizeof(PeerHeader)));
        if (!size) return DropReason::bad_seal;
        packet.truncate(sizeof(PeerHeader) + *size);
        header->flags &= static_cast<std::uint8_t>(~packet::flag::kEncrypted);
    }
    if (header->has(packet::flag::kCompressed)) return expand(packet);
    return std::nullopt;
}

std::optional<DropReason> PayloadCodec::expand(PacketBuf& packet) {
    const auto* header = packet.header<PeerHeader>();
    const std::size_t size = header->payload_len;
    PacketBuf wide = pool_->take();
    if (!wide) return DropReason::no_buffer;
    if (size > wide.tailroom() - sizeof(PeerHeader)) return DropReason::bad_compression;
    wide.meta() = packet.meta();
    auto* copy = new (wide.push_back(sizeof(PeerHeader))) PeerHeader(*header);
    copy->flags &= static_cast<std::uint8_t>(~packet::flag::kCompressed);
    const MutableByteView room(wide.push_back(size), size);
    const auto plain = compressor_.expand(packet.bytes().subspan(sizeof(PeerHeader)), size, room);
    if (!plain) return DropReason::bad_compression;
    packet = std::move(wide);
    return std::nullopt;
}

}  // namespace selvage::dataplane
