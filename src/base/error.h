// Failures as values: Errc for the program to branch on, a sentence for the person to read.
//
// A function that can fail returns Result<T>. Each caller that knows more extends the sentence
// with with(): "dial tcp://10.0.0.1:11010: handshake: connection closed". Nobody branches on text.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace selvage {

// What went wrong, as far as a program can act on it. Operating system and Asio codes pass
// through unchanged; these are the conditions that we detect ourselves.
enum class Errc {
    truncated = 1,  // fewer bytes than the format needs
    malformed,      // bytes that cannot be what they claim
    bad_length,     // a length field that contradicts what is there
    unsupported,    // understood, but not something we do
    incompatible,   // the other side is not like us: network, secret, version
    refused,        // the other side said no
    closed,         // the connection or object is gone
    reset,          // the other side ended it abruptly
    timed_out,
    unreachable,
    in_use,  // address or name taken
    denied,  // our rules say no
    limit,   // a bound was reached
    not_found,
    exists,
    cancelled,     // not a failure: somebody no longer wants the result
    bad_argument,  // the caller, or the configuration, is wrong
    internal,      // a bug on our side
};

}  // namespace selvage

template <>
struct std::is_error_code_enum<selvage::Errc> : std::true_type {};

namespace selvage {

const std::error_category& selvage_category() noexcept;
std::error_code make_error_code(Errc code) noexcept;

class [[nodiscard]] Error {
public:
    Error(Errc code) : code_(make_error_code(code)) {}  // NOLINT: implicit on purpose
    Error(std::error_code code) : code_(code) {}        // NOLINT
    Error(Errc code, std::string text) : code_(make_error_code(code)), text_(std::move(text)) {}
    Error(std::error_code code, std::string text) : code_(code), text_(std::move(text)) {}

    const std::error_code& code() const { return code_; }
    bool is(Errc code) const { return code_ == make_error_code(code); }

    // The sentence for people: context first, cause last.
    std::string message() const;

    // Puts what the caller was doing in front: error.with("dial tcp://...").
    Error with(std::string_view context) &&;
    Error with(std::string_view context) const&;

private:
    std::error_code code_;
    std::string text_;
};

template <class T = void>
class [[nodiscard]] Result : public std::expected<T, Error> {
    using Base = std::expected<T, Error>;

public:
    using Base::Base;
    Result(Error error) : Base(std::unexpected(std::move(error))) {}  // NOLINT: `return error;`
    Result(Errc code) : Base(std::unexpected(Error(code))) {}         // NOLINT: `return Errc::...;`
};

}  // namespace selvage
