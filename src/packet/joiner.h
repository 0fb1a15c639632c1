// Joiner: finds the packets of a batch that may reach the kernel as one super-packet.
//
// A train is a run of TCP segments, or of UDP datagrams, of one flow, such that cutting it gives
// exactly the packets that went in:
//   - the same headers, but for lengths, checksums, sequence numbers, PSH and FIN; in IPv4 the ids
//     count up, where they mean anything (RFC 6864: not with DF)
//   - no IP options, extension headers or fragments; of TCP's flags only ACK, ECE, and at the end
//     PSH and FIN; each segment begins where the one before it ended
//   - equal payloads, of which only the last may be shorter
//   - every checksum is right. The kernel believes what a device has joined, so that a wrong one
//     must reach it in a packet of its own, where it is seen and counted.
// What comes here is from the mesh and may be anything; a packet that fits nowhere is a train of
// its own. Packets of one flow never overtake each other; those of different flows may.
#pragma once

#include <array>

#include "packet/packet_buf.h"
#include "packet/super_packet.h"

namespace selvage::packet {

struct JoinOptions {
    bool tcp = true;
    bool udp = true;
};

class Joiner {
public:
    // Fits IPv6 and TCP with all the options that it can have.
    static constexpr std::size_t kHeaderMax = 40 + 60;

    struct Train {
        SuperKind kind = SuperKind::none;
        bool is_v4 = false;
        std::uint8_t ip_bytes = 0;
        std::uint8_t header_bytes = 0;  // IP and transport
        std::uint8_t count = 0;
        std::uint8_t first = 0;  // in the batch; next() leads to the others
        std::uint8_t last = 0;
        bool open = false;
        bool first_checked = false;
        std::uint16_t segment_bytes = 0;
        std::uint32_t payload_bytes = 0;
    };

    explicit Joiner(JoinOptions options = {}) : options_(options) {}
    void set(JoinOptions options) { options_ = options; }
    const JoinOptions& options() const { return options_; }

    // Sorts the packets into trains, in the order in which they are to leave. Holds until the batch
    // changes. Precondition: no packet of the batch is empty.
    std::span<const Train> arrange(const PacketBatch& batch);
    // The packet behind one that is not the last of its train.
    std::uint8_t next(std::uint8_t packet) const { return next_[packet]; }

    // Headers of the super-packet for a train of several, into `out`, and what to say about it.
    // Returns their size. The payloads follow them; the packets themselves stay as they are.
    static std::size_t build_header(
        const PacketBatch& batch, const Train& train, std::span<std::uint8_t, kHeaderMax> out,
        Offload& offload
    );

private:
    // More flows at a time than this: the train that was begun first ends.
    static constexpr std::size_t kOpenMax = 8;

    Train* open_train(const PacketBatch& batch, const Train& wanted, ByteView packet);
    bool append(const PacketBatch& batch, Train& train, const Train& wanted);
    void add(const Train& train);
    void close(Train& train);
    void close_all();

    JoinOptions options_;
    std::array<Train, PacketBatch::kCapacity> trains_{};
    std::size_t count_ = 0;
    std::array<std::uint8_t, PacketBatch::kCapacity> next_{};
    std::array<std::uint8_t, kOpenMax> open_{};  // those that may grow, in the order of beginning
    std::size_t open_count_ = 0;
};

}  // namespace selvage::packet
