// Which ports programs of this host wait on, as `ss -l` shows them: asked of the kernel's
// sock_diag, which filters by state, so that a host with very many connections is asked as quickly.
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "host/linux/os.h"
#include "host/machine.h"

namespace selvage::host {
namespace {

struct DiagRequest {
    nlmsghdr header{};
    inet_diag_req_v2 body{};
};

// Whether what is bound so gets what comes to `at`. `both` is an IPv6 socket that takes IPv4, too.
bool receives(const inet_diag_msg& socket, bool both, const Endpoint& at) {
    if (ntohs(socket.id.idiag_sport) != at.port) return false;
    IpAddress bound;
    if (socket.idiag_family == AF_INET) {
        bound = IpAddress::v4(ntohl(socket.id.idiag_src[0]));
    } else {
        std::array<std::uint8_t, 16> raw{};
        std::memcpy(raw.data(), socket.id.idiag_src, raw.size());
        bound = IpAddress::v6(raw).unmapped();
        if (bound.is_unspecified()) return at.address.is_v6() || both;
    }
    return bound == at.address || (bound.is_unspecified() && bound.is_v4() == at.address.is_v4());
}

bool takes_both(const nlmsghdr* message) {
    auto left = static_cast<int>(message->nlmsg_len - NLMSG_LENGTH(sizeof(inet_diag_msg)));
    const auto* start = reinterpret_cast<const std::uint8_t*>(NLMSG_DATA(message));
    const auto* each = reinterpret_cast<const rtattr*>(start + NLMSG_ALIGN(sizeof(inet_diag_msg)));
    for (; RTA_OK(each, left); each = RTA_NEXT(each, left)) {
        if (each->rta_type != INET_DIAG_SKV6ONLY) continue;
        return *reinterpret_cast<const std::uint8_t*>(RTA_DATA(each)) == 0;
    }
    return true;
}

// The next answers of the kernel; nothing when there are no more of them.
std::optional<bool> read_answers(int fd, const Endpoint& at) {
    alignas(nlmsghdr) std::array<std::uint8_t, 32768> answer{};
    const ssize_t got = ::recv(fd, answer.data(), answer.size(), 0);
    if (got < 0 && errno == EINTR) return false;
    if (got <= 0) return std::nullopt;
    auto left = static_cast<unsigned>(got);
    for (auto* message = reinterpret_cast<nlmsghdr*>(answer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
        if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
            return std::nullopt;
        }
        if (message->nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg))) continue;
        inet_diag_msg socket{};
        std::memcpy(&socket, NLMSG_DATA(message), sizeof socket);
        if (receives(socket, takes_both(message), at)) return true;
    }
    return false;
}

bool listens(int family, packet::IpProtocol protocol, const Endpoint& at) {
    const Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    if (!fd) return false;
    // The answers are there at once; this only keeps a surprise from blocking the loop.
    const timeval limit{.tv_sec = 1, .tv_usec = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    DiagRequest request;
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.body.sdiag_family = static_cast<std::uint8_t>(family);
    request.body.sdiag_protocol = static_cast<std::uint8_t>(protocol);
    // A UDP socket without a peer is in the state "close".
    const int state = protocol == packet::IpProtocol::tcp ? TCP_LISTEN : TCP_CLOSE;
    request.body.idiag_states = 1U << state;
    if (::send(fd.get(), &request, sizeof request, 0) < 0) return false;
    for (;;) {
        const auto found = read_answers(fd.get(), at);
        if (!found) return false;
        if (*found) return true;
    }
}

}  // namespace

bool machine_listens(packet::IpProtocol protocol, const Endpoint& at) {
    return (at.address.is_v4() && listens(AF_INET, protocol, at)) ||
           listens(AF_INET6, protocol, at);
}

}  // namespace selvage::host
