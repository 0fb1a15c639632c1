// Peer packets in the clear and as they travel: encryption and compression of the payload.
// Source: protocol document 1-link.md, sections 2.3 to 2.5 and 3.
#pragma once

#include <optional>

#include "crypto/cipher.h"
#include "dataplane/verdict.h"
#include "packet/compress.h"
#include "packet/packet_buf.h"
#include "packet/peer_header.h"

namespace selvage::dataplane {

class PayloadCodec {
public:
    PayloadCodec(crypto::PacketCipher cipher, packet::PacketPool& pool)
        : cipher_(std::move(cipher)), pool_(&pool) {}

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
};

}  // namespace selvage::dataplane
