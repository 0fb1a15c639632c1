// Each call: look the socket up, use the stack, let it speak, wait where the system would.
#include "tests/packetdrill/socket_calls.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>

#include "tests/packetdrill/tcp_info.h"

namespace selvage::packetdrill {

using netstack::CloseReason;
using netstack::TcpState;
using netstack::TcpStatus;

namespace {

int fail(int error) {
    errno = error;
    return -1;
}

std::optional<Endpoint> endpoint_of(const sockaddr* address, socklen_t length) {
    if (address == nullptr || length < sizeof(sockaddr_in)) return std::nullopt;
    if (address->sa_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, address, sizeof(in));
        return Endpoint{IpAddress::v4(ntohl(in.sin_addr.s_addr)), ntohs(in.sin_port)};
    }
    if (address->sa_family != AF_INET6 || length < sizeof(sockaddr_in6)) return std::nullopt;
    sockaddr_in6 in{};
    std::memcpy(&in, address, sizeof(in));
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    return Endpoint{IpAddress::v6(bytes), ntohs(in.sin6_port)};
}

void put_address(const Endpoint& from, sockaddr* address, socklen_t* length) {
    if (address == nullptr || length == nullptr) return;
    sockaddr_storage out{};
    socklen_t bytes = sizeof(sockaddr_in);
    if (from.address.is_v4()) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(from.port);
        in.sin_addr.s_addr = htonl(from.address.v4_value());
        std::memcpy(&out, &in, sizeof(in));
    } else {
        sockaddr_in6 in{};
        in.sin6_family = AF_INET6;
        in.sin6_port = htons(from.port);
        std::memcpy(&in.sin6_addr, from.address.raw().data(), 16);
        std::memcpy(&out, &in, sizeof(in));
        bytes = sizeof(in);
    }
    std::memcpy(address, &out, std::min(bytes, *length));
    *length = bytes;
}

int errno_of(CloseReason reason) {
    switch (reason) {
        case CloseReason::refused:
            return ECONNREFUSED;
        case CloseReason::reset:
            return ECONNRESET;
        case CloseReason::timed_out:
            return ETIMEDOUT;
        case CloseReason::unreachable:
            return EHOSTUNREACH;
        case CloseReason::none:
        case CloseReason::finished:
        case CloseReason::aborted:
            return EPIPE;
    }
    return EPIPE;
}

bool is_opening(const TcpStatus& status) {
    return status.state == TcpState::syn_sent || status.state == TcpState::syn_received;
}

}  // namespace

SocketCalls::Socket* SocketCalls::find(int fd) {
    const auto found = sockets_.find(fd);
    return found == sockets_.end() ? nullptr : &found->second;
}

int SocketCalls::add(Socket socket) {
    sockets_.emplace(next_fd_, std::move(socket));
    return next_fd_++;
}

int SocketCalls::socket(int domain, int type) {
    const auto lock = world_.lock();
    if ((type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM) return fail(EPROTONOSUPPORT);
    if (domain != AF_INET && domain != AF_INET6) return fail(EAFNOSUPPORT);
    // What the runner tells packetdrill to use as the address under test.
    world_.add_address(IpAddress::v4(192, 168, 0, 1));
    Socket made;
    if ((type & SOCK_NONBLOCK) != 0) made.flags |= O_NONBLOCK;
    return add(std::move(made));
}

int SocketCalls::bind(int fd, const sockaddr* address, socklen_t length) {
    const auto lock = world_.lock();
    Socket* s = find(fd);
    const auto local = endpoint_of(address, length);
    if (s == nullptr || !local) return fail(EINVAL);
    s->local = *local;
    if (!local->address.is_unspecified()) world_.add_address(local->address);
    return 0;
}

int SocketCalls::listen(int fd, int backlog) {
    const auto lock = world_.lock();
    Socket* s = find(fd);
    if (s == nullptr) return fail(EBADF);
    netstack::TcpListenOptions options{.socket = s->options};
    // Linux counts one more than it is told.
    options.accept_queue_limit = static_cast<std::size_t>(std::max(backlog, 0)) + 1;
    const auto id = world_.stack().tcp_listen(s->local.port, options);
    if (!id) return fail(EADDRINUSE);
    s->listener = *id;
    return 0;
}

int SocketCalls::accept(int fd, sockaddr* address, socklen_t* length) {
    auto lock = world_.lock();
    Socket* s = find(fd);
    if (s == nullptr || !s->listener) return fail(EINVAL);
    std::optional<netstack::TcpId> id;
    const auto ready = [&] {
        if (!id) id = world_.stack().tcp_accept(*s->listener);
        return id.has_value();
    };
    if (!ready()) {
        if ((s->flags & O_NONBLOCK) != 0 || !world_.wait_until(lock, ready)) return fail(EAGAIN);
    }
    const TcpStatus status = world_.stack().tcp_status(*id);
    put_address({status.flow.remote, status.flow.remote_port}, address, length);
    Socket made;
    made.tcp = *id;
    made.options = s->options;
    return add(std::move(made));
}

int SocketCalls::connect(int fd, const sockaddr* address, socklen_t length) {
    auto lock = world_.lock();
    Socket* s = find(fd);
    const auto remote = endpoint_of(address, length);
    if (s == nullptr || !remote) return fail(EINVAL);
    const auto status = [&] { return world_.stack().tcp_status(*s->tcp); };
    if (!s->tcp) {
        const netstack::TcpConnectOptions options{
            .socket = s->options, .local_port = s->local.port
        };
        const auto id = world_.stack().tcp_connect(*remote, world_.now(), options);
        if (!id) return fail(id.error().is(Errc::in_use) ? EADDRNOTAVAIL : ENETUNREACH);
        s->tcp = *id;
        world_.poll(lock);
        if ((s->flags & O_NONBLOCK) != 0) return fail(EINPROGRESS);
    } else if (is_opening(status()) && (s->flags & O_NONBLOCK) != 0) {
        return fail(EALREADY);
    }
    if (!world_.wait_until(lock, [&] { return !is_opening(status()); })) return fail(ETIMEDOUT);
    if (status().state == TcpState::closed) return fail(errno_of(status().close_reason));
    return 0;
}

ssize_t SocketCalls::read(int fd, MutableByteView out) {
    auto lock = world_.lock();
    Socket* s = find(fd);
    if (s == nullptr || !s->tcp) return fail(ENOTCONN);
    netstack::Stack& stack = world_.stack();
    const auto ready = [&] {
        const TcpStatus status = stack.tcp_status(*s->tcp);
        return status.readable_bytes > 0 || status.read_finished || s->nothing_to_read;
    };
    if (!ready()) {
        if ((s->flags & O_NONBLOCK) != 0 || !world_.wait_until(lock, ready)) return fail(EAGAIN);
    }
    const std::size_t count = stack.tcp_read(*s->tcp, out);
    world_.poll(lock);
    if (count > 0 || s->nothing_to_read) return static_cast<ssize_t>(count);
    const TcpStatus status = stack.tcp_status(*s->tcp);
    if (status.peer_finished) return 0;
    return fail(errno_of(status.close_reason));
}

ssize_t SocketCalls::write(int fd, ByteView bytes, int flags) {
    auto lock = world_.lock();
    Socket* s = find(fd);
    if (s == nullptr || !s->tcp) return fail(EPIPE);
    netstack::Stack& stack = world_.stack();
    std::size_t done = 0;
    for (;;) {
        const TcpStatus status = stack.tcp_status(*s->tcp);
        if (status.state == TcpState::closed) {
            const int error = errno_of(status.close_reason);
            return fail(error == ECONNRESET ? EPIPE : error);
        }
        if (status.write_finished) return fail(EPIPE);
        done += stack.tcp_write(*s->tcp, bytes.subspan(done), (flags & MSG_MORE) != 0);
        world_.poll(lock);
        if (done == bytes.size()) return static_cast<ssize_t>(done);
        if ((s->flags & O_NONBLOCK) != 0) break;
        const auto ready = [&] {
            const TcpStatus then = stack.tcp_status(*s->tcp);
            return then.writable_bytes > 0 || then.write_finished;
        };
        if (!world_.wait_until(lock, ready)) break;
    }
    return done > 0 ? static_cast<ssize_t>(done) : fail(EAGAIN);
}

int SocketCalls::close(int fd) {
    auto lock = world_.lock();
    Socket* s = find(fd);
    if (s == nullptr) return fail(EBADF);
    netstack::Stack& stack = world_.stack();
    if (s->listener) stack.tcp_close_listener(*s->listener);
    if (s->tcp) {
        const TcpStatus status = stack.tcp_status(*s->tcp);
        // Unread data is lost, and the peer is told (RFC 2525, section 2.17).
        const bool resets = status.readable_bytes > 0 || is_opening(status);
        if (resets) {
            stack.tcp_abort(*s->tcp);
        } else {
            stack.tcp_shutdown_write(*s->tcp);
        }
        stack.tcp_release(*s->tcp);
    }
    sockets_.erase(fd);
    world_.poll(lock);
    return 0;
}

int SocketCalls::shutdown(int fd, int how) {
    auto lock = world_.lock();
    Socket* s = find(fd);
    if (s == nullptr || !s->tcp) return fail(ENOTCONN);
    if (how == SHUT_RD || how == SHUT_RDWR) s->nothing_to_read = true;
    if (how == SHUT_WR || how == SHUT_RDWR) world_.stack().tcp_shutdown_write(*s->tcp);
    world_.poll(lock);
    return 0;
}

int SocketCalls::set_flags(int fd, int flags) {
    const auto lock = world_.lock();
    Socket* s = find(fd);
    if (s == nullptr) return fail(EBADF);
    s->flags = flags;
    return 0;
}

int SocketCalls::flags(int fd) {
    const auto lock = world_.lock();
    const Socket* s = find(fd);
    return s == nullptr ? fail(EBADF) : s->flags;
}

int SocketCalls::unread(int fd, int* out) {
    const auto lock = world_.lock();
    const Socket* s = find(fd);
    if (s == nullptr || !s->tcp) return fail(EINVAL);
    *out = static_cast<int>(world_.stack().tcp_status(*s->tcp).readable_bytes);
    return 0;
}

int SocketCalls::get_tcp_option(Socket& socket, int name, void* value, socklen_t* length) {
    const netstack::TcpConnection* connection =
        socket.tcp ? world_.stack().tcp_connection(*socket.tcp) : nullptr;
    if (name == TCP_INFO) {
        if (connection == nullptr) return fail(EINVAL);
        fill_tcp_info(*connection, value, *length);
        return 0;
    }
    if (name == TCP_CC_INFO) {
        *length = 0;  // the algorithm has nothing to tell
        return 0;
    }
    int number = 0;
    if (*length < sizeof(number)) return fail(EINVAL);
    if (name == TCP_MAXSEG) {
        number = connection != nullptr ? static_cast<int>(connection->info().mss)
                                       : socket.options.mss_max;
    } else if (name == TCP_NODELAY) {
        number = socket.options.no_delay ? 1 : 0;
    } else {
        return fail(ENOPROTOOPT);
    }
    std::memcpy(value, &number, sizeof(number));
    *length = sizeof(number);
    return 0;
}

int SocketCalls::getsockopt(int fd, int level, int name, void* value, socklen_t* length) {
    const auto lock = world_.lock();
    Socket* s = find(fd);
    if (s == nullptr) return fail(EBADF);
    if (level == SOL_TCP) return get_tcp_option(*s, name, value, length);
    if (level != SOL_SOCKET) return fail(ENOPROTOOPT);
    int number = 0;
    if (name == SO_SNDBUF) {
        number = 2 * s->send_buffer;  // as Linux answers
    } else if (name != SO_ERROR && name != SO_RCVBUF) {
        // SO_MEMINFO, which packetdrill asks for and no script looks at.
        std::memset(value, 0, *length);
        return 0;
    }
    if (*length < sizeof(number)) return fail(EINVAL);
    std::memcpy(value, &number, sizeof(number));
    *length = sizeof(number);
    return 0;
}

int SocketCalls::set_tcp_option(Socket& s, int name, int value) {
    netstack::Stack& stack = world_.stack();
    switch (name) {
        case TCP_NODELAY:
            s.options.no_delay = value != 0;
            if (s.tcp) stack.tcp_set_no_delay(*s.tcp, value != 0);
            return 0;
        case TCP_CORK:
            if (s.tcp) stack.tcp_set_cork(*s.tcp, value != 0);
            return 0;
        case TCP_MAXSEG:
            s.options.mss_max = static_cast<std::uint16_t>(value);
            break;
        case TCP_USER_TIMEOUT:
            s.options.user_timeout = std::chrono::milliseconds(value);
            if (s.tcp) stack.tcp_set_user_timeout(*s.tcp, s.options.user_timeout);
            return 0;
        default:
            return fail(ENOPROTOOPT);
    }
    // A listener takes options for connections to come.
    if (s.listener) stack.tcp_set_listener_options(*s.listener, s.options);
    return 0;
}

int SocketCalls::setsockopt(int fd, int level, int name, const void* value, socklen_t length) {
    auto lock = world_.lock();
    Socket* s = find(fd);
    if (s == nullptr) return fail(EBADF);
    int number = 0;
    std::memcpy(&number, value, std::min<std::size_t>(length, sizeof(number)));
    if (level == SOL_TCP) {
        const int result = set_tcp_option(*s, name, number);
        world_.poll(lock);
        return result;
    }
    if (level == SOL_SOCKET && name == SO_SNDBUF) s->send_buffer = number;
    // Others (SO_REUSEADDR, IP_TOS, IP_MTU_DISCOVER) have no counterpart and change nothing here.
    return 0;
}

}  // namespace selvage::packetdrill
