// Calls that make tokens, list those that wait, and take one back.
#include "node/token_api.h"

#include "base/log.h"
#include "crypto/secret.h"
#include "rpc/typed.h"
#include "selvage_token.pb.h"

namespace selvage::node {

rt::Task<Result<Bytes>> TokenApi::call(rpc::Caller, std::uint32_t method, Bytes request) {
    switch (method) {
        case 1:
            co_return create(request);
        case 2:
            co_return list();
        case 3:
            co_return revoke(request);
        default:
            co_return Errc::unsupported;
    }
}

Result<Bytes> TokenApi::create(ByteView request) {
    auto message = rpc::from_wire<api::CreateTokenRequest>(request);
    if (!message) return message.error();
    const Duration lives = message->ttl_seconds() == 0
                               ? edge::TokenStore::kDefault
                               : std::chrono::seconds(message->ttl_seconds());
    auto issued = instance_.issue_token(message->service(), lives);
    if (!issued) return std::move(issued).error();
    api::CreateTokenResponse out;
    out.set_token(std::string(issued->token.reveal()));
    out.set_number(issued->number);
    out.set_ttl_seconds(
        static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(lives).count())
    );
    return rpc::to_wire(out);
}

Bytes TokenApi::list() {
    api::ListTokensResponse out;
    for (const edge::TokenStore::Waiting& waiting : instance_.tokens()) {
        api::WaitingToken& row = *out.add_tokens();
        row.set_number(waiting.number);
        row.set_service(waiting.service);
        row.set_seconds_left(static_cast<std::uint32_t>(
            std::chrono::duration_cast<std::chrono::seconds>(waiting.left).count()
        ));
    }
    return rpc::to_wire(out);
}

Result<Bytes> TokenApi::revoke(ByteView request) {
    auto message = rpc::from_wire<api::RevokeTokenRequest>(request);
    if (!message) return message.error();
    if (!instance_.revoke_token(message->number())) {
        return Error(Errc::not_found, fmt::format("no token {} waits", message->number()));
    }
    return Bytes{};
}

}  // namespace selvage::node
