// proxy: one port that speaks SOCKS4, SOCKS4a, SOCKS5 and HTTP, into the host's network and into
// the mesh.
//
//   first byte (10 s):  04, 05 -> SOCKS      a letter -> HTTP      else -> end
//
// Names are resolved here, every address is checked, and the address that passed is the one that
// is used. Destinations in the mesh are reached through our own stack, all others from a socket of
// the host.
#include <array>

#include "edge/http_proxy.h"
#include "edge/proxy_core.h"
#include "edge/socks_proxy.h"
#include "rt/with_timeout.h"

namespace selvage::edge {
namespace {

constexpr Duration kFirstByteLimit = std::chrono::seconds(10);

ProxyOptions read_checked(const OptionTable& table) {
    std::vector<OptionProblem> ignored;
    OptionReader in(table, "", {}, ignored);
    return read_proxy_options(in);
}

rt::Task<Result<Bytes>> read_first(rt::Stream& stream) {
    std::array<std::uint8_t, 1024> buffer;
    auto got = co_await stream.read_some(buffer);
    if (!got) co_return got.error();
    Bytes out(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*got));
    crypto::wipe(buffer);  // may hold credentials
    co_return out;
}

class Proxy final : public Service {
public:
    explicit Proxy(ServiceContext& context)
        : context_(context), core_(context, read_checked(context.options)) {}

    rt::Task<Result<>> serve(rt::StreamPtr stream, Caller caller) override {
        ProxyCore::Visit visit(core_, std::move(caller));
        auto first =
            co_await rt::with_timeout(context_.runtime, kFirstByteLimit, read_first(*stream));
        if (!first) co_return std::move(first).error().with("first byte");
        if (first->empty()) co_return Result<>{};
        const std::uint8_t kind = first->front();
        if (kind == 4 || kind == 5) {
            SocksProxy socks(core_, *stream, visit);
            co_return co_await socks.run(std::move(*first));
        }
        if ((kind >= 'A' && kind <= 'Z') || (kind >= 'a' && kind <= 'z')) {
            HttpProxy http(core_, *stream, visit);
            co_return co_await http.run(std::move(*first));
        }
        co_return Error(Errc::malformed, "neither SOCKS nor HTTP");
    }

    bool reconfigure() override {
        core_.reconfigure(read_checked(context_.options));
        return true;
    }

private:
    ServiceContext& context_;
    ProxyCore core_;
};

}  // namespace

extern const ServiceSpec proxy_service;
const ServiceSpec proxy_service{
    .name = "proxy",
    .summary = "SOCKS and HTTP proxy into the host's network and the mesh",
    .default_port = 1080,
    .default_max_sessions = 512,
    .default_max_sessions_per_caller = 256,
    .check = [](OptionReader& own) { static_cast<void>(read_proxy_options(own)); },
    .make = [](ServiceContext& context) -> std::unique_ptr<Service> {
        return std::make_unique<Proxy>(context);
    },
};

}  // namespace selvage::edge
