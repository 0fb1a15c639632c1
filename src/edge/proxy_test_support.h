// A proxy with a network to dial into, for its tests.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "edge/test_fakes.h"

namespace selvage::edge {

// Bytes written as hex.
inline std::string raw(std::string_view hex) {
    const Bytes bytes = from_hex(hex).value();
    return std::string(as_text(bytes));
}

inline const Endpoint kWebServer{IpAddress::v4(93, 184, 216, 34), 80};

struct TestProxy : ServiceWorld {
    explicit TestProxy(ServiceOptions options = OptionsBuilder("proxy").build())
        : ServiceWorld(std::move(options)) {
        EXPECT_TRUE(host->start());
        dialer.listening[kWebServer] = true;
        dialer.names["web.example"] = {{kWebServer.address}};
    }
    ClientPtr call() { return ports.connect(port); }
    TestClient& web() { return *dialer.reached.at(kWebServer); }
};

inline ServiceOptions proxy_for_alice() {
    return OptionsBuilder("proxy").user("alice", kSecretHash).build();
}

}  // namespace selvage::edge
