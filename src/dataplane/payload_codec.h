// Peer packets in the clear and as they travel: encryption and compression of the payload.
// Source: protocol document 1-link.md, sections 2.3 to 2.5 and 3.
#pragma once

#include <array>
#include <optional>

#include "crypto/cipher.h"
#include "dataplane/verdict.h"
#include "packet/compress.h"
#include "packet/packet_buf.h"
#include "packet/peer_header.h"

namespace selvage::dataplane {

class PayloadCodec {
public:
    // `compresses`: whether shrink() does anything. What others compressed is always expanded.
    PayloadCodec(crypto::PacketCipher cipher, packet::PacketPool& pool, bool compresses = false)
        : cipher_(std::move(cipher)), pool_(&pool), compresses_(compresses) {}

    // Compresses the payload behind the header in place, before seal(). A payload that would not
    // get smaller stays as it is.
    void shrink(packet::PacketBuf& packet);

    // Encrypts the payload behind the header in place; nothing without encryption. False when
    // there is no room for the tag, which only a packet that is too large anyway can cause.
    [[nodiscard]] bool seal(packet::PacketBuf& packet);
    // Decrypts and decompresses in place and clears the flags. A reason when that fails.
    [[nodiscard]] std::optional<DropReason> open(packet::PacketBuf& packet);

    bool encrypts() const { return cipher_.enabled(); }

private:
    std::optional<DropReason> expand(packet::PacketBuf& packet);

    crypto::PacketCipher cipher_;
    packet::Compressor compressor_;
    packet::PacketPool* pool_;
    bool compresses_;
    std::array<std::uint8_t, packet::kBlockBytes> scratch_{};
};

}  // namespace selvage::dataplane
