// Rounds of questions: a few at a time, so that a large network is not asked all at once.
#include "node/service_directory.h"

#include <algorithm>

#include "rpc/typed.h"
#include "selvage_mesh.pb.h"

namespace selvage::node {
namespace {

constexpr std::uint32_t kListOffers = 1;
constexpr Duration kAnswerLimit = std::chrono::seconds(3);
constexpr std::size_t kAskedAtOnce = 64;

}  // namespace

// Shared with the tasks that ask: who waits for them may go.
struct ServiceDirectory::Round {
    Round(rt::Runtime& runtime, const std::vector<PeerId>& members) : changed(runtime) {
        for (const PeerId member : members)
            answers.push_back({.peer = member});
    }
    std::vector<NodeOffers> answers;  // as many as the question names
    std::size_t next = 0;
    std::size_t asking = 0;  // tasks that may still bring answers
    rt::Event changed;
};

// Counts a task for as long as it exists, however it ends: who waits must hear of it.
struct ServiceDirectory::Asking {
    explicit Asking(std::shared_ptr<Round> r) : round(std::move(r)) { ++round->asking; }
    Asking(const Asking&) = delete;
    Asking& operator=(const Asking&) = delete;
    ~Asking() {
        --round->asking;
        round->changed.notify();
    }
    std::shared_ptr<Round> round;
};

ServiceDirectory::ServiceDirectory(
    rt::Runtime& runtime, rpc::RpcEndpoint& rpc, std::string network, OffersFor offers_for
)
    : runtime_(runtime),
      rpc_(rpc),
      network_(std::move(network)),
      offers_for_(std::move(offers_for)),
      asking_(runtime, Log()) {}

rt::Task<Result<Bytes>> ServiceDirectory::call(
    rpc::Caller caller, std::uint32_t method, Bytes request
) {
    if (method != kListOffers) co_return Errc::unsupported;
    auto message = rpc::from_wire<mesh::ListOffersRequest>(request);
    if (!message) co_return message.error();
    co_return build_offers(offers_for_(caller.peer));
}

rt::Task<NodeOffers> ServiceDirectory::ask(PeerId member) {
    NodeOffers out{.peer = member};
    const rpc::Descriptor target{
        .domain = network_, .service = kService, .method = kListOffers, .proto_name = {}
    };
    auto answer =
        co_await rpc_.call(member, target, rpc::to_wire(mesh::ListOffersRequest{}), kAnswerLimit);
    if (!answer) {
        const bool unknown =
            answer.error().is(Errc::not_found) || answer.error().is(Errc::unsupported);
        if (unknown) out.answer = NodeOffers::Answer::does_not_say;
        co_return out;
    }
    auto offers = parse_offers(*answer);
    out.answer = offers ? NodeOffers::Answer::told : NodeOffers::Answer::malformed;
    if (offers) out.offers = std::move(*offers);
    co_return out;
}

rt::Task<> ServiceDirectory::ask_some(std::unique_ptr<Asking> asking) {
    Round& round = *asking->round;
    while (round.next < round.answers.size()) {
        const std::size_t at = round.next++;
        NodeOffers answer = co_await ask(round.answers[at].peer);
        round.answers[at] = std::move(answer);
    }
}

rt::Task<std::vector<NodeOffers>> ServiceDirectory::ask_all(std::vector<PeerId> members) {
    auto round = std::make_shared<Round>(runtime_, members);
    for (std::size_t i = 0; i < std::min(members.size(), kAskedAtOnce); ++i)
        asking_.spawn("ask for services", ask_some(std::make_unique<Asking>(round)));
    while (round->asking > 0)
        co_await round->changed.wait();
    co_return std::move(round->answers);
}

}  // namespace selvage::node
