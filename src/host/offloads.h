// Work that is left to the kernel or to special units of the processor where they have it. All of
// it is on by default, and each part falls back by itself where it is missing; switches are for
// measuring and for finding out who is to blame.
#pragma once

namespace selvage::host {

struct Offloads {
    bool tun = true;          // super-packets of the TUN device (packet/super_packet.h)
    bool udp_segment = true;  // one call for a run of datagrams: UDP_SEGMENT
    bool udp_join = true;     // one message for what arrived of a run: UDP_GRO
    bool cipher = true;       // AES-GCM in vector units (crypto/vector_gcm.h)
};

}  // namespace selvage::host
