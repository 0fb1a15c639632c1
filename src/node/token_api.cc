// A call that makes a token.
#include "node/token_api.h"

#include "crypto/secret.h"
#include "rpc/typed.h"
#include "selvage_token.pb.h"

namespace selvage::node {

rt::Task<Result<Bytes>> TokenApi::call(rpc::Caller, std::uint32_t method, Bytes request) {
    if (method != 1) co_return Errc::unsupported;
    auto message = rpc::from_wire<api::CreateTokenRequest>(request);
    if (!message) co_return message.error();
    const Duration lives = message->ttl_seconds() == 0
                               ? edge::TokenStore::kDefault
                               : std::chrono::seconds(message->ttl_seconds());
    auto issued = instance_.issue_token(message->service(), lives);
    if (!issued) co_return std::move(issued).error();
    api::CreateTokenResponse out;
    out.set_token(std::string(issued->token.reveal()));
    out.set_number(issued->number);
    out.set_ttl_seconds(
        static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(lives).count())
    );
    co_return rpc::to_wire(out);
}

}  // namespace selvage::node
