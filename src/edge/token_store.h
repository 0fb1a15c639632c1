// One-time tokens that let somebody into a service once: kept as hashes, in memory only, for a
// while. Without I/O; the time is an argument.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "crypto/one_time_token.h"

namespace selvage::edge {

class TokenStore {
public:
    // Those that wait to be used. Beyond it none is issued: an old one that somebody was given must
    // not stop working because others were made.
    static constexpr std::size_t kTokensMax = 64;
    static constexpr Duration kLongest = std::chrono::hours(24);
    static constexpr Duration kDefault = std::chrono::minutes(10);

    struct Issued {
        crypto::SecretText token;
        std::uint64_t number = 0;  // for logs
    };

    struct Waiting {
        std::uint64_t number = 0;
        std::string service;
        Duration left{0};
    };

    // Errors: bad_argument (a time beyond kLongest, or none), limit.
    Result<Issued> issue(std::string_view service, Duration lives, TimePoint now);
    // The number of the token, which is used up now. Nothing for what is no token of this service,
    // or is expired, or was used. Takes the same time whichever of the tokens it is.
    std::optional<std::uint64_t> redeem(
        std::string_view service, const crypto::SecretText& text, TimePoint now
    );
    std::size_t size() const { return tokens_.size(); }
    // Those that wait to be used, oldest first.
    std::vector<Waiting> waiting(TimePoint now);
    // Takes one back; false when it was used, is expired, or never was.
    bool revoke(std::uint64_t number, TimePoint now);

private:
    struct Token {
        std::uint64_t number = 0;
        std::string service;
        crypto::TokenHash hash{};
        TimePoint expires;
    };
    void drop_expired(TimePoint now);

    std::vector<Token> tokens_;  // at most kTokensMax
    std::uint64_t next_number_ = 1;
};

}  // namespace selvage::edge
