// Writes the frames of a simulated network as a packet capture (raw IP, nanoseconds), one host pair
// or all, so that a failed run can be looked at with the usual tools. The simulated TCP appears as
// TCP with truncated positions; its repeats and windows are visible as such.
#pragma once

#include <string>

#include "base/error.h"
#include "sim/network.h"

namespace selvage::sim {

// The whole capture as bytes of a pcap file.
Bytes build_pcap(const Network& network);
Result<> write_pcap(const Network& network, const std::string& path);

}  // namespace selvage::sim
