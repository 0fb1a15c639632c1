// HTTP heads and chunked bodies from strangers. The first byte chooses between request, response
// and body, and how the body is cut into reads.
#include <cstddef>
#include <cstdint>

#include "edge/http_body.h"
#include "edge/http_head.h"

namespace {

using namespace selvage;
using namespace selvage::edge;

void try_request(ByteView bytes) {
    auto size = find_http_head(bytes);
    if (!size || !*size) return;
    auto request = parse_http_request(bytes.first(**size));
    if (!request) return;
    if (request->to.port == 0) __builtin_trap();
    if (request->connect) return;
    // What we send on must mean the same to the next reader, and hold exactly one head.
    const std::string out = build_http_request(*request);
    auto whole = find_http_head(as_view(out));
    if (whole && *whole && **whole != out.size()) __builtin_trap();
}

void try_response(ByteView bytes) {
    auto size = find_http_head(bytes);
    if (!size || !*size) return;
    HttpRequest request;
    request.method = "GET";
    auto response = parse_http_response(bytes.first(**size), request);
    if (!response) return;
    const std::string out = build_http_response(*response, false, response->keep_alive);
    auto whole = find_http_head(as_view(out));
    if (whole && *whole && **whole != out.size()) __builtin_trap();
}

// However a body is cut, it ends at the same byte.
std::size_t body_size(ByteView bytes, std::size_t step) {
    BodyMeter meter({.kind = BodyLength::Kind::chunked, .bytes = 0});
    std::size_t at = 0;
    while (at < bytes.size() && !meter.done() && !meter.failed()) {
        at += meter.take(bytes.subspan(at, std::min(step, bytes.size() - at)));
    }
    return at;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const ByteView rest(data + 1, size - 1);
    switch (data[0] % 3) {
        case 0:
            try_request(rest);
            break;
        case 1:
            try_response(rest);
            break;
        default:
            if (body_size(rest, 1 + data[0] / 3) != body_size(rest, rest.size() + 1)) {
                __builtin_trap();
            }
    }
    return 0;
}
