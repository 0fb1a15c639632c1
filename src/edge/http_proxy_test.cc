// HTTP through the proxy: heads, bodies, CONNECT and requests with absolute URLs.
#include "edge/http_body.h"
#include "edge/http_head.h"
#include "edge/proxy_test_support.h"

namespace selvage::edge {
namespace {

HttpRequest parsed(std::string_view head) {
    auto request = parse_http_request(as_view(head));
    EXPECT_TRUE(request) << request.error().message();
    return request ? std::move(*request) : HttpRequest();
}

bool refused(std::string_view head) {
    return !parse_http_request(as_view(head));
}

TEST(HttpHead, TakesTheDestinationFromTheTarget) {
    const auto get = parsed("GET http://web.example/page?x=1 HTTP/1.1\r\nHost: other\r\n\r\n");
    EXPECT_EQ(get.to.to_string(), "web.example:80");
    EXPECT_EQ(build_http_request(get), "GET /page?x=1 HTTP/1.1\r\nHost: web.example\r\n\r\n");
    EXPECT_EQ(
        parsed("GET http://[2001:db8::1]:81 HTTP/1.1\r\n\r\n").to.to_string(), "[2001:db8::1]:81"
    );
    const auto connect = parsed("CONNECT 10.0.0.1:443 HTTP/1.1\r\nHost: 10.0.0.1:443\r\n\r\n");
    EXPECT_TRUE(connect.connect);
    EXPECT_EQ(connect.to.to_string(), "10.0.0.1:443");
}

TEST(HttpHead, RefusesTargetsThatAreNotAProxys) {
    EXPECT_TRUE(refused("GET /page HTTP/1.1\r\nHost: web.example\r\n\r\n"));
    EXPECT_TRUE(refused("GET https://web.example/ HTTP/1.1\r\n\r\n"));
    EXPECT_TRUE(refused("GET http://user:word@web.example/ HTTP/1.1\r\n\r\n"));
    EXPECT_TRUE(refused("GET http://web.example:0/ HTTP/1.1\r\n\r\n"));
    EXPECT_TRUE(refused("GET http://web.example:99999/ HTTP/1.1\r\n\r\n"));
    EXPECT_TRUE(refused("CONNECT web.example HTTP/1.1\r\n\r\n"));
    EXPECT_TRUE(refused("GET http://web.example/ HTTP/2.0\r\n\r\n"));
    EXPECT_TRUE(refused("nonsense\r\n\r\n"));
}

TEST(HttpHead, WhatIsNotForTheServerIsTakenOut) {
    const auto request = parsed(
        "GET http://web.example/ HTTP/1.1\r\nHost: web.example\r\nConnection: close, X-Mine\r\n"
        "X-Mine: 1\r\nX-Theirs: 2\r\nProxy-Authorization: Basic eDp5\r\nUpgrade: websocket\r\n"
        "Proxy-Connection: close\r\nTE: trailers\r\nKeep-Alive: 5\r\n\r\n"
    );
    EXPECT_EQ(
        build_http_request(request), "GET / HTTP/1.1\r\nHost: web.example\r\nX-Theirs: 2\r\n\r\n"
    );
    EXPECT_FALSE(request.keep_alive);
    ASSERT_TRUE(request.credentials);
    EXPECT_EQ(request.credentials->user, "x");
    EXPECT_EQ(request.credentials->password.reveal(), "y");
}

TEST(HttpHead, ABodyWhoseEndIsInDoubtIsRefused) {
    const std::string start = "POST http://web.example/ HTTP/1.1\r\n";
    EXPECT_TRUE(refused(start + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"));
    EXPECT_TRUE(refused(start + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n"));
    EXPECT_TRUE(refused(start + "Content-Length: -1\r\n\r\n"));
    EXPECT_TRUE(refused(start + "Content-Length: 99999999999999999999\r\n\r\n"));
    EXPECT_TRUE(refused(start + "Transfer-Encoding: gzip, chunked\r\n\r\n"));
    EXPECT_TRUE(refused(start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n"));
    EXPECT_TRUE(refused(start + "X-A: 1\r\n folded: 2\r\nContent-Length : 3\r\n\r\n"));
    EXPECT_TRUE(refused("POST http://web.example/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"));
    // Naming the length in Connection does not remove it.
    const auto kept = parsed(start + "Connection: Content-Length\r\nContent-Length: 3\r\n\r\n");
    EXPECT_EQ(kept.body.bytes, 3U);
    EXPECT_NE(build_http_request(kept).find("Content-Length: 3"), std::string::npos);
}

// How many bytes of `text` a chunked body takes, fed in pieces of `step`; -1 when it fails.
int chunked_size(std::string_view text, std::size_t step) {
    BodyMeter meter({.kind = BodyLength::Kind::chunked, .bytes = 0});
    std::size_t at = 0;
    while (at < text.size() && !meter.done()) {
        const auto piece = text.substr(at, step);
        const std::size_t used = meter.take(as_view(piece));
        if (meter.failed()) return -1;
        at += used;
    }
    return meter.done() ? static_cast<int>(at) : -2;
}

TEST(HttpBody, FindsTheEndOfAChunkedBodyHoweverItIsCut) {
    const std::string body = "5;x=y\r\nhello\r\n0A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n";
    for (std::size_t step = 1; step <= body.size() + 5; ++step) {
        EXPECT_EQ(chunked_size(body + "GET /", step), static_cast<int>(body.size()));
    }
    EXPECT_EQ(chunked_size("5\nhello\r\n0\r\n\r\n", 100), -1);
    EXPECT_EQ(chunked_size("\r\n", 100), -1);
    EXPECT_EQ(chunked_size("-1\r\n", 100), -1);
    EXPECT_EQ(chunked_size("5\r\nhelloX", 100), -1);
    EXPECT_EQ(chunked_size("1111111111111111\r\n", 100), -1);
    EXPECT_EQ(chunked_size("0;" + std::string(9000, 'x'), 100), -1);
    EXPECT_EQ(chunked_size("5\r\nhel", 100), -2);
}

TEST(HttpProxy, ConnectIsATunnel) {
    TestProxy proxy;
    auto client = proxy.call();
    client->send("CONNECT web.example:80 HTTP/1.1\r\nHost: web.example:80\r\n\r\nearly");
    EXPECT_EQ(client->received(), "HTTP/1.1 200 Connection established\r\n\r\n");
    EXPECT_EQ(proxy.web().received(), "early");
    proxy.web().send("answer");
    client->finish();
    EXPECT_EQ(client->received(), "answer");
    EXPECT_TRUE(proxy.web().ended());
    proxy.web().finish();
    EXPECT_TRUE(proxy.host->sessions().empty());
}

TEST(HttpProxy, RequestsOfOneConnectionGoWhereTheyWant) {
    TestProxy proxy;
    const Endpoint other{IpAddress::v4(93, 184, 216, 35), 8080};
    proxy.dialer.listening[other] = true;
    auto client = proxy.call();
    client->send("GET http://web.example/a HTTP/1.1\r\nHost: web.example\r\n\r\n");
    EXPECT_EQ(proxy.web().received(), "GET /a HTTP/1.1\r\nHost: web.example\r\n\r\n");
    proxy.web().send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x\r\nX: 1\r\n\r\nhi");
    EXPECT_EQ(
        client->received(),
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi"
    );
    client->send("GET http://web.example/b HTTP/1.1\r\n\r\n");
    EXPECT_EQ(proxy.web().received(), "GET /b HTTP/1.1\r\nHost: web.example\r\n\r\n");
    proxy.web().send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    EXPECT_TRUE(client->received().ends_with("2\r\nhi\r\n0\r\n\r\n"));
    EXPECT_EQ(proxy.dialer.log.size(), 2U) << "the connection is used again";
    client->send("GET http://93.184.216.35:8080/ HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(proxy.web().ended());
    auto& second = *proxy.dialer.reached.at(other);
    EXPECT_EQ(second.received(), "GET / HTTP/1.1\r\nHost: 93.184.216.35:8080\r\n\r\n");
    second.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    second.finish();
    EXPECT_EQ(client->received(), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end");
    EXPECT_TRUE(client->ended());
}

TEST(HttpProxy, BodiesAndTheNextRequestAreToldApart) {
    TestProxy proxy;
    auto client = proxy.call();
    client->send(
        "POST http://web.example/a HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"
        "GET http://web.example/b HTTP/1.1\r\n\r\n"
    );
    EXPECT_EQ(
        proxy.web().received(),
        "POST /a HTTP/1.1\r\nHost: web.example\r\nContent-Length: 4\r\n\r\nbody"
    );
    proxy.web().send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
    EXPECT_EQ(
        client->received(),
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n"
    );
    EXPECT_EQ(proxy.web().received(), "GET /b HTTP/1.1\r\nHost: web.example\r\n\r\n");
}

TEST(HttpProxy, AnEarlyAnswerEndsAnUploadThatNobodyReads) {
    TestProxy proxy;
    auto client = proxy.call();
    client->send("PUT http://web.example/a HTTP/1.1\r\nContent-Length: 1000000\r\n\r\nsome");
    proxy.web().send("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    EXPECT_TRUE(client->received().starts_with("HTTP/1.1 403 No\r\n"));
    EXPECT_TRUE(client->ended());
}

std::string answer_to(TestProxy& proxy, std::string_view request) {
    auto client = proxy.call();
    client->send(request);
    proxy.runtime.run_for(11s);
    const std::string answer = client->received();
    return answer.substr(0, answer.find("\r\n"));
}

TEST(HttpProxy, EveryFailureHasItsStatus) {
    TestProxy proxy;
    EXPECT_EQ(answer_to(proxy, "GET http://127.0.0.1/ HTTP/1.1\r\n\r\n"), "HTTP/1.1 403 Forbidden");
    EXPECT_EQ(
        answer_to(proxy, "CONNECT nowhere.example:1 HTTP/1.1\r\n\r\n"), "HTTP/1.1 502 Bad Gateway"
    );
    proxy.dialer.slow[kWebServer] = 12s;
    EXPECT_EQ(
        answer_to(proxy, "GET http://web.example/ HTTP/1.1\r\n\r\n"), "HTTP/1.1 504 Gateway Timeout"
    );
    EXPECT_EQ(answer_to(proxy, "GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 400 Bad Request");
    EXPECT_EQ(
        answer_to(proxy, "GET http://web.example/ HTTP/1.1\r\nX: " + std::string(20'000, 'x')),
        "HTTP/1.1 431 Request Header Fields Too Large"
    );
    proxy.dialer.slow.clear();
    auto client = proxy.call();
    client->send("GET http://web.example/ HTTP/1.1\r\n\r\n");
    proxy.web().send("not HTTP at all\r\n\r\n");
    EXPECT_TRUE(client->received().starts_with("HTTP/1.1 502 Bad Gateway"));
}

TEST(HttpProxy, AsksForThePassword) {
    TestProxy proxy(proxy_for_alice());
    auto client = proxy.call();
    client->send("GET http://web.example/ HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(client->received().starts_with(
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"selvage\""
    ));
    client->send(
        "GET http://web.example/ HTTP/1.1\r\nProxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n\r\n"
    );
    proxy.runtime.run_for(1s);
    EXPECT_EQ(proxy.web().received(), "GET / HTTP/1.1\r\nHost: web.example\r\n\r\n");
    auto wrong = proxy.call();
    wrong->send(
        "CONNECT web.example:80 HTTP/1.1\r\nProxy-Authorization: Basic YWxpY2U6d3Jvbmc=\r\n\r\n"
    );
    EXPECT_EQ(wrong->received(), "") << "a wrong password is answered late";
    proxy.runtime.run_for(2s);
    EXPECT_TRUE(wrong->received().starts_with("HTTP/1.1 407 "));
    EXPECT_EQ(proxy.sink->count("login failed"), 1U);
}

TEST(HttpProxy, ASilentClientIsDropped) {
    TestProxy proxy;
    auto client = proxy.call();
    client->send("GET http://web");
    proxy.runtime.run_for(11s);
    EXPECT_TRUE(client->ended());
    EXPECT_TRUE(proxy.host->sessions().empty());
}

}  // namespace
}  // namespace selvage::edge
