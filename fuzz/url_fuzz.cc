// URLs and listener arguments: what is accepted has one text form, and reading that gives the same.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.h"
#include "tunnel/url.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace selvage;
    const auto text = as_text({data, size});
    const auto url = tunnel::Url::parse(text);
    if (url) {
        const std::string written = url->to_string();
        const auto again = tunnel::Url::parse(written);
        if (!again || again->to_string() != written) std::abort();
        if (again->host != url->host || again->port != url->port || again->path != url->path) {
            std::abort();
        }
    } else if (url.error().message().empty()) {
        std::abort();
    }
    const auto listeners = tunnel::listener_urls(text);
    if (!listeners) return 0;
    for (const tunnel::Url& listener : *listeners) {
        if (!tunnel::Url::parse(listener.to_string())) std::abort();
    }
    return 0;
}
