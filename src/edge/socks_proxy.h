// One client's SOCKS conversation with the proxy, version 4, 4a or 5.
//
//   5: methods, credentials (10 s) -> CONNECT: dial, reply, copy both ways
//                                  -> BIND: reply with a port, wait for the peer, reply, copy
//                                  -> UDP ASSOCIATE: reply with a port, relay datagrams
//   4: one message                 -> CONNECT, BIND likewise
#pragma once

#include "edge/proxy_core.h"
#include "edge/socks4.h"
#include "edge/socks5.h"

namespace selvage::edge {

class SocksProxy {
public:
    SocksProxy(ProxyCore& core, rt::Stream& client, ProxyCore::Visit& visit)
        : core_(core), client_(client), visit_(visit) {}

    // `first`: what has been read already, at least one byte: 04 or 05.
    rt::Task<Result<>> run(Bytes first);

private:
    rt::Task<Result<>> run_4(Bytes first);
    rt::Task<Result<>> run_5(Bytes first);
    rt::Task<Result<>> shake_hands(Socks5Handshake& handshake);
    rt::Task<Result<>> connect(Destination to, Bytes early);
    rt::Task<Result<>> bind(Destination to, Bytes early);
    rt::Task<Result<>> associate(std::uint16_t client_port);
    // The reply of the version in use; an end after a failure.
    rt::Task<Result<>> grant(Endpoint bound);
    rt::Task<Result<>> refuse(Error error);

    ProxyCore& core_;
    rt::Stream& client_;
    ProxyCore::Visit& visit_;
    bool version_4_ = false;
};

}  // namespace selvage::edge
