// SOCKS5 UDP ASSOCIATE (RFC 1928, section 7): datagrams of one client to many places and back.
//
//   client --[header, data]--> our port --[data]--> destination      (each destination is checked)
//   client <-[header, data]--  our port <-[data]--  who was sent to before, nobody else
//
// Lives as long as the connection that asked for it. Fragments are refused by dropping them, as
// the RFC allows. Datagrams of others than the client, and answers of strangers, are dropped.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/bytes.h"
#include "edge/outbound.h"
#include "edge/service.h"
#include "rt/event.h"

namespace selvage::edge {

struct SocksDatagram {
    Destination to;
    ByteView payload;
};
// Errors: truncated, malformed, unsupported (a fragment, an unknown address type).
Result<SocksDatagram> parse_socks_datagram(ByteView bytes);
// The header before a datagram that came from `from`.
Bytes build_socks_datagram_header(const Endpoint& from);

struct SocksUdpCounters {
    std::uint64_t fragments = 0;
    std::uint64_t malformed = 0;
    std::uint64_t strangers = 0;  // neither the client nor somebody it has written to
    std::uint64_t refused = 0;    // the destination is not allowed
};

class SocksUdpRelay {
public:
    struct Parts {
        rt::Runtime& runtime;
        const NodeView& node;
        Dialer& dialer;
        Outbound& outbound;
        SessionControl& sessions;
    };
    // `client_port` is 0 when the client did not say where it sends from.
    SocksUdpRelay(Parts parts, Caller caller, DatagramSocketPtr near, std::uint16_t client_port);

    // Until `control` ends.
    rt::Task<Result<>> run(rt::Stream& control);
    // Rules have changed: destinations are asked about again.
    void forget_checked() { checked_.clear(); }
    const SocksUdpCounters& counters() const { return counters_; }

private:
    // Our side towards the world, opened when first needed.
    enum Side : std::uint8_t { kMesh, kHostV4, kHostV6, kSides };

    rt::Task<> watch(rt::Stream& control);
    rt::Task<> from_client();
    rt::Task<> from_world(Side side);
    rt::Task<> pass_on(SocksDatagram datagram);
    rt::Task<Result<Endpoint>> checked(const Destination& to);
    DatagramSocket* socket_for(const Endpoint& to);

    Parts parts_;
    const Caller caller_;
    DatagramSocketPtr near_;
    Endpoint client_;
    DatagramSocketPtr far_[kSides];
    rt::Event opened_;
    std::map<std::string, Endpoint> checked_;  // at most kDestinations; then it starts anew
    std::map<Endpoint, bool> written_to_;      // likewise
    SocksUdpCounters counters_;
};

}  // namespace selvage::edge
