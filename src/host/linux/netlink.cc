// Writes rtnetlink messages and reads their acknowledgements.
#include "host/linux/netlink.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace selvage::host {

// One message: header, a fixed part, attributes. 512 bytes hold every request that we make.
class Netlink::Request {
public:
    Request(std::uint16_t type, int flags) {
        header()->nlmsg_type = type;
        header()->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
        header()->nlmsg_len = NLMSG_LENGTH(0);
    }
    nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes_.data()); }

    template <class T>
    T& fixed() {
        return *new (append(sizeof(T))) T{};
    }
    void attribute(std::uint16_t type, ByteView value) {
        const rtattr head{
            .rta_len = static_cast<std::uint16_t>(RTA_LENGTH(value.size())), .rta_type = type
        };
        std::memcpy(append(sizeof head), &head, sizeof head);
        if (!value.empty()) std::memcpy(append(value.size()), value.data(), value.size());
    }
    void attribute(std::uint16_t type, std::uint32_t value) {
        attribute(type, ByteView(reinterpret_cast<const std::uint8_t*>(&value), sizeof value));
    }
    // Attributes added until end_nested() are inside this one.
    std::size_t begin_nested(std::uint16_t type) {
        const std::size_t at = header()->nlmsg_len;
        attribute(type, ByteView());
        return at;
    }
    void end_nested(std::size_t at) {
        auto* head = reinterpret_cast<rtattr*>(bytes_.data() + at);
        head->rta_len = static_cast<std::uint16_t>(header()->nlmsg_len - at);
    }

private:
    std::uint8_t* append(std::size_t count) {
        const std::size_t at = NLMSG_ALIGN(header()->nlmsg_len);
        header()->nlmsg_len = static_cast<std::uint32_t>(at + count);
        return bytes_.data() + at;
    }
    alignas(nlmsghdr) std::array<std::uint8_t, 512> bytes_{};
};

namespace {

std::uint8_t family_of(const IpAddress& address) {
    return address.is_v4() ? AF_INET : AF_INET6;
}

}  // namespace

Result<Netlink> Netlink::open() {
    Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!fd) return os_error(errno, "netlink");
    // The answer is there when send() returns; this only keeps a surprise from blocking the loop.
    const timeval limit{.tv_sec = 1, .tv_usec = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return Netlink(std::move(fd));
}

Result<> Netlink::ask(Request& request) {
    nlmsghdr* header = request.header();
    header->nlmsg_seq = ++sequence_;
    header->nlmsg_flags = static_cast<std::uint16_t>(header->nlmsg_flags | NLM_F_ACK);
    if (::send(fd_.get(), header, header->nlmsg_len, 0) < 0) return os_error(errno, "netlink");
    for (;;) {
        alignas(nlmsghdr) std::array<std::uint8_t, 4096> answer{};
        const ssize_t got = ::recv(fd_.get(), answer.data(), answer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return os_error(errno, "netlink");
        auto left = static_cast<unsigned>(got);
        for (auto* message = reinterpret_cast<nlmsghdr*>(answer.data()); NLMSG_OK(message, left);
             message = NLMSG_NEXT(message, left)) {
            if (message->nlmsg_seq != sequence_ || message->nlmsg_type != NLMSG_ERROR) continue;
            nlmsgerr outcome{};
            std::memcpy(&outcome, NLMSG_DATA(message), sizeof outcome);
            if (outcome.error == 0) return {};
            return os_error(-outcome.error);
        }
    }
}

std::vector<std::vector<std::uint8_t>> Netlink::list(Request& request) {
    // A device of ours has a few addresses and at most some thousand routes; more is cut.
    constexpr std::size_t kAnswersLimit = 65536;
    std::vector<std::vector<std::uint8_t>> out;
    nlmsghdr* header = request.header();
    header->nlmsg_seq = ++sequence_;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    if (::send(fd_.get(), header, header->nlmsg_len, 0) < 0) return out;
    for (;;) {
        alignas(nlmsghdr) std::array<std::uint8_t, 32768> answer{};
        const ssize_t got = ::recv(fd_.get(), answer.data(), answer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return out;
        auto left = static_cast<unsigned>(got);
        for (auto* message = reinterpret_cast<nlmsghdr*>(answer.data()); NLMSG_OK(message, left);
             message = NLMSG_NEXT(message, left)) {
            if (message->nlmsg_seq != sequence_) continue;
            if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) return out;
            if (out.size() >= kAnswersLimit) continue;
            const auto* begin = reinterpret_cast<const std::uint8_t*>(message);
            out.emplace_back(begin, begin + message->nlmsg_len);
        }
    }
}

namespace {

// The attribute of a message whose fixed part is `T`; empty when it has none.
template <class T>
ByteView attribute_of(const std::vector<std::uint8_t>& message, std::uint16_t type) {
    std::size_t at = NLMSG_LENGTH(sizeof(T));
    while (at + sizeof(rtattr) <= message.size()) {
        rtattr head{};
        std::memcpy(&head, message.data() + at, sizeof head);
        if (head.rta_len < sizeof head || at + head.rta_len > message.size()) break;
        if (head.rta_type == type) {
            return ByteView(message).subspan(at + sizeof head, head.rta_len - sizeof head);
        }
        at += RTA_ALIGN(head.rta_len);
    }
    return {};
}

template <class T>
std::optional<T> fixed_of(const std::vector<std::uint8_t>& message) {
    T out{};
    if (message.size() < NLMSG_LENGTH(sizeof out)) return std::nullopt;
    std::memcpy(&out, message.data() + NLMSG_HDRLEN, sizeof out);
    return out;
}

std::uint32_t number_of(ByteView attribute) {
    std::uint32_t out = 0;
    if (attribute.size() == sizeof out) std::memcpy(&out, attribute.data(), sizeof out);
    return out;
}

}  // namespace

void Netlink::clear(unsigned index) {
    Request routes(RTM_GETROUTE, 0);
    routes.fixed<rtmsg>();
    for (const auto& message : list(routes)) {
        const auto fixed = fixed_of<rtmsg>(message);
        if (!fixed || fixed->rtm_protocol != kRouteProtocol) continue;
        if (number_of(attribute_of<rtmsg>(message, RTA_OIF)) != index) continue;
        // The default route has no destination in the message.
        auto to = IpAddress::from_bytes(attribute_of<rtmsg>(message, RTA_DST));
        if (!to) to = fixed->rtm_family == AF_INET ? IpAddress() : IpAddress::v6({});
        const unsigned metric = number_of(attribute_of<rtmsg>(message, RTA_PRIORITY));
        (void)remove_route(index, {*to, fixed->rtm_dst_len}, metric);
    }
    Request addresses(RTM_GETADDR, 0);
    addresses.fixed<ifaddrmsg>();
    for (const auto& message : list(addresses)) {
        const auto fixed = fixed_of<ifaddrmsg>(message);
        if (!fixed || fixed->ifa_index != index) continue;
        auto local = IpAddress::from_bytes(attribute_of<ifaddrmsg>(message, IFA_LOCAL));
        if (!local) local = IpAddress::from_bytes(attribute_of<ifaddrmsg>(message, IFA_ADDRESS));
        if (local) (void)remove_address(index, {*local, fixed->ifa_prefixlen});
    }
}

Result<> Netlink::set_link(unsigned index, const LinkSettings& settings) {
    if (settings.quiet_ipv6) {
        Request request(RTM_NEWLINK, 0);
        request.fixed<ifinfomsg>().ifi_index = static_cast<int>(index);
        const std::size_t spec = request.begin_nested(IFLA_AF_SPEC);
        const std::size_t v6 = request.begin_nested(AF_INET6);
        const std::uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
        request.attribute(IFLA_INET6_ADDR_GEN_MODE, ByteView(&mode, 1));
        request.end_nested(v6);
        request.end_nested(spec);
        (void)ask(request);  // a kernel without IPv6 refuses, and is quiet anyway
    }
    Request request(RTM_NEWLINK, 0);
    auto& link = request.fixed<ifinfomsg>();
    link.ifi_index = static_cast<int>(index);
    if (settings.up) link.ifi_flags = link.ifi_change = IFF_UP;
    if (settings.mtu != 0) request.attribute(IFLA_MTU, settings.mtu);
    return ask(request);
}

Result<> Netlink::address(std::uint16_t type, int flags, unsigned index, const Prefix& address) {
    Request request(type, flags);
    auto& fixed = request.fixed<ifaddrmsg>();
    fixed.ifa_family = family_of(address.address);
    fixed.ifa_prefixlen = address.length;
    fixed.ifa_index = index;
    fixed.ifa_scope = RT_SCOPE_UNIVERSE;
    if (address.address.is_v6()) fixed.ifa_flags = IFA_F_NODAD;  // nobody there to ask
    request.attribute(IFA_LOCAL, address.address.bytes());
    request.attribute(IFA_ADDRESS, address.address.bytes());
    const IpAddress last = address.last();
    if (address.address.is_v4() && address.length < 31 && type == RTM_NEWADDR) {
        request.attribute(IFA_BROADCAST, last.bytes());
    }
    return ask(request);
}

Result<> Netlink::route(
    std::uint16_t type, int flags, unsigned index, const Prefix& to, unsigned metric
) {
    Request request(type, flags);
    auto& fixed = request.fixed<rtmsg>();
    fixed.rtm_family = family_of(to.address);
    fixed.rtm_dst_len = to.length;
    fixed.rtm_table = RT_TABLE_MAIN;
    fixed.rtm_protocol = kRouteProtocol;
    fixed.rtm_scope = to.address.is_v4() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    fixed.rtm_type = RTN_UNICAST;
    const IpAddress network = to.network();
    request.attribute(RTA_DST, network.bytes());
    request.attribute(RTA_OIF, index);
    request.attribute(RTA_PRIORITY, metric);
    return ask(request);
}

Result<> Netlink::add_address(unsigned index, const Prefix& address) {
    return this->address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, address);
}

Result<> Netlink::remove_address(unsigned index, const Prefix& address) {
    return this->address(RTM_DELADDR, 0, index, address);
}

Result<> Netlink::add_route(unsigned index, const Prefix& destination, unsigned metric) {
    return route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, index, destination, metric);
}

Result<> Netlink::remove_route(unsigned index, const Prefix& destination, unsigned metric) {
    return route(RTM_DELROUTE, 0, index, destination, metric);
}

}  // namespace selvage::host
