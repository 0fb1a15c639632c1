// The SOCKS5 server's state machine.
#include "edge/socks5.h"

#include <algorithm>

namespace selvage::edge {
namespace {

constexpr std::uint8_t kVersion = 5;
constexpr std::uint8_t kAuthVersion = 1;
constexpr std::uint8_t kMethodNone = 0;
constexpr std::uint8_t kMethodPassword = 2;
constexpr std::uint8_t kNoMethod = 0xff;
constexpr std::uint8_t kAddressV4 = 1;
constexpr std::uint8_t kAddressName = 3;
constexpr std::uint8_t kAddressV6 = 4;

// One length byte and that many bytes; false when they are not all there yet.
bool read_counted(Reader& in, ByteView& out) {
    std::uint8_t count = 0;
    return in.read(count) && in.read_bytes(count, out);
}

bool is_system_error(const Error& error, std::errc condition) {
    return error.code() == std::make_error_condition(condition);
}

}  // namespace

SocksReply socks_reply_of(const Error& error) {
    if (error.is(Errc::denied)) return SocksReply::not_allowed;
    if (error.is(Errc::refused) || error.is(Errc::reset)) return SocksReply::refused;
    if (error.is(Errc::timed_out)) return SocksReply::ttl_expired;
    if (error.is(Errc::not_found)) return SocksReply::host_unreachable;
    if (error.is(Errc::unreachable)) return SocksReply::network_unreachable;
    if (is_system_error(error, std::errc::connection_refused)) return SocksReply::refused;
    if (is_system_error(error, std::errc::connection_reset)) return SocksReply::refused;
    if (is_system_error(error, std::errc::timed_out)) return SocksReply::ttl_expired;
    if (is_system_error(error, std::errc::host_unreachable)) return SocksReply::host_unreachable;
    if (is_system_error(error, std::errc::network_unreachable)) {
        return SocksReply::network_unreachable;
    }
    return SocksReply::general_failure;
}

Bytes build_socks_reply(SocksReply reply, const Endpoint& bound) {
    Bytes out{kVersion, static_cast<std::uint8_t>(reply), 0};
    out.push_back(bound.address.is_v4() ? kAddressV4 : kAddressV6);
    const ByteView address = bound.address.bytes();
    out.insert(out.end(), address.begin(), address.end());
    out.push_back(static_cast<std::uint8_t>(bound.port >> 8));
    out.push_back(static_cast<std::uint8_t>(bound.port));
    return out;
}

void Socks5Handshake::feed(ByteView bytes) {
    if (state_ == State::failed) return;
    in_.insert(in_.end(), bytes.begin(), bytes.end());
    advance();
}

void Socks5Handshake::advance() {
    for (;;) {
        Reader reader(in_);
        bool complete = false;
        switch (state_) {
            case State::greeting:
                complete = read_greeting(reader);
                break;
            case State::credentials:
                complete = read_credentials(reader);
                break;
            case State::request:
                complete = read_request(reader);
                break;
            case State::credentials_given:
            case State::done:
            case State::failed:
                return;
        }
        if (!complete) return;
        const auto used = static_cast<std::ptrdiff_t>(in_.size() - reader.left());
        // The password was among them.
        crypto::wipe(MutableByteView(in_).first(static_cast<std::size_t>(used)));
        in_.erase(in_.begin(), in_.begin() + used);
    }
}

bool Socks5Handshake::read_greeting(Reader& in) {
    std::uint8_t version = 0;
    ByteView methods;
    if (!in.read(version)) return false;
    if (version != kVersion) {
        fail(Errc::malformed, "not SOCKS5");
        return true;
    }
    if (!read_counted(in, methods)) return false;
    const std::uint8_t wanted = needs_password_ ? kMethodPassword : kMethodNone;
    if (std::find(methods.begin(), methods.end(), wanted) == methods.end()) {
        out_.insert(out_.end(), {kVersion, kNoMethod});
        fail(Errc::denied, needs_password_ ? "no password offered" : "no method that we have");
        return true;
    }
    out_.insert(out_.end(), {kVersion, wanted});
    state_ = needs_password_ ? State::credentials : State::request;
    return true;
}

bool Socks5Handshake::read_credentials(Reader& in) {
    std::uint8_t version = 0;
    ByteView user;
    ByteView password;
    if (!in.read(version)) return false;
    if (version != kAuthVersion) {
        fail(Errc::malformed, "not a user name and password message");
        return true;
    }
    if (!read_counted(in, user) || !read_counted(in, password)) return false;
    user_ = std::string(as_text(user));
    password_ = crypto::SecretText(as_text(password));
    state_ = State::credentials_given;
    return true;
}

void Socks5Handshake::on_verified(bool good) {
    if (state_ != State::credentials_given) return;
    password_ = {};
    out_.insert(out_.end(), {kAuthVersion, static_cast<std::uint8_t>(good ? 0 : 1)});
    if (!good) return fail(Errc::denied, "wrong user name or password");
    state_ = State::request;
    advance();
}

bool Socks5Handshake::read_request(Reader& in) {
    struct Head {
        std::uint8_t version;
        std::uint8_t command;
        std::uint8_t reserved;  // some clients leave junk here; nobody uses it
        std::uint8_t address_type;
    } head{};
    if (!in.read(head)) return false;
    if (head.version != kVersion) {
        fail(Errc::malformed, "bad request");
        return true;
    }
    if (head.command < 1 || head.command > 3) {
        fail_request(SocksReply::command_not_supported, Errc::unsupported, "unknown command");
        return true;
    }
    command_ = static_cast<SocksCommand>(head.command);
    return read_address(in, head.address_type);
}

bool Socks5Handshake::read_address(Reader& in, std::uint8_t type) {
    ByteView address;
    be16 port;
    switch (type) {
        case kAddressV4:
            if (!in.read_bytes(4, address)) return false;
            break;
        case kAddressV6:
            if (!in.read_bytes(16, address)) return false;
            break;
        case kAddressName:
            if (!read_counted(in, address)) return false;
            break;
        default:
            fail_request(
                SocksReply::address_type_not_supported, Errc::unsupported, "unknown address type"
            );
            return true;
    }
    if (!in.read(port)) return false;
    request_.port = port;
    if (type != kAddressName) {
        request_.address = IpAddress::from_bytes(address).value_or(IpAddress());
    } else if (auto numeric = IpAddress::parse(as_text(address))) {
        request_.address = *numeric;  // an address that came dressed as a name
    } else if (is_resolvable_name(as_text(address))) {
        request_.name = std::string(as_text(address));
    } else {
        fail_request(SocksReply::host_unreachable, Errc::malformed, "not a host name");
        return true;
    }
    if (request_.port == 0 && command_ == SocksCommand::connect) {
        fail_request(SocksReply::refused, Errc::malformed, "port 0");
        return true;
    }
    state_ = State::done;
    return true;
}

void Socks5Handshake::fail(Errc code, std::string text) {
    error_ = Error(code, std::move(text));
    state_ = State::failed;
}

void Socks5Handshake::fail_request(SocksReply reply, Errc code, std::string text) {
    const Bytes bytes = build_socks_reply(reply, {});
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    fail(code, std::move(text));
}

}  // namespace selvage::edge
