// Peer packets on a stream of bytes: u32le length, then the packet. The length bytes are not
// counted. A length below a peer header or above the limit ends the connection: there is nothing to
// find the next frame by. Source: protocol document 1-link.md, section 1.1.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "packet/packet_buf.h"
#include "packet/peer_header.h"

namespace selvage::tunnel {

constexpr std::size_t kFrameHeader = 4;
constexpr std::size_t kTcpFrameMax = packet::kPeerPacketMax;
constexpr std::size_t kUnixFrameMax = 4096;

enum class FrameStatus : std::uint8_t { complete, partial, bad };

// Takes the next frame off the front of `bytes`; `frame` is its packet, a part of `bytes`. Leaves
// `bytes` alone unless the frame is complete.
FrameStatus take_frame(ByteView& bytes, std::size_t limit, ByteView& frame);

// Writes a frame to the front of `room` and returns its size; 0 when it does not fit.
std::size_t put_frame(MutableByteView room, ByteView packet);

}  // namespace selvage::tunnel
