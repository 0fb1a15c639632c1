// Another node's answer about its services: whatever is believed is bounded and harmless to show.
#include <cstdlib>

#include "base/log.h"
#include "node/service_offers.h"
#include "rpc/protobuf.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace selvage;
    rpc::silence_protobuf();
    const auto offers = node::parse_offers({data, size});
    if (!offers) return 0;
    if (offers->size() > node::kOffersMax) std::abort();
    for (const node::Offer& offer : *offers) {
        if (offer.port == 0 || offer.service.size() > node::kOfferNameMax) std::abort();
        if (printable(offer.service) != offer.service) std::abort();
        if (printable(offer.protocol) != offer.protocol) std::abort();
    }
    const auto again = node::parse_offers(node::build_offers(*offers));
    if (!again || *again != *offers) std::abort();
    return 0;
}
