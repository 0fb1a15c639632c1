// Limits of RPC, each with what happens at it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace selvage::rpc {

struct RpcOptions {
    // A message after joining its pieces and after expanding it. Route tables of a thousand peers
    // are a tenth of it. Larger ones are dropped; larger ones of ours fail the call.
    std::size_t message_bytes_limit = 4 * 1024 * 1024;
    // Requests whose pieces have not all arrived: per caller and together. A piece that would go
    // over is dropped, and its message with it.
    std::size_t partial_messages_per_peer = 16;
    std::size_t partial_messages_total = 512;
    std::size_t partial_bytes_total = 16 * 1024 * 1024;
    // An incomplete request is forgotten this long after its last piece.
    Duration partial_limit = std::chrono::seconds(10);
    // Requests being handled: per caller and together. More are answered with an error at once.
    std::size_t requests_per_peer = 32;
    std::size_t requests_total = 512;
    // Calls of ours that wait for their reply. More fail with Errc::limit.
    std::size_t calls_total = 1024;
    // How long a handler may take: what the caller asks for, but not more than this. Callers that
    // name no time get the default.
    Duration handler_default = std::chrono::seconds(5);
    Duration handler_limit = std::chrono::seconds(60);
    // What a peer said it can expand is forgotten after this time without use.
    Duration peer_memory = std::chrono::seconds(120);
    std::size_t peers_remembered = 4096;  // the oldest gives way
    // False on the management channel, where both sides call themselves 1.
    bool check_peer_ids = true;
};

}  // namespace selvage::rpc
