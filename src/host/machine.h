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
// Whether a program of this host waits for what comes to this address and port: a listening TCP
// socket, or a UDP socket without a fixed peer. False also when the kernel does not tell.
bool machine_listens(packet::IpProtocol protocol, const Endpoint& at);

}  // namespace selvage::host
