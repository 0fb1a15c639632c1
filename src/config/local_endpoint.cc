// A port, or an address with one.
#include "config/local_endpoint.h"

#include <charconv>

namespace selvage::config {

std::optional<Endpoint> parse_local_endpoint(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error == std::errc{} && end == text.data() + text.size()) {
        return Endpoint{IpAddress::v4(127, 0, 0, 1), port};
    }
    auto endpoint = Endpoint::parse(text);
    if (!endpoint) return std::nullopt;
    return *endpoint;
}

}  // namespace selvage::config
