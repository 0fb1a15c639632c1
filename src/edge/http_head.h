// The heads of HTTP/1 messages as a proxy reads and rewrites them; Boost.Beast parses, we decide.
//
// What a proxy must not pass on goes: Connection and whatever it names, Proxy-*, Keep-Alive, TE,
// Upgrade. How long a body is must be beyond doubt, or a caller could hide a second request in the
// first: both lengths at once, two different ones, or a coding other than chunked are refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/secret.h"
#include "edge/destination.h"

namespace selvage::edge {

// Bytes of a head; beyond it the message is refused.
constexpr std::size_t kHttpHeadMax = 16 * 1024;

// How the body's end is found.
struct BodyLength {
    enum class Kind : std::uint8_t { none, counted, chunked, until_close };
    Kind kind = Kind::none;
    std::uint64_t bytes = 0;  // for counted
    friend bool operator==(const BodyLength&, const BodyLength&) = default;
};

struct HttpField {
    std::string name;
    std::string value;
};

struct HttpCredentials {
    std::string user;
    crypto::SecretText password;
};

struct HttpRequest {
    std::string method;
    bool connect = false;
    Destination to;
    std::string authority;  // as in the request, for Host
    std::string path;       // origin form, with the query
    bool http_1_0 = false;
    bool keep_alive = false;
    BodyLength body;
    std::optional<HttpCredentials> credentials;
    std::vector<HttpField> fields;  // those to pass on
};

struct HttpResponse {
    unsigned status = 0;
    std::string reason;
    bool keep_alive = false;
    BodyLength body;
    std::vector<HttpField> fields;
};

// The size of the head at the front of `bytes`, its empty line included; nothing when its end is
// not there yet. Errc::bad_length beyond kHttpHeadMax.
Result<std::optional<std::size_t>> find_http_head(ByteView bytes);

// Of exactly one head. Errors: malformed, unsupported.
Result<HttpRequest> parse_http_request(ByteView head);
// `request` decides whether there can be a body.
Result<HttpResponse> parse_http_response(ByteView head, const HttpRequest& request);

std::string build_http_request(const HttpRequest& request);
std::string build_http_response(const HttpResponse& response, bool http_1_0, bool keep_alive);

// "HOST:PORT" of CONNECT, or the authority of a URL with its default port.
std::optional<Destination> parse_authority(
    std::string_view text, std::optional<std::uint16_t> default_port
);

}  // namespace selvage::edge
