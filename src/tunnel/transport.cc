// Look-ups in the generated table, and what transports on addresses have in common.
#include "tunnel/transport.h"

#include <algorithm>

namespace selvage::tunnel {

const TransportSpec* find_transport(std::string_view scheme) {
    const auto rows = transports();
    const auto found = std::ranges::find_if(rows, [scheme](const TransportSpec* row) {
        return row->scheme == scheme;
    });
    return found == rows.end() ? nullptr : *found;
}

Result<Endpoint> listen_endpoint(const Url& url) {
    const auto address = IpAddress::parse(url.host);
    if (!address) {
        return Error(
            Errc::bad_argument,
            "listen " + url.to_string() + ": an address of this host is meant, not a name"
        );
    }
    return Endpoint{*address, url.port};
}

std::string listen_device(const Url& url) {
    return url.path.empty() ? std::string() : url.path.substr(1);
}

std::string endpoint_url(std::string_view scheme, const Endpoint& endpoint) {
    return fmt::format("{}://{}", scheme, endpoint);
}

}  // namespace selvage::tunnel
