// RPC packets from strangers: parsing, joining, expanding, decoding. Input: pieces, each preceded
// by its length in two bytes.
#include "rpc/protobuf.h"
#include "rpc/reassembly.h"
#include "rpc/service.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace selvage;
    rpc::silence_protobuf();
    Reader in({data, size});
    rpc::Reassembly reassembly{{.message_bytes_limit = 64 * 1024, .partial_messages_per_peer = 4}};
    TimePoint now{std::chrono::hours(1)};
    le16 length;
    ByteView packet;
    while (in.read(length) && in.read_bytes(std::min<std::size_t>(length, in.left()), packet)) {
        auto piece = rpc::parse_piece(packet);
        if (!piece) continue;
        now += std::chrono::seconds(1);
        reassembly.drop_expired(now);
        const PeerId sender = piece->envelope.from;
        auto whole = reassembly.add(sender, std::move(*piece), now);
        if (!whole) continue;
        auto plain = rpc::expand_body(std::move(whole->body), whole->coding, 64 * 1024);
        if (!plain) continue;
        (void)rpc::parse_request(*plain);
        (void)rpc::parse_reply(*plain);
    }
    return 0;
}
