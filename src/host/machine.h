// Facts about the machine that we run on.
#pragma once

#include <string>
#include <vector>

#include "base/ip.h"
#include "packet/packet_buf.h"

namespace selvage::host {

// The machine's own name, without its domain; "localhost" when it has none.
std::string machine_name();
// Addresses of all interfaces that are up, loopback included.
std::vector<IpAddress> machine_addresses();
// Lets this process have as many descriptors as the administrator allows: a proxy needs one for
// each session, and the usual soft limit of 1,024 is there for programs that use select().
void raise_descriptor_limit();
// Takes the pages of our programs and libraries out of this process that only its start needed, as
// far as they can be read from their files again: whatever is still in use comes back at its next
// use, from the system's cache.
void forget_startup_pages();
// Lets the calling thread go before ordinary programs (SCHED_RR at the lowest priority): a packet
// would wait milliseconds behind whatever keeps the processors busy. Its children and the threads
// that it starts are ordinary. False where the system refuses, and with a single processor, which
// would leave the others little under a flood of packets.
bool prefer_this_thread();
// Whether a program of this host waits for what comes to this address and port: a listening TCP
// socket, or a UDP socket without a fixed peer. False also when the kernel does not tell.
bool machine_listens(packet::IpProtocol protocol, const Endpoint& at);

}  // namespace selvage::host
