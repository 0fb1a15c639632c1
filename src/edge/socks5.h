// SOCKS5 as a server speaks it (RFC 1928, RFC 1929), without I/O: fed bytes, answers with bytes.
//
//   greeting --no password wanted--> request --> done
//       |                               ^
//       +--> credentials --verified-----+            any of them --> failed
//
// The driver reads into feed(), sends what take_output() gives, checks the password when state()
// is `credentials_given`, and from `done` on uses request() and take_rest(). Bytes that came after
// the request belong to the connection and are kept.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ip.h"
#include "crypto/secret.h"
#include "edge/destination.h"

namespace selvage::edge {

// RFC 1928, section 6.
enum class SocksReply : std::uint8_t {
    succeeded = 0,
    general_failure = 1,
    not_allowed = 2,
    network_unreachable = 3,
    host_unreachable = 4,
    refused = 5,
    ttl_expired = 6,  // what the reference sends for a time-out
    command_not_supported = 7,
    address_type_not_supported = 8,
};

enum class SocksCommand : std::uint8_t { connect = 1, bind = 2, udp_associate = 3 };

// The reply that tells a client about this failure.
SocksReply socks_reply_of(const Error& error);
Bytes build_socks_reply(SocksReply reply, const Endpoint& bound);

class Socks5Handshake {
public:
    enum class State : std::uint8_t {
        greeting,           // methods expected
        credentials,        // user name and password expected
        credentials_given,  // waits for on_verified()
        request,            // request expected
        done,               // request() is there
        failed,             // error() says why; send what is left and close
    };

    explicit Socks5Handshake(bool needs_password) : needs_password_(needs_password) {}
    ~Socks5Handshake() { crypto::wipe(in_); }
    Socks5Handshake(const Socks5Handshake&) = delete;
    Socks5Handshake& operator=(const Socks5Handshake&) = delete;

    void feed(ByteView bytes);
    void on_verified(bool good);

    State state() const { return state_; }
    const Error& error() const { return error_; }
    Bytes take_output() { return std::exchange(out_, {}); }
    const std::string& user() const { return user_; }
    const crypto::SecretText& password() const { return password_; }
    SocksCommand command() const { return command_; }
    // For udp_associate, where the client will send from: mostly 0.0.0.0:0, "not known yet".
    const Destination& request() const { return request_; }
    // What came after the request.
    Bytes take_rest() { return std::exchange(in_, {}); }

private:
    void advance();
    bool read_greeting(Reader& in);
    bool read_credentials(Reader& in);
    bool read_request(Reader& in);
    bool read_address(Reader& in, std::uint8_t type);
    void fail(Errc code, std::string text);
    void fail_request(SocksReply reply, Errc code, std::string text);

    const bool needs_password_;
    State state_ = State::greeting;
    Bytes in_;  // at most one feed() beyond the longest message
    Bytes out_;
    Error error_ = Errc::malformed;
    std::string user_;
    crypto::SecretText password_;
    SocksCommand command_ = SocksCommand::connect;
    Destination request_;
};

}  // namespace selvage::edge
