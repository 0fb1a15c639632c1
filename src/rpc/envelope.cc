// Between envelopes and their protobuf form.
#include "rpc/envelope.h"

#include <limits>

#include "common.pb.h"
#include "packet/compress.h"

namespace selvage::rpc {
namespace {

constexpr std::size_t kExpandFactor = 32;
constexpr std::size_t kExpandAlways = 65536;
// Bodies shorter than this never shrink enough to be worth the attempt.
constexpr std::size_t kShrinkFrom = 64;

std::size_t expand_limit(std::size_t compressed) {
    return std::max(compressed * kExpandFactor, kExpandAlways);
}

Coding coding_of(int wire) {
    switch (wire) {
        case common::None:
            return Coding::none;
        case common::Zstd:
            return Coding::zstd;
        default:
            return Coding::invalid;
    }
}

common::CompressionAlgoPb wire_of(Coding coding) {
    switch (coding) {
        case Coding::none:
            return common::None;
        case Coding::zstd:
            return common::Zstd;
        case Coding::invalid:
            return common::Invalid;
    }
    return common::Invalid;
}

void fill_descriptor(common::RpcDescriptor& out, const Descriptor& target) {
    out.set_domain_name(target.domain);
    out.set_proto_name(target.proto_name.empty() ? target.service : target.proto_name);
    out.set_service_name(target.service);
    out.set_method_index(target.method);
}

std::size_t varint_size(std::size_t value) {
    std::size_t size = 1;
    while (value >= 0x80) {
        value >>= 7;
        ++size;
    }
    return size;
}

// How many bytes of the body fit beside the other fields, counted as if the piece numbers were
// as long as they can get, so that it is the same for all pieces.
std::size_t body_share(common::RpcPacket packet) {
    packet.set_total_pieces(std::numeric_limits<std::uint32_t>::max());
    packet.set_piece_idx(std::numeric_limits<std::uint32_t>::max());
    packet.clear_compression_info();
    packet.clear_body();
    const std::size_t others = packet.ByteSizeLong();
    const std::size_t key_and_length = 1 + varint_size(kPieceBytes);
    return others + key_and_length >= kPieceBytes ? 0 : kPieceBytes - others - key_and_length;
}

}  // namespace

Result<Piece> parse_piece(ByteView packet) {
    common::RpcPacket in;
    if (!in.ParseFromArray(packet.data(), static_cast<int>(packet.size()))) return Errc::malformed;
    Piece piece;
    piece.total = in.total_pieces();
    piece.index = in.piece_idx();
    if (piece.total == 0 && piece.index == 0) piece.total = 1;  // how very old peers say "whole"
    if (piece.index >= piece.total || piece.total > kPiecesLimit) return Errc::malformed;
    piece.has_descriptor = in.has_descriptor();
    if (piece.index == 0 && !piece.has_descriptor) return Errc::malformed;
    Envelope& out = piece.envelope;
    out.from = PeerId(in.from_peer());
    out.to = PeerId(in.to_peer());
    out.transaction = in.transaction_id();
    out.target = {
        .domain = in.descriptor().domain_name(),
        .service = in.descriptor().service_name(),
        .method = in.descriptor().method_index(),
        .proto_name = in.descriptor().proto_name(),
    };
    out.trace = in.trace_id();
    out.is_request = in.is_request();
    if (in.has_compression_info()) {
        out.coding = coding_of(in.compression_info().algo());
        out.accepted = coding_of(in.compression_info().accepted_algo());
    }
    out.body.assign(in.body().begin(), in.body().end());
    return piece;
}

Result<std::vector<Bytes>> build_pieces(const Envelope& message) {
    common::RpcPacket first;
    first.set_from_peer(message.from.raw());
    first.set_to_peer(message.to.raw());
    first.set_transaction_id(message.transaction);
    fill_descriptor(*first.mutable_descriptor(), message.target);
    first.set_is_request(message.is_request);
    first.set_trace_id(message.trace);
    common::RpcPacket later = first;
    if (message.coding != Coding::none) later.clear_descriptor();
    first.mutable_compression_info()->set_algo(wire_of(message.coding));
    first.mutable_compression_info()->set_accepted_algo(wire_of(message.accepted));

    const std::size_t first_share = body_share(first);
    const std::size_t later_share = body_share(later);
    if (first_share == 0) return Error(Errc::limit, "service name too long for a packet");
    const std::size_t size = message.body.size();
    const std::size_t beyond = size > first_share ? size - first_share : 0;
    const std::size_t total = 1 + (beyond + later_share - 1) / later_share;
    if (total > kPiecesLimit) return Error(Errc::limit, "message has too many pieces");

    std::vector<Bytes> out;
    std::size_t at = 0;
    for (std::size_t index = 0; index < total; ++index) {
        common::RpcPacket& packet = index == 0 ? first : later;
        const std::size_t share = std::min(index == 0 ? first_share : later_share, size - at);
        packet.set_body(message.body.data() + at, share);
        packet.set_total_pieces(static_cast<std::uint32_t>(total));
        packet.set_piece_idx(static_cast<std::uint32_t>(index));
        at += share;
        Bytes bytes(packet.ByteSizeLong());
        if (!packet.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()))) {
            return Errc::internal;
        }
        out.push_back(std::move(bytes));
    }
    return out;
}

CodedBody shrink_body(Bytes plain, Coding accepted) {
    if (accepted == Coding::zstd && plain.size() >= kShrinkFrom) {
        auto shrunk = packet::zstd_shrink(plain);
        if (shrunk && shrunk->size() < plain.size() &&
            plain.size() <= expand_limit(shrunk->size())) {
            return {.coding = Coding::zstd, .bytes = std::move(*shrunk)};
        }
    }
    return {.coding = Coding::none, .bytes = std::move(plain)};
}

Result<Bytes> expand_body(Bytes body, Coding coding, std::size_t limit) {
    switch (coding) {
        case Coding::none:
            return body;
        case Coding::zstd:
            return packet::zstd_expand(body, std::min(limit, expand_limit(body.size())));
        case Coding::invalid:
            break;
    }
    return Error(Errc::malformed, "unknown compression");
}

}  // namespace selvage::rpc
