// What a node takes from the world around it: the loop, the operating system, randomness.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/log.h"
#include "crypto/cipher.h"
#include "host/record_files.h"
#include "host/sockets.h"
#include "host/terminal.h"
#include "host/tun.h"
#include "packet/packet_buf.h"
#include "rt/runtime.h"

namespace selvage::node {

// Everything here outlives the node.
struct NodeEnvironment {
    rt::Runtime& runtime;
    packet::PacketPool& pool;  // of the loop; the sockets receive into it
    host::Sockets& sockets;
    host::TunFactory* tuns = nullptr;            // none: only no-TUN mode works
    host::TerminalFactory* terminals = nullptr;  // none: no shells
    host::RecordFiles* record_files = nullptr;   // none: nothing is recorded
    std::string host_name;                       // of this machine
    std::function<std::vector<IpAddress>()> host_addresses;
    // Whether a program of the host waits at this place of its kernel.
    std::function<bool(packet::IpProtocol, const Endpoint&)> host_listens =
        [](packet::IpProtocol, const Endpoint&) { return false; };
    // Ids, keys of hash tables and nonces. The simulation gives a repeatable source.
    std::function<void(MutableByteView)> fill_random;
    // The node cannot go on (its TUN device was deleted): look at Node::failure() and stop it.
    std::function<void()> on_failure = [] {};
    Log log;
    crypto::CipherCode cipher_code = crypto::CipherCode::fastest;
    LogTail* log_tail = nullptr;  // what was logged last, for the menu; none: it shows none
};

}  // namespace selvage::node
