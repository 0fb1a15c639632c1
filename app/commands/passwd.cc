// selvage passwd: a password's hash for `users` in a configuration.
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "command.h"
#include "crypto/password.h"

namespace selvage::app {
namespace {

constexpr std::size_t kPasswordMax = 511;  // crypt(3)'s own limit

// Switches the terminal's echo off while it lives.
class NoEcho {
public:
    NoEcho() {
        if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
        termios quiet = before_;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        changed_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
    }
    NoEcho(const NoEcho&) = delete;
    NoEcho& operator=(const NoEcho&) = delete;
    ~NoEcho() {
        if (changed_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    }

private:
    termios before_{};
    bool changed_ = false;
};

void ask(std::string_view text) {
    static_cast<void>(::write(STDERR_FILENO, text.data(), text.size()));
}

// One line without its end. Byte by byte, so that nothing behind the line is taken.
Result<crypto::SecretText> read_line() {
    Bytes line;
    line.reserve(kPasswordMax + 1);
    for (;;) {
        std::uint8_t byte = 0;
        const ssize_t got = ::read(STDIN_FILENO, &byte, 1);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0 || byte == '\n') break;
        if (line.size() > kPasswordMax) {
            crypto::wipe(line);
            return Error(Errc::limit, "a password has at most 511 bytes");
        }
        line.push_back(byte);
    }
    if (!line.empty() && line.back() == '\r') line.pop_back();
    crypto::SecretText secret(as_text(line));
    crypto::wipe(line);
    if (secret.empty()) return Error(Errc::bad_argument, "the password is empty");
    return secret;
}

Result<crypto::SecretText> ask_twice() {
    const NoEcho quiet;
    ask("Password: ");
    auto first = read_line();
    ask("\n");
    if (!first) return first;
    ask("Again: ");
    auto second = read_line();
    ask("\n");
    if (!second) return second;
    if (!first->equals(*second)) return Error(Errc::bad_argument, "the two differ");
    return first;
}

class Passwd final : public Command {
public:
    explicit Passwd(CLI::App& arguments) {
        arguments.add_option("--scheme", scheme_, "yescrypt, or sha512 where others must read it")
            ->capture_default_str()
            ->check(CLI::IsMember({"yescrypt", "sha512"}));
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        auto password = ::isatty(STDIN_FILENO) != 0 ? ask_twice() : read_line();
        if (!password) co_return password.error();
        auto hash = crypto::hash_password(
            *password,
            scheme_ == "sha512" ? crypto::PasswordScheme::sha512 : crypto::PasswordScheme::yescrypt
        );
        if (!hash) co_return hash.error();
        print(context.json ? nlohmann::json{{"hash", *hash}}.dump() + "\n" : *hash + "\n");
        co_return 0;
    }

private:
    std::string scheme_ = "yescrypt";
};

}  // namespace

const CommandSpec passwd_command{
    .name = "passwd",
    .summary = "asks for a password and prints its hash for `users`",
    .needs_node = false,
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Passwd>(arguments);
    },
};

}  // namespace selvage::app
