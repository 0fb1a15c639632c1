// Listeners of services and forwards: who wants the same, and the reference's SOCKS5 proxy.
#include "config/listening_ports.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "config/load.h"

namespace selvage::config {
namespace {

// What is wrong with the text; "" if nothing.
std::string mistakes(std::string_view text) {
    const auto parsed = parse_toml(text, "home.toml");
    return parsed ? "" : parsed.error().message();
}

TEST(Config, TwoServicesCannotShareAPort) {
    EXPECT_EQ(
        mistakes("[service.echo]\nenabled = true\nport = 1080\nallow = [\"any-member\"]\n"
                 "[service.proxy]\nenabled = true\nallow = [\"any-member\"]\n"),
        "home.toml:1:1: service: service echo and service proxy both want port 1080"
    );
}

TEST(Config, AForwardAndAServiceCannotShareAPort) {
    const std::string service = "[service.proxy]\nenabled = true\nallow = [\"any-member\"]\n";
    const auto forward = [](std::string_view rest) {
        return fmt::format("[[forward]]\nto = \"host:80\"\n{}\n", rest);
    };
    EXPECT_EQ(
        mistakes(forward("listen = \"1080\"\nallow = [\"any-member\"]") + service),
        "home.toml:1:1: forward: service proxy and the forward to host:80 both want port 1080"
    );
    EXPECT_EQ(
        mistakes(forward("listen = \"1080\"\nallow = [\"any-member\"]\nproto = \"udp\"") + service),
        ""
    ) << "datagrams are another matter";
    EXPECT_EQ(mistakes(forward("from = \"host\"\nlisten = \"127.0.0.1:1080\"") + service), "")
        << "as is the host";
    EXPECT_EQ(
        mistakes(
            forward("from = \"host\"\nlisten = \"127.0.0.1:1080\"") + service +
            "listen_host = \"0.0.0.0:1080\"\n"
        ),
        "home.toml:1:1: forward: service proxy and the forward to host:80 both want "
        "127.0.0.1:1080 of the host"
    );
}

TEST(Config, TheReferencesSocksProxyIsOursAtAnAddressOfTheHost) {
    const auto proxy_of = [](std::string_view text) {
        auto options = parse_toml(text, "home.toml").value();
        const auto found = std::ranges::find(options.services, "proxy", [](const auto& service) {
            return service.spec->name;
        });
        return *found;
    };
    const auto alone = proxy_of("socks5_proxy = \"socks5://0.0.0.0:1081\"");
    EXPECT_TRUE(alone.enabled);
    EXPECT_TRUE(alone.host_is_open);
    EXPECT_FALSE(alone.serves_mesh());
    EXPECT_EQ(alone.listen_host->to_string(), "0.0.0.0:1081");
    const auto both = proxy_of(
        "socks5_proxy = \"socks5://127.0.0.1:1081\"\n"
        "[service.proxy]\nenabled = true\nallow = [\"any-member\"]"
    );
    EXPECT_TRUE(both.serves_mesh());
    EXPECT_NE(
        mistakes("socks5_proxy = \"socks5://127.0.0.1:1\"\n"
                 "[service.proxy]\nenabled = true\nlisten_host = \"127.0.0.1:2\""),
        ""
    );
}

}  // namespace
}  // namespace selvage::config
