// The protobuf message of an answer, and its checks.
#include "node/service_offers.h"

#include <algorithm>

#include "rpc/typed.h"
#include "selvage_mesh.pb.h"

namespace selvage::node {
namespace {

// 64 offers of two names of 32 characters are below it.
constexpr std::size_t kAnswerBytesMax = 8 * 1024;

bool good_name(std::string_view name) {
    return !name.empty() && name.size() <= kOfferNameMax && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
}

}  // namespace

Bytes build_offers(const std::vector<Offer>& offers) {
    mesh::ListOffersResponse out;
    for (const Offer& offer : offers) {
        if (static_cast<std::size_t>(out.offers_size()) == kOffersMax) break;
        mesh::Offer& row = *out.add_offers();
        row.set_service(offer.service);
        row.set_port(offer.port);
        row.set_protocol(offer.protocol);
    }
    return rpc::to_wire(out);
}

Result<std::vector<Offer>> parse_offers(ByteView answer) {
    if (answer.size() > kAnswerBytesMax) return Error(Errc::malformed, "too long an answer");
    auto message = rpc::from_wire<mesh::ListOffersResponse>(answer);
    if (!message) return message.error();
    if (static_cast<std::size_t>(message->offers_size()) > kOffersMax) {
        return Error(Errc::malformed, "too many offers");
    }
    std::vector<Offer> out;
    for (const mesh::Offer& row : message->offers()) {
        if (!good_name(row.service()) || !good_name(row.protocol())) {
            return Error(Errc::malformed, "an offer has a strange name");
        }
        if (row.port() == 0 || row.port() > 65'535) {
            return Error(Errc::malformed, "an offer has no such port");
        }
        out.push_back(
            {.service = row.service(),
             .port = static_cast<std::uint16_t>(row.port()),
             .protocol = row.protocol()}
        );
    }
    return out;
}

}  // namespace selvage::node
