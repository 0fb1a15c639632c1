// The reference's UDP datagrams: the header in front of peer packets, and what opens a session.
#include "tunnel/udp_header.h"
#include "vector_file.h"

namespace selvage {
namespace {

using test::hex_of;
using test::Json;
using test::load_vectors;

std::vector<Bytes> datagrams_of(const Json& vector) {
    std::vector<Bytes> out;
    if (!vector["wire"].is_array()) return {hex_of(vector["wire"])};
    for (const Json& one : vector["wire"])
        out.push_back(hex_of(one));
    return out;
}

TEST(UdpVectors, HeadersMeanWhatTheReferenceMeansAndAreBuiltTheSame) {
    int checked = 0;
    for (const Json& vector : load_vectors("link/udp_tunnel.json")) {
        SCOPED_TRACE(vector["name"].get<std::string>());
        const Json& decoded = vector["decoded"];
        if (!decoded.contains("msg_type")) continue;
        const Bytes wire = datagrams_of(vector).front();
        const auto frame = tunnel::parse_udp_frame(wire);
        ASSERT_TRUE(frame) << frame.error().message();
        EXPECT_EQ(frame->conn_id, decoded["conn_id"].get<std::uint32_t>());
        EXPECT_EQ(static_cast<int>(frame->type), decoded["msg_type"].get<int>());
        EXPECT_EQ(frame->body.size(), decoded["len"].get<std::size_t>());
        const auto header =
            tunnel::build_udp_header(frame->conn_id, frame->type, frame->body.size());
        EXPECT_EQ(to_hex(as_bytes_of(header)), to_hex(ByteView(wire).first(8)));
        if (frame->type == tunnel::UdpType::syn || frame->type == tunnel::UdpType::sack) {
            const Bytes built =
                tunnel::build_udp_opening(frame->conn_id, frame->type, tunnel::magic_of(*frame));
            EXPECT_EQ(to_hex(built), to_hex(wire));
        }
        ++checked;
    }
    EXPECT_GE(checked, 5);
}

}  // namespace
}  // namespace selvage
