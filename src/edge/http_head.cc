// Beast's parser around our rules.
#include "edge/http_head.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/detail/base64.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <charconv>

namespace selvage::edge {
namespace {

namespace http = boost::beast::http;
using Fields = http::fields;

constexpr std::string_view kHopByHop[] = {
    "connection",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "keep-alive",
    "proxy-authentication-info",
    "te",
    "upgrade",
    "http2-settings"
};

std::string_view view(boost::beast::string_view text) {
    return {text.data(), text.size()};
}

std::string lower_case(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// The elements of a comma-separated list, in lower case.
void add_elements(std::string_view text, std::vector<std::string>& out) {
    while (!text.empty()) {
        const auto comma = text.find(',');
        const std::string_view each = trim(text.substr(0, comma));
        if (!each.empty()) out.push_back(lower_case(each));
        text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    }
}

std::vector<std::string> elements_of(const Fields& fields, http::field name) {
    std::vector<std::string> out;
    const auto [first, last] = fields.equal_range(name);
    for (auto it = first; it != last; ++it)
        add_elements(view(it->value()), out);
    return out;
}

std::vector<HttpField> fields_to_pass_on(const Fields& fields) {
    const auto named = elements_of(fields, http::field::connection);
    std::vector<HttpField> out;
    for (const auto& field : fields) {
        const std::string name = lower_case(view(field.name_string()));
        if (std::ranges::find(kHopByHop, name) != std::end(kHopByHop)) continue;
        // What tells where the body ends is not theirs to remove.
        const bool framing = name == "content-length" || name == "transfer-encoding";
        if (!framing && std::ranges::find(named, name) != named.end()) continue;
        out.push_back({std::string(view(field.name_string())), std::string(view(field.value()))});
    }
    return out;
}

// none: no length is given.
Result<std::optional<BodyLength>> body_length(const Fields& fields) {
    const auto codings = elements_of(fields, http::field::transfer_encoding);
    const auto [first, last] = fields.equal_range(http::field::content_length);
    if (!codings.empty() || fields.count(http::field::transfer_encoding) != 0) {
        if (first != last) return Error(Errc::malformed, "two lengths of a body");
        if (codings != std::vector<std::string>{"chunked"}) {
            return Error(Errc::unsupported, "a coding other than chunked");
        }
        return std::optional(BodyLength{.kind = BodyLength::Kind::chunked, .bytes = 0});
    }
    std::optional<BodyLength> out;
    for (auto it = first; it != last; ++it) {
        const std::string_view text = trim(view(it->value()));
        std::uint64_t bytes = 0;
        const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), bytes);
        if (failed != std::errc{} || end != text.data() + text.size() || text.starts_with('+')) {
            return Error(Errc::malformed, "not the length of a body");
        }
        if (out && out->bytes != bytes) return Error(Errc::malformed, "two lengths of a body");
        out = BodyLength{.kind = BodyLength::Kind::counted, .bytes = bytes};
    }
    return out;
}

// "Basic dXNlcjpwYXNzd29yZA=="; anything else counts as no credentials.
std::optional<HttpCredentials> parse_credentials(std::string_view text) {
    constexpr std::string_view kScheme = "basic ";
    if (lower_case(text.substr(0, kScheme.size())) != kScheme) return std::nullopt;
    const std::string_view encoded = trim(text.substr(kScheme.size()));
    namespace base64 = boost::beast::detail::base64;
    if (encoded.empty() || encoded.size() > 1024) return std::nullopt;
    Bytes decoded(base64::decoded_size(encoded.size()) + 3);
    const auto [written, read] = base64::decode(decoded.data(), encoded.data(), encoded.size());
    const bool whole = encoded.find_first_not_of('=', read) == std::string_view::npos;
    const std::string_view plain = as_text(ByteView(decoded).first(written));
    const auto colon = plain.find(':');
    std::optional<HttpCredentials> out;
    if (whole && colon != std::string_view::npos) {
        out = HttpCredentials{
            .user = std::string(plain.substr(0, colon)),
            .password = crypto::SecretText(plain.substr(colon + 1))
        };
    }
    crypto::wipe(decoded);
    return out;
}

// "http://host[:port]/path?query" into destination, authority and path.
bool read_absolute(std::string_view target, HttpRequest& out) {
    constexpr std::string_view kScheme = "http://";
    if (lower_case(target.substr(0, kScheme.size())) != kScheme) return false;
    target.remove_prefix(kScheme.size());
    const auto end = target.find_first_of("/?");
    const std::string_view authority = target.substr(0, end);
    // A user in a URL is a trick more often than a wish.
    if (authority.find('@') != std::string_view::npos) return false;
    auto to = parse_authority(authority, std::uint16_t{80});
    if (!to) return false;
    out.to = std::move(*to);
    out.authority = std::string(authority);
    out.path = end == std::string_view::npos ? "/" : std::string(target.substr(end));
    if (out.path.front() == '?') out.path.insert(0, "/");
    return true;
}

template <bool kIsRequest>
Result<> parse_head(http::parser<kIsRequest, http::empty_body>& parser, ByteView head) {
    parser.header_limit(kHttpHeadMax);
    parser.skip(true);  // stop behind the head, whatever body follows
    boost::system::error_code error;
    const std::size_t used = parser.put(boost::asio::const_buffer(head.data(), head.size()), error);
    if (error || !parser.is_header_done() || used != head.size()) {
        return Error(Errc::malformed, "not HTTP/1: " + error.message());
    }
    const unsigned version = parser.get().version();
    if (version != 10 && version != 11) return Error(Errc::unsupported, "not HTTP/1.0 or 1.1");
    return {};
}

void add_fields(const std::vector<HttpField>& fields, std::string& out) {
    for (const HttpField& field : fields)
        out += field.name + ": " + field.value + "\r\n";
}

}  // namespace

std::optional<Destination> parse_authority(
    std::string_view text, std::optional<std::uint16_t> default_port
) {
    std::string_view host = text;
    std::string_view port_text;
    const auto bracket = text.rfind(']');
    const auto colon = text.rfind(':');
    if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
        host = text.substr(0, colon);
        port_text = text.substr(colon + 1);
    }
    Destination out;
    if (port_text.empty()) {
        if (!default_port) return std::nullopt;
        out.port = *default_port;
    } else {
        const char* end = port_text.data() + port_text.size();
        const auto [stop, failed] = std::from_chars(port_text.data(), end, out.port);
        if (failed != std::errc{} || stop != end || out.port == 0) return std::nullopt;
    }
    if (host.starts_with('[') && host.ends_with(']')) {
        auto address = IpAddress::parse(host.substr(1, host.size() - 2));
        if (!address || address->is_v4()) return std::nullopt;
        out.address = *address;
    } else if (auto address = IpAddress::parse(host)) {
        out.address = *address;
    } else if (is_resolvable_name(host) && host.find_first_of("[]:/@\\") == host.npos) {
        out.name = std::string(host);
    } else {
        return std::nullopt;
    }
    return out;
}

Result<std::optional<std::size_t>> find_http_head(ByteView bytes) {
    constexpr std::string_view kEnd = "\r\n\r\n";
    const std::string_view text = as_text(bytes.first(std::min(bytes.size(), kHttpHeadMax)));
    const auto at = text.find(kEnd);
    if (at != std::string_view::npos) return std::optional(at + kEnd.size());
    if (bytes.size() >= kHttpHeadMax) return Error(Errc::bad_length, "the head is too long");
    return std::optional<std::size_t>();
}

Result<HttpRequest> parse_http_request(ByteView head) {
    http::request_parser<http::empty_body> parser;
    if (auto parsed = parse_head(parser, head); !parsed) return parsed.error();
    const auto& message = parser.get();
    HttpRequest out;
    out.method = std::string(view(message.method_string()));
    out.connect = message.method() == http::verb::connect;
    out.http_1_0 = message.version() == 10;
    out.keep_alive = message.keep_alive();
    const auto proxy_connection = elements_of(message, http::field::proxy_connection);
    if (std::ranges::find(proxy_connection, "close") != proxy_connection.end()) {
        out.keep_alive = false;
    }
    const std::string_view target = view(message.target());
    if (out.connect) {
        auto to = parse_authority(target, std::nullopt);
        if (!to) return Error(Errc::malformed, "CONNECT wants HOST:PORT");
        out.to = std::move(*to);
        out.authority = std::string(target);
    } else if (!read_absolute(target, out)) {
        return Error(Errc::malformed, "this is a proxy: the target must be http://HOST/...");
    }
    auto length = body_length(message);
    if (!length) return length.error();
    if (*length && !out.connect) out.body = **length;
    if (out.http_1_0 && out.body.kind == BodyLength::Kind::chunked) {
        return Error(Errc::malformed, "chunked in HTTP/1.0");
    }
    const auto authorization = message.find(http::field::proxy_authorization);
    if (authorization != message.end()) {
        out.credentials = parse_credentials(view(authorization->value()));
    }
    out.fields = fields_to_pass_on(message);
    // The target names the host; a Host that says otherwise would be believed by the server.
    std::erase_if(out.fields, [](const HttpField& field) {
        return lower_case(field.name) == "host";
    });
    return out;
}

Result<HttpResponse> parse_http_response(ByteView head, const HttpRequest& request) {
    http::response_parser<http::empty_body> parser;
    if (auto parsed = parse_head(parser, head); !parsed) return parsed.error();
    const auto& message = parser.get();
    HttpResponse out;
    out.status = message.result_int();
    out.reason = std::string(view(message.reason()));
    out.keep_alive = message.keep_alive();
    auto length = body_length(message);
    if (!length) return length.error();
    const bool no_body =
        request.method == "HEAD" || out.status / 100 == 1 || out.status == 204 || out.status == 304;
    if (!no_body) {
        out.body =
            *length ? **length : BodyLength{.kind = BodyLength::Kind::until_close, .bytes = 0};
    }
    if (out.body.kind == BodyLength::Kind::until_close) out.keep_alive = false;
    out.fields = fields_to_pass_on(message);
    return out;
}

std::string build_http_request(const HttpRequest& request) {
    std::string out = request.method + " " + request.path;
    out += request.http_1_0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n";
    out += "Host: " + request.authority + "\r\n";
    add_fields(request.fields, out);
    if (request.http_1_0) out += "Connection: close\r\n";
    out += "\r\n";
    return out;
}

std::string build_http_response(const HttpResponse& response, bool http_1_0, bool keep_alive) {
    std::string out = http_1_0 ? "HTTP/1.0 " : "HTTP/1.1 ";
    out += std::to_string(response.status) + " " + response.reason + "\r\n";
    add_fields(response.fields, out);
    if (response.status / 100 != 1) {
        out += keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
    }
    out += "\r\n";
    return out;
}

}  // namespace selvage::edge
