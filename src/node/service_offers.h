// What nodes tell each other of their services: the values, and their form on the wire.
//
// The answer comes from another node and is shown to people, so every part of it is checked: how
// many there are, names of harmless letters, ports that exist. One bad entry spoils the answer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"

namespace selvage::node {

// Of one answer. More are not told, and more are not believed.
constexpr std::size_t kOffersMax = 64;
constexpr std::size_t kOfferNameMax = 32;

struct Offer {
    std::string service;
    std::uint16_t port = 0;
    std::string protocol;
    friend bool operator==(const Offer&, const Offer&) = default;
};

// What one node answered.
struct NodeOffers {
    // told: this is what we may use. does_not_say: it has no such call, as stock nodes.
    enum class Answer : std::uint8_t { no_answer, does_not_say, malformed, told };
    PeerId peer;
    Answer answer = Answer::no_answer;
    std::vector<Offer> offers;
};

Bytes build_offers(const std::vector<Offer>& offers);
// Errc::malformed.
Result<std::vector<Offer>> parse_offers(ByteView answer);

}  // namespace selvage::node
