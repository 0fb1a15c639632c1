// Cutter: makes ordinary packets of what the kernel sends into a TUN device.
//
// The rules are those of the kernel's own segmentation: sequence numbers and IPv4 ids go on, FIN
// and PSH are the last packet's, CWR is the first's, options are everybody's, each checksum is made
// anew. A packet that is none of these only gets the checksum that the kernel left open.
#pragma once

#include "packet/packet_buf.h"
#include "packet/super_packet.h"

namespace selvage::packet {

class Cutter {
public:
    // Takes what lies in `bytes`, which stays there until done(). False when the packet and what is
    // said about it contradict each other, or its packets would not fit a block: nothing to cut.
    [[nodiscard]] bool begin(MutableByteView bytes, const Offload& offload);

    bool done() const { return made_ == count_; }
    std::size_t left() const { return count_ - made_; }
    // The next packet; an empty handle when the pool is exhausted. Precondition: !done().
    PacketBuf next(PacketPool& pool);

private:
    bool begin_single(const Offload& offload);
    bool begin_super(const Offload& offload);
    void finish_ip(PacketBuf& packet) const;
    void finish_transport(PacketBuf& packet) const;

    MutableByteView bytes_;
    SuperKind kind_ = SuperKind::none;
    bool is_v4_ = false;
    std::size_t ip_bytes_ = 0;
    std::size_t header_bytes_ = 0;
    std::size_t segment_bytes_ = 0;
    std::uint16_t pseudo_sum_ = 0;  // of the pseudo header with a length of 0
    std::size_t made_ = 0;
    std::size_t count_ = 0;
};

}  // namespace selvage::packet
