// What scripts ask about a connection, in Linux' terms.
#pragma once

#include <cstddef>

#include "netstack/core/tcp_connection.h"

namespace selvage::packetdrill {

// Fills `room` bytes at `out` as Linux' struct tcp_info; what we do not have is 0.
void fill_tcp_info(const netstack::TcpConnection& connection, void* out, std::size_t room);

}  // namespace selvage::packetdrill
