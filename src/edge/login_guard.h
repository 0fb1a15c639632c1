// Checks user names and passwords against crypt(3) hashes, and one-time tokens where they are
// taken, slowly for those who guess.
//
// Attempts of one caller are checked one after the other, and each failure makes the caller's next
// answer later: 1 s, 2 s, 4 s ... 30 s. Hashing happens on a worker, a few at a time; an unknown
// user costs as much as a known one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/option_tree.h"
#include "crypto/secret.h"
#include "edge/caller.h"
#include "edge/token_store.h"
#include "rt/event.h"
#include "rt/runtime.h"

namespace selvage::edge {

// Names and crypt(3) hashes. A hash is not a password, but no log line's business either.
using Users = std::map<std::string, std::string>;

// Reads the table `key`: { alice = "$y$..." }. Mistakes become problems.
Users read_users(OptionReader& in, std::string_view key);

// What opened the door.
struct Admission {
    bool good = false;
    std::optional<std::uint64_t> token;  // the number of the token that was used up for it
};

class LoginGuard {
public:
    LoginGuard(rt::Runtime& runtime, Users users);

    // From now on a token of `service` does for a password, whatever the name. The store outlives
    // this.
    void take_tokens(TokenStore& tokens, std::string service) {
        tokens_ = &tokens;
        service_ = std::move(service);
    }
    // For attempts from now on.
    void set_users(Users users) { users_ = std::move(users); }
    const Users& users() const { return users_; }
    bool has_users() const { return !users_.empty(); }
    bool knows(const std::string& user) const { return users_.contains(user); }
    std::uint64_t failures() const { return failures_; }

    // True for a right password. Errc::limit when too many attempts are waiting already: then
    // nothing was checked. A failure returns only after its delay.
    rt::Task<Result<bool>> check(Caller caller, std::string user, crypto::SecretText password);
    // As check(), and says how.
    rt::Task<Result<Admission>> admit(Caller caller, std::string user, crypto::SecretText password);

private:
    struct Attempts {
        std::uint32_t failures = 0;
        std::uint32_t waiting = 0;
        bool busy = false;
        TimePoint last;
    };
    class Turn;

    static std::string key_of(const Caller& caller);
    void make_room();

    rt::Runtime& runtime_;
    Users users_;
    TokenStore* tokens_ = nullptr;
    std::string service_;
    std::map<std::string, Attempts> by_caller_;  // at most kCallers; see make_room
    std::uint32_t hashing_ = 0;
    std::uint64_t failures_ = 0;
    rt::Event changed_;
};

}  // namespace selvage::edge
