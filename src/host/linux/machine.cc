// Names and addresses of this machine from the kernel.
#include "host/machine.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <memory>

namespace selvage::host {

std::string machine_name() {
    std::array<char, 256> name{};
    if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
    const std::string full(name.data());
    return full.substr(0, full.find('.'));
}

std::vector<IpAddress> machine_addresses() {
    std::vector<IpAddress> out;
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) return out;
    const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
    for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
        if (at->ifa_addr == nullptr || (at->ifa_flags & IFF_UP) == 0) continue;
        if (at->ifa_addr->sa_family == AF_INET) {
            const auto* v4 = reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
            out.push_back(IpAddress::v4(ntohl(v4->sin_addr.s_addr)));
        } else if (at->ifa_addr->sa_family == AF_INET6) {
            const auto* v6 = reinterpret_cast<const sockaddr_in6*>(at->ifa_addr);
            std::array<std::uint8_t, 16> bytes{};
            std::memcpy(bytes.data(), &v6->sin6_addr, bytes.size());
            out.push_back(IpAddress::v6(bytes));
        }
    }
    return out;
}

void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    // Refused, the old limit holds.
    static_cast<void>(setrlimit(RLIMIT_NOFILE, &limit));
}

}  // namespace selvage::host
