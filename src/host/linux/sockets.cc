// The kernel's sockets: connecting, listening and names.
#include <netdb.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "host/linux/host.h"
#include "host/linux/stream_socket.h"
#include "host/linux/udp_socket.h"

namespace selvage::host {
namespace {

constexpr int kBacklog = 1024;

// On a worker: may block for as long as the system's resolver likes.
Result<std::vector<IpAddress>> look_up(const std::string& name) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;  // one entry per address instead of one per protocol
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* list = nullptr;
    const int failure = ::getaddrinfo(name.c_str(), nullptr, &hints, &list);
    if (failure == EAI_NONAME || failure == EAI_NODATA) {
        return Error(Errc::not_found, "no such name: " + name);
    }
    if (failure != 0) {
        return Error(Errc::unreachable, "resolve " + name + ": " + ::gai_strerror(failure));
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
    std::vector<IpAddress> out;
    for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
        if (entry->ai_family != AF_INET && entry->ai_family != AF_INET6) continue;
        SocketAddress address;
        std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
        const IpAddress ip = address.endpoint().address;
        if (std::ranges::find(out, ip) == out.end()) out.push_back(ip);
    }
    if (out.empty()) return Error(Errc::not_found, "no address for " + name);
    return out;
}

Result<SocketAddress> unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
        return Error(
            Errc::bad_argument,
            fmt::format(
                "socket path must have 1 to {} bytes: \"{}\"", sizeof address.sun_path - 1, path
            )
        );
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    SocketAddress out;
    std::memcpy(&out.storage, &address, sizeof address);
    out.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return out;
}

// Removes a socket file that nobody listens on any more. A file of another kind is left alone.
Result<> clear_stale_socket(const std::string& path, const SocketAddress& address) {
    struct stat found{};
    if (::lstat(path.c_str(), &found) != 0) {
        if (errno == ENOENT) return {};
        return os_error(errno, path);
    }
    if (!S_ISSOCK(found.st_mode)) return Error(Errc::exists, path + " exists and is no socket");
    const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!probe) return os_error(errno, "socket");
    if (::connect(probe.get(), address.get(), address.size) == 0 || errno != ECONNREFUSED) {
        return Error(Errc::in_use, path + " is in use by another process");
    }
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return os_error(errno, path);
    return {};
}

// The file mode keeps others out already; this also holds where a file system ignores modes.
bool peer_is_owner_or_root(int fd) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    return peer.uid == ::geteuid() || peer.uid == 0;
}

class LinuxSockets final : public Sockets {
public:
    LinuxSockets(rt::Runtime& runtime, packet::PacketPool& pool, Log log, Offloads offloads)
        : runtime_(runtime), udp_(runtime, pool, std::move(log), offloads) {}

    rt::Task<Result<rt::StreamPtr>> connect_tcp(Endpoint remote) override {
        return connect_stream(runtime_, SocketAddress(remote));
    }

    Result<rt::AcceptorPtr> listen_tcp(Endpoint local, TcpListenOptions options) override {
        const SocketAddress address(local);
        Fd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (!fd) return os_error(errno, "socket");
        const int on = 1;
        if (options.reuse_address) {
            ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        }
        if (local.address.is_v6() && options.v6_only) {
            ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        }
        if (auto bound = bind_to_device(fd.get(), options.device); !bound) return bound.error();
        if (::bind(fd.get(), address.get(), address.size) != 0) return os_error(errno, "bind");
        if (::listen(fd.get(), kBacklog) != 0) return os_error(errno, "listen");
        return make_socket_acceptor(runtime_, std::move(fd), {});
    }

    Result<UdpSocketPtr> open_udp(Endpoint local, UdpOptions options) override {
        return udp_.open(local, options);
    }

    rt::Task<Result<std::vector<IpAddress>>> resolve(std::string name) override {
        return resolve_on(runtime_, std::move(name));
    }

    rt::Task<Result<rt::StreamPtr>> connect_unix(std::string path) override {
        return connect_unix_on(runtime_, std::move(path));
    }

    Result<rt::AcceptorPtr> listen_unix(std::string path) override {
        const auto address = unix_address(path);
        if (!address) return address.error();
        const auto cleared = clear_stale_socket(path, *address);
        if (!cleared) return cleared.error();
        Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (!fd) return os_error(errno, "socket");
        // Before bind, so that the file never exists with a wider mode; the umask is the process's.
        if (::fchmod(fd.get(), S_IRUSR | S_IWUSR) != 0) return os_error(errno, "fchmod");
        if (::bind(fd.get(), address->get(), address->size) != 0) return os_error(errno, path);
        if (::listen(fd.get(), kBacklog) != 0) return os_error(errno, "listen");
        struct stat made{};
        if (::lstat(path.c_str(), &made) != 0) return os_error(errno, path);
        return make_socket_acceptor(
            runtime_, std::move(fd),
            {.admit = peer_is_owner_or_root, .on_close = [path, made] { remove_own(path, made); }}
        );
    }

private:
    static rt::Task<Result<std::vector<IpAddress>>> resolve_on(
        rt::Runtime& runtime, std::string name
    ) {
        const auto literal = IpAddress::parse(name);
        if (literal) co_return std::vector<IpAddress>{*literal};
        co_return co_await rt::run_on_worker(runtime, [name] { return look_up(name); });
    }

    static rt::Task<Result<rt::StreamPtr>> connect_unix_on(rt::Runtime& runtime, std::string path) {
        const auto address = unix_address(path);
        if (!address) co_return address.error();
        co_return co_await connect_stream(runtime, *address);
    }

    // Only the file that we made: somebody else may have replaced it.
    static void remove_own(const std::string& path, const struct stat& made) {
        struct stat found{};
        if (::lstat(path.c_str(), &found) != 0) return;
        if (found.st_dev == made.st_dev && found.st_ino == made.st_ino) ::unlink(path.c_str());
    }

    rt::Runtime& runtime_;
    UdpSocketFactory udp_;
};

}  // namespace

std::unique_ptr<Sockets> make_linux_sockets(
    rt::Runtime& runtime, packet::PacketPool& pool, Log log, Offloads offloads
) {
    return std::make_unique<LinuxSockets>(runtime, pool, std::move(log), offloads);
}

}  // namespace selvage::host
