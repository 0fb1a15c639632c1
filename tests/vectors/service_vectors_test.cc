// What nodes answer about their services: parsed, compared, built again; and what is not believed.
#include "node/service_offers.h"
#include "rpc/protobuf.h"
#include "vector_file.h"

namespace selvage {
namespace {

using test::Json;
using test::load_vectors;

Bytes wire_of(const Json& vector) {
    return from_hex(vector["wire"].get<std::string>()).value();
}

TEST(ServiceVectors, AnswersAreReadAndBuiltToTheSameBytes) {
    std::size_t seen = 0;
    for (const Json& vector : load_vectors("control/services.json")) {
        if (vector["layer"] != "offers") continue;
        SCOPED_TRACE(vector["name"].get<std::string>());
        const auto offers = node::parse_offers(wire_of(vector));
        ASSERT_TRUE(offers) << offers.error().message();
        const Json& want = vector["decoded"]["offers"];
        ASSERT_EQ(offers->size(), want.size());
        for (std::size_t i = 0; i < want.size(); ++i) {
            EXPECT_EQ((*offers)[i].service, want[i]["service"].get<std::string>());
            EXPECT_EQ((*offers)[i].port, want[i]["port"].get<int>());
            EXPECT_EQ((*offers)[i].protocol, want[i]["protocol"].get<std::string>());
        }
        EXPECT_EQ(to_hex(node::build_offers(*offers)), vector["wire"].get<std::string>());
        ++seen;
    }
    EXPECT_GE(seen, 4U);
}

TEST(ServiceVectors, AnswersThatAreNotBelieved) {
    rpc::silence_protobuf();
    std::size_t seen = 0;
    for (const Json& vector : load_vectors("control/services.json")) {
        if (vector["layer"] != "refuse") continue;
        SCOPED_TRACE(vector["name"].get<std::string>());
        const auto offers = node::parse_offers(wire_of(vector));
        ASSERT_FALSE(offers);
        EXPECT_TRUE(offers.error().is(Errc::malformed)) << offers.error().message();
        ++seen;
    }
    EXPECT_GE(seen, 13U);
}

}  // namespace
}  // namespace selvage
