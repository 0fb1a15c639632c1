// Names and addresses of this machine from the kernel.
#include "host/machine.h"

#include <ifaddrs.h>
#include <link.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <span>

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

void forget_startup_pages() {
    const auto forget = [](dl_phdr_info* object, std::size_t, void*) {
        const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
        for (const ElfW(Phdr) & part : std::span(object->dlpi_phdr, object->dlpi_phnum)) {
            // What can be written, or could before it was relocated, is not as in its file.
            if (part.p_type != PT_LOAD || (part.p_flags & PF_W) != 0) continue;
            const std::uintptr_t begin = (object->dlpi_addr + part.p_vaddr) & ~(page - 1);
            const std::uintptr_t end = object->dlpi_addr + part.p_vaddr + part.p_filesz;
            // NOLINTNEXTLINE(performance-no-int-to-ptr): the loader speaks in numbers.
            ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
        }
        return 0;
    };
    ::dl_iterate_phdr(forget, nullptr);
}

bool prefer_this_thread() {
    cpu_set_t processors;
    if (sched_getaffinity(0, sizeof processors, &processors) != 0) return false;
    if (CPU_COUNT(&processors) < 2) return false;
    const sched_param lowest{.sched_priority = sched_get_priority_min(SCHED_RR)};
    return sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &lowest) == 0;
}

}  // namespace selvage::host
