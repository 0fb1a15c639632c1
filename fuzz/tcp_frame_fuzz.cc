// Frames on a stream: however the bytes are cut into pieces, the same packets come out, none
// shorter than a peer header or longer than the limit.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "tunnel/framing.h"

namespace {

using selvage::Bytes;
using selvage::ByteView;

struct Outcome {
    std::vector<Bytes> packets;
    bool bad = false;
};

Outcome feed(ByteView wire, std::size_t piece, std::size_t limit) {
    Outcome out;
    Bytes have;
    while (!wire.empty() && !out.bad) {
        const ByteView part = wire.first(std::min(piece, wire.size()));
        wire = wire.subspan(part.size());
        have.insert(have.end(), part.begin(), part.end());
        ByteView rest(have);
        ByteView frame;
        auto status = selvage::tunnel::take_frame(rest, limit, frame);
        for (; status == selvage::tunnel::FrameStatus::complete;
             status = selvage::tunnel::take_frame(rest, limit, frame)) {
            if (frame.size() < sizeof(selvage::packet::PeerHeader) || frame.size() > limit) {
                std::abort();
            }
            out.packets.emplace_back(frame.begin(), frame.end());
        }
        out.bad = status == selvage::tunnel::FrameStatus::bad;
        have = Bytes(rest.begin(), rest.end());
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace selvage;
    if (size < 2) return 0;
    const std::size_t limit = data[0] % 2 == 0 ? tunnel::kTcpFrameMax : tunnel::kUnixFrameMax;
    const std::size_t piece = std::size_t{data[1]} + 1;
    const ByteView wire(data + 2, size - 2);
    const Outcome at_once = feed(wire, size, limit);
    const Outcome in_pieces = feed(wire, piece, limit);
    if (at_once.packets != in_pieces.packets || at_once.bad != in_pieces.bad) std::abort();
    Bytes room(tunnel::kUnixFrameMax + tunnel::kFrameHeader);
    for (const Bytes& packet : at_once.packets) {
        ByteView built(room.data(), tunnel::put_frame(room, packet));
        ByteView frame;
        if (tunnel::take_frame(built, limit, frame) != tunnel::FrameStatus::complete) std::abort();
        if (Bytes(frame.begin(), frame.end()) != packet) std::abort();
    }
    return 0;
}
