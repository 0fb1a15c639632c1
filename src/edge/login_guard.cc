// Password checks with a memory of failures.
#include "edge/login_guard.h"

#include <algorithm>

#include "base/log.h"
#include "crypto/password.h"

namespace selvage::edge {
namespace {

// Callers that failed lately. Beyond it the one that has been quiet longest is forgotten; a member
// has one key however many connections it opens.
constexpr std::size_t kCallers = 1024;
constexpr std::uint32_t kWaitingPerCaller = 4;  // more connections that guess at once are refused
constexpr std::uint32_t kHashing = 2;           // leaves the workers to others, too
constexpr Duration kFirstDelay = std::chrono::seconds(1);
constexpr Duration kLongestDelay = std::chrono::seconds(30);
constexpr Duration kForget = std::chrono::minutes(15);  // after this long failures do not count

Duration delay_after(std::uint32_t failures) {
    const std::uint32_t doublings = std::min<std::uint32_t>(failures - 1, 5);
    return std::min(kFirstDelay * (1U << doublings), kLongestDelay);
}

}  // namespace

Users read_users(OptionReader& in, std::string_view key) {
    Users users;
    const OptionTable* table = in.table(key);
    if (table == nullptr) return users;
    for (const auto& entry : table->entries()) {
        const auto* hash = entry.value.get<std::string>();
        if (hash == nullptr || !crypto::is_password_hash(*hash)) {
            in.problem(
                key, entry.value.at(),
                fmt::format(
                    "the entry of \"{}\" must be a crypt(3) hash; `selvage passwd` makes one",
                    printable(entry.key, 32)
                )
            );
            continue;
        }
        users.emplace(entry.key, *hash);
    }
    return users;
}

// One attempt's place: waits for the caller's other attempts, and gives way when it is gone.
class LoginGuard::Turn {
public:
    Turn(LoginGuard& guard, const std::string& key) : guard_(guard), key_(key) {
        ++guard_.by_caller_[key_].waiting;
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
        Attempts& attempts = guard_.by_caller_[key_];
        --attempts.waiting;
        if (took_caller_) attempts.busy = false;
        if (took_worker_) --guard_.hashing_;
        if (attempts.failures == 0 && attempts.waiting == 0) guard_.by_caller_.erase(key_);
        guard_.changed_.notify();
    }
    bool try_take() {
        Attempts& attempts = guard_.by_caller_[key_];
        if (attempts.busy || guard_.hashing_ >= kHashing) return false;
        attempts.busy = took_caller_ = true;
        took_worker_ = true;
        ++guard_.hashing_;
        return true;
    }
    // The delay after a failure keeps the caller's turn, not the worker.
    void leave_worker() {
        took_worker_ = false;
        --guard_.hashing_;
        guard_.changed_.notify();
    }
    Attempts& attempts() { return guard_.by_caller_[key_]; }

private:
    LoginGuard& guard_;
    const std::string key_;
    bool took_caller_ = false;
    bool took_worker_ = false;
};

LoginGuard::LoginGuard(rt::Runtime& runtime, Users users)
    : runtime_(runtime), users_(std::move(users)), changed_(runtime) {}

std::string LoginGuard::key_of(const Caller& caller) {
    if (caller.origin == Origin::host) return "host";
    return fmt::format("peer {}", caller.peer);
}

void LoginGuard::make_room() {
    if (by_caller_.size() < kCallers) return;
    auto oldest = by_caller_.end();
    for (auto it = by_caller_.begin(); it != by_caller_.end(); ++it) {
        if (it->second.waiting != 0) continue;
        if (oldest == by_caller_.end() || it->second.last < oldest->second.last) oldest = it;
    }
    if (oldest != by_caller_.end()) by_caller_.erase(oldest);
}

rt::Task<Result<bool>> LoginGuard::check(
    Caller caller, std::string user, crypto::SecretText password
) {
    auto admitted = co_await admit(std::move(caller), std::move(user), std::move(password));
    if (!admitted) co_return std::move(admitted).error();
    co_return admitted->good;
}

rt::Task<Result<Admission>> LoginGuard::admit(
    Caller caller, std::string user, crypto::SecretText password
) {
    const std::string key = key_of(caller);
    if (const auto found = by_caller_.find(key); found == by_caller_.end()) {
        make_room();
        if (by_caller_.size() >= kCallers) co_return Errc::limit;
    } else if (found->second.waiting >= kWaitingPerCaller) {
        co_return Errc::limit;
    }
    Turn turn(*this, key);
    while (!turn.try_take()) {
        co_await changed_.wait();
    }
    if (tokens_ != nullptr) {
        if (const auto number = tokens_->redeem(service_, password, runtime_.now())) {
            turn.attempts().failures = 0;
            co_return Admission{.good = true, .token = number};
        }
    }
    const auto entry = users_.find(user);
    const std::string hash = entry == users_.end() ? std::string() : entry->second;
    const bool good = co_await rt::run_on_worker(runtime_, [hash, secret = std::move(password)] {
        return hash.empty() ? crypto::verify_nobody(secret) : crypto::verify_password(secret, hash);
    });
    turn.leave_worker();
    Attempts& attempts = turn.attempts();
    if (good) {
        attempts.failures = 0;
        co_return Admission{.good = true, .token = std::nullopt};
    }
    ++failures_;
    if (runtime_.now() - attempts.last > kForget) attempts.failures = 0;
    ++attempts.failures;
    attempts.last = runtime_.now();
    co_await rt::sleep_for(runtime_, delay_after(attempts.failures));
    co_return Admission{};
}

}  // namespace selvage::edge
