// Issuing and redeeming.
#include "edge/token_store.h"

#include <algorithm>

namespace selvage::edge {

void TokenStore::drop_expired(TimePoint now) {
    std::erase_if(tokens_, [now](const Token& token) { return token.expires <= now; });
}

Result<TokenStore::Issued> TokenStore::issue(
    std::string_view service, Duration lives, TimePoint now
) {
    if (lives <= Duration(0) || lives > kLongest) {
        return Error(Errc::bad_argument, "a token lives for a second to 24 hours");
    }
    drop_expired(now);
    if (tokens_.size() >= kTokensMax) {
        return Error(Errc::limit, fmt::format("{} tokens wait to be used already", kTokensMax));
    }
    crypto::SecretText token = crypto::make_token();
    const auto hash = crypto::hash_token(token);
    if (!hash) return Error(Errc::internal, "no hash of the token");
    tokens_.push_back({
        .number = next_number_++,
        .service = std::string(service),
        .hash = *hash,
        .expires = now + lives,
    });
    return Issued{.token = std::move(token), .number = tokens_.back().number};
}

std::optional<std::uint64_t> TokenStore::redeem(
    std::string_view service, const crypto::SecretText& text, TimePoint now
) {
    drop_expired(now);
    const auto hash = crypto::hash_token(text);
    if (!hash) return std::nullopt;
    auto found = tokens_.end();
    for (auto token = tokens_.begin(); token != tokens_.end(); ++token) {
        const bool same = crypto::equal_constant_time(token->hash, *hash);
        if (same && token->service == service) found = token;
    }
    if (found == tokens_.end()) return std::nullopt;
    const std::uint64_t number = found->number;
    tokens_.erase(found);
    return number;
}

std::vector<TokenStore::Waiting> TokenStore::waiting(TimePoint now) {
    drop_expired(now);
    std::vector<Waiting> out;
    for (const Token& token : tokens_)
        out.push_back(
            {.number = token.number, .service = token.service, .left = token.expires - now}
        );
    return out;
}

bool TokenStore::revoke(std::uint64_t number, TimePoint now) {
    drop_expired(now);
    return std::erase_if(tokens_, [number](const Token& t) { return t.number == number; }) > 0;
}

}  // namespace selvage::edge
