// One client's HTTP conversation with the proxy: CONNECT, or any number of requests with absolute
// URLs, each to its own place.
//
//   head (10 s; 60 s between requests) -> credentials -> dial -> CONNECT: copy both ways
//                                                             -> else: request, response, next one
//
// The connection to a server is kept for the next request to the same place. Anything doubtful
// about where a message ends closes the connection.
#pragma once

#include <string>

#include "edge/http_head.h"
#include "edge/proxy_core.h"

namespace selvage::edge {

class HttpProxy {
public:
    HttpProxy(ProxyCore& core, rt::Stream& client, ProxyCore::Visit& visit)
        : core_(core), client_(client), visit_(visit) {}

    // `first`: what has been read already.
    rt::Task<Result<>> run(Bytes first);

private:
    struct Exchange;

    rt::Task<Result<>> read_head(std::size_t& size);
    rt::Task<bool> log_in(HttpRequest& request);
    rt::Task<Result<bool>> serve_one(HttpRequest request);
    rt::Task<Result<>> tunnel(const HttpRequest& request);
    rt::Task<Result<>> reach(const HttpRequest& request);
    rt::Task<> upload(Exchange& exchange);
    rt::Task<> download(Exchange& exchange);
    rt::Task<Result<>> copy_response(Exchange& exchange);
    rt::Task<Result<HttpResponse>> read_response(Exchange& exchange);
    rt::Task<Result<>> answer(unsigned status, std::string_view extra, bool keep_alive);

    ProxyCore& core_;
    rt::Stream& client_;
    ProxyCore::Visit& visit_;
    Bytes in_;  // read from the client and not used; at most a head and one read
    bool logged_in_ = false;
    rt::StreamPtr server_;
    std::string server_name_;  // whom server_ leads to
    Bytes from_server_;        // read from it and not used; likewise
};

}  // namespace selvage::edge
