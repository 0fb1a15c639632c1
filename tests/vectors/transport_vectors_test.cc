// What transports put in front of the reference's peer packets: lengths on streams, the header of
// UDP datagrams and what opens a session.
#include <filesystem>

#include "tunnel/framing.h"
#include "tunnel/udp_header.h"
#include "vector_file.h"

namespace selvage {
namespace {

using test::hex_of;
using test::Json;
using test::load_vectors;

std::vector<Bytes> pieces_of(const Json& vector) {
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
        const Bytes wire = pieces_of(vector).front();
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

TEST(FrameVectors, EveryPacketOfAStreamIsOneFrame) {
    int checked = 0;
    const std::string folder = std::string(SELVAGE_SOURCE_DIR) + "/tests/vectors/link";
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
        for (const Json& vector : load_vectors("link/" + file.path().filename().string())) {
            if (vector.value("layer", "") != "tcp") continue;
            SCOPED_TRACE(file.path().string() + ": " + vector["name"].get<std::string>());
            for (const Bytes& wire : pieces_of(vector)) {
                ByteView rest(wire);
                ByteView frame;
                ASSERT_EQ(
                    tunnel::take_frame(rest, tunnel::kTcpFrameMax, frame),
                    tunnel::FrameStatus::complete
                );
                EXPECT_TRUE(rest.empty());
                Bytes built(wire.size());
                EXPECT_EQ(tunnel::put_frame(built, frame), wire.size());
                EXPECT_EQ(to_hex(built), to_hex(wire));
                ++checked;
            }
        }
    }
    EXPECT_GE(checked, 30);
}

}  // namespace
}  // namespace selvage
