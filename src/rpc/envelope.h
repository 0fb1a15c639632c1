// The envelope of every call: one common.RpcPacket per piece.
// Source: protocol document 2-control.md, sections 1.1 and 1.2.
//
// A message (an encoded RpcRequest or RpcResponse, perhaps compressed) is cut into pieces, so
// that each packet fits through every tunnel:
//
//   message -> zstd, if the other side takes it and it helps -> pieces -> one packet each
//
// Piece 0 names the service; later ones only do when the body is not compressed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"

namespace selvage::rpc {

// Which method is meant. On the mesh the domain is the network's name, on the management
// channel it is empty. Methods count from 1 in declaration order.
struct Descriptor {
    std::string domain;
    std::string service;
    std::uint32_t method = 0;
    std::string
        proto_name;  // the service's name again; stays empty in calls, where it is filled in

    friend bool operator==(const Descriptor&, const Descriptor&) = default;
};

// How a body is coded; also what a peer can take. `invalid` is what the wire may say and nobody
// may mean: a message that claims it is an error.
enum class Coding : std::uint8_t { invalid = 0, none = 1, zstd = 2 };

struct Envelope {
    PeerId from;
    PeerId to;
    std::int64_t transaction = 0;
    Descriptor target;
    std::int32_t trace = 0;
    bool is_request = false;
    Coding coding = Coding::none;
    Coding accepted = Coding::none;
    Bytes body;
};

// One received packet. `envelope.body` is its share of the message.
struct Piece {
    Envelope envelope;
    std::uint32_t total = 0;
    std::uint32_t index = 0;
    bool has_descriptor = false;
};

// The largest encoded RpcPacket: 1300 less the headers and the AEAD tail that a udp tunnel adds.
constexpr std::size_t kPieceBytes = 1248;
// More pieces than this are refused by every receiver.
constexpr std::uint32_t kPiecesLimit = 32768;

Result<Piece> parse_piece(ByteView packet);

// The encoded packets of a message, in order. Errc::limit when it cannot be cut.
Result<std::vector<Bytes>> build_pieces(const Envelope& message);

// A body in the form in which it travels: compressed when the receiver takes that, when it makes
// the body smaller, and when a stock receiver will agree to expand it again.
struct CodedBody {
    Coding coding = Coding::none;
    Bytes bytes;
};
CodedBody shrink_body(Bytes plain, Coding accepted);

// Undoes shrink_body() within `limit`, and within the reference's own: 32 times the compressed
// size, but 64 KiB always.
Result<Bytes> expand_body(Bytes body, Coding coding, std::size_t limit);

}  // namespace selvage::rpc
