// The few rtnetlink requests that a TUN device needs: link settings, addresses, routes, and what of
// these is there already.
//
// Each request waits for the kernel's acknowledgement, which comes within the system call that
// sends it; so this may be used on a loop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "host/linux/os.h"

struct nlmsghdr;

namespace selvage::host {

// Who added a route, as `ip route` shows it: "proto 94". Not among the numbers of iproute2's
// rt_protos.
constexpr std::uint8_t kRouteProtocol = 94;

struct LinkSettings {
    unsigned mtu = 0;        // 0: as it is
    bool quiet_ipv6 = true;  // no link-local address of the kernel's, so no chatter from it
    bool up = true;
};

class Netlink {
public:
    static Result<Netlink> open();

    Result<> set_link(unsigned index, const LinkSettings& settings);
    Result<> add_address(unsigned index, const Prefix& address);
    Result<> remove_address(unsigned index, const Prefix& address);
    // Errc::exists when the same route is there already.
    Result<> add_route(unsigned index, const Prefix& destination, unsigned metric);
    Result<> remove_route(unsigned index, const Prefix& destination, unsigned metric);
    // Removes what an earlier run left on a device that outlived it: all addresses, and the routes
    // with our protocol number. What an administrator added is left alone.
    void clear(unsigned index);

private:
    class Request;
    explicit Netlink(Fd fd) : fd_(std::move(fd)) {}
    Result<> address(std::uint16_t type, int flags, unsigned index, const Prefix& address);
    Result<> route(
        std::uint16_t type, int flags, unsigned index, const Prefix& to, unsigned metric
    );
    Result<> ask(Request& request);
    // The answers to a request for a whole table, each one message.
    std::vector<std::vector<std::uint8_t>> list(Request& request);

    Fd fd_;
    std::uint32_t sequence_ = 0;
};

}  // namespace selvage::host
