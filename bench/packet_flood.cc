// Small datagrams as fast as the kernel takes them, and how many of them arrive.
//
//   packet_flood send ADDRESS PORT BYTES SECONDS     prints how many were sent
//   packet_flood receive ADDRESS PORT                prints "ready"; at SIGTERM how many arrived
//
// 64 datagrams a system call on both sides, without segmentation offload, as a game or voice server
// with many clients would: what limits here is the network between the two, more than with
// programs that make a call for each.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t kBatch = 64;
constexpr std::size_t kBytesMax = 1400;

struct Batch {
    std::array<mmsghdr, kBatch> headers{};
    std::array<iovec, kBatch> vectors{};
    std::array<std::array<char, kBytesMax>, kBatch> bytes{};

    explicit Batch(std::size_t size) {
        for (std::size_t i = 0; i < kBatch; ++i) {
            vectors[i] = {bytes[i].data(), size};
            headers[i].msg_hdr.msg_iov = &vectors[i];
            headers[i].msg_hdr.msg_iovlen = 1;
        }
    }
};

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    std::exit(1);
}

int open_socket(const sockaddr_in& address, int option, bool connects) {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int buffer = 8 << 20;
    // Cut to what the system allows.
    ::setsockopt(fd, SOL_SOCKET, option, &buffer, sizeof buffer);
    const auto* at = reinterpret_cast<const sockaddr*>(&address);
    const int done = connects ? ::connect(fd, at, sizeof address) : ::bind(fd, at, sizeof address);
    if (fd < 0 || done != 0) fail("packet_flood: socket");
    return fd;
}

int send(const sockaddr_in& to, std::size_t size, double seconds) {
    const int fd = open_socket(to, SO_SNDBUF, true);
    Batch batch(size);
    std::uint64_t sent = 0;
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::duration<double>(seconds);
    while (Clock::now() < end) {
        const int went = ::sendmmsg(fd, batch.headers.data(), kBatch, 0);
        if (went > 0) sent += static_cast<std::uint64_t>(went);
    }
    std::printf("%llu\n", static_cast<unsigned long long>(sent));
    return 0;
}

volatile std::sig_atomic_t ended = 0;

int receive(const sockaddr_in& at) {
    struct sigaction stop{};
    stop.sa_handler = [](int) { ended = 1; };
    ::sigaction(SIGTERM, &stop, nullptr);  // without SA_RESTART: ends the call that waits
    const int fd = open_socket(at, SO_RCVBUF, false);
    // The signal may come just before the call that it is to end.
    const timeval soon{.tv_sec = 0, .tv_usec = 100'000};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    std::puts("ready");
    std::fflush(stdout);
    Batch batch(kBytesMax);
    std::uint64_t arrived = 0;
    while (ended == 0) {
        const int got = ::recvmmsg(fd, batch.headers.data(), kBatch, MSG_WAITFORONE, nullptr);
        if (got > 0) arrived += static_cast<std::uint64_t>(got);
    }
    std::printf("%llu\n", static_cast<unsigned long long>(arrived));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string_view> words(argv, argv + argc);
    const bool sends = words.size() == 6 && words[1] == "send";
    const bool receives = words.size() == 4 && words[1] == "receive";
    sockaddr_in address{};
    address.sin_family = AF_INET;
    const std::size_t size = sends ? std::strtoul(argv[4], nullptr, 10) : 1;
    if ((!sends && !receives) || ::inet_pton(AF_INET, argv[2], &address.sin_addr) != 1 ||
        size < 1 || size > kBytesMax) {
        std::fputs(
            "usage: packet_flood send ADDRESS PORT BYTES SECONDS | receive ADDRESS PORT\n", stderr
        );
        return 2;
    }
    address.sin_port = htons(static_cast<std::uint16_t>(std::strtoul(argv[3], nullptr, 10)));
    return sends ? send(address, size, std::strtod(argv[5], nullptr)) : receive(address);
}
