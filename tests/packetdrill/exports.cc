// What packetdrill finds in this library: packetdrill_interface_init(), which fills its table, and
// two calls that it makes without the table: getsockopt() to look into a connection, and close() of
// what is left at the end. The library is therefore preloaded as well, and hands on what is not
// about a socket of ours.
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>

#include "tests/packetdrill/interface.h"
#include "tests/packetdrill/socket_calls.h"

namespace {

using namespace selvage;
using packetdrill::SocketCalls;
using packetdrill::StackWorld;

SocketCalls* g_calls = nullptr;

SocketCalls& calls(void* userdata) {
    return *static_cast<SocketCalls*>(userdata);
}

int not_here() {
    errno = ENOSYS;
    return -1;
}

ByteView view(const void* bytes, std::size_t count) {
    return {static_cast<const std::uint8_t*>(bytes), count};
}

MutableByteView view(void* bytes, std::size_t count) {
    return {static_cast<std::uint8_t*>(bytes), count};
}

ssize_t write_all(void* u, int fd, const iovec* pieces, std::size_t count, int flags = 0) {
    Bytes bytes;
    for (std::size_t i = 0; i < count; ++i) {
        const ByteView piece = view(pieces[i].iov_base, pieces[i].iov_len);
        bytes.insert(bytes.end(), piece.begin(), piece.end());
    }
    return calls(u).write(fd, bytes, flags);
}

ssize_t read_all(void* u, int fd, const iovec* pieces, std::size_t count) {
    ssize_t total = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const ssize_t got = calls(u).read(fd, view(pieces[i].iov_base, pieces[i].iov_len));
        if (got < 0) return total > 0 ? total : got;
        total += got;
        if (static_cast<std::size_t>(got) < pieces[i].iov_len) break;
    }
    return total;
}

int change_flags(void* u, int fd, int command, ...) {
    va_list more;
    va_start(more, command);
    const int argument = command == F_SETFL ? va_arg(more, int) : 0;
    va_end(more);
    if (command == F_SETFL) return calls(u).set_flags(fd, argument);
    return command == F_GETFL ? calls(u).flags(fd) : not_here();
}

int ask_unread(void* u, int fd, unsigned long request, ...) {
    va_list more;
    va_start(more, request);
    int* number = va_arg(more, int*);
    va_end(more);
    return request == SIOCINQ ? calls(u).unread(fd, number) : not_here();
}

void fill_socket_calls(packetdrill::Interface& out) {
    out.socket = [](void* u, int domain, int type, int) { return calls(u).socket(domain, type); };
    out.bind = [](void* u, int fd, const sockaddr* address, socklen_t length) {
        return calls(u).bind(fd, address, length);
    };
    out.listen = [](void* u, int fd, int backlog) { return calls(u).listen(fd, backlog); };
    out.accept = [](void* u, int fd, sockaddr* address, socklen_t* length) {
        return calls(u).accept(fd, address, length);
    };
    out.connect = [](void* u, int fd, const sockaddr* address, socklen_t length) {
        return calls(u).connect(fd, address, length);
    };
    out.close = [](void* u, int fd) { return calls(u).close(fd); };
    out.shutdown = [](void* u, int fd, int how) { return calls(u).shutdown(fd, how); };
    out.getsockopt = [](void* u, int fd, int level, int name, void* value, socklen_t* length) {
        return calls(u).getsockopt(fd, level, name, value, length);
    };
    out.setsockopt = [](void* u, int fd, int level, int name, const void* value, socklen_t length) {
        return calls(u).setsockopt(fd, level, name, value, length);
    };
    out.fcntl = change_flags;
    out.ioctl = ask_unread;
}

void fill_transfers(packetdrill::Interface& out) {
    out.read = [](void* u, int fd, void* to, size_t n) { return calls(u).read(fd, view(to, n)); };
    out.recv = [](void* u, int fd, void* to, size_t n, int) {
        return calls(u).read(fd, view(to, n));
    };
    out.recvfrom = [](void* u, int fd, void* to, size_t n, int, sockaddr*, socklen_t*) {
        return calls(u).read(fd, view(to, n));
    };
    out.readv = [](void* u, int fd, const iovec* pieces, int count) {
        return read_all(u, fd, pieces, static_cast<std::size_t>(count));
    };
    out.recvmsg = [](void* u, int fd, msghdr* message, int) {
        return read_all(u, fd, message->msg_iov, message->msg_iovlen);
    };
    out.write = [](void* u, int fd, const void* from, size_t n) {
        return calls(u).write(fd, view(from, n));
    };
    out.send = [](void* u, int fd, const void* from, size_t n, int flags) {
        return calls(u).write(fd, view(from, n), flags);
    };
    out.sendto = [](void* u, int fd, const void* from, size_t n, int flags, const sockaddr*,
                    socklen_t) { return calls(u).write(fd, view(from, n), flags); };
    out.writev = [](void* u, int fd, const iovec* pieces, int count) {
        return write_all(u, fd, pieces, static_cast<std::size_t>(count));
    };
    out.sendmsg = [](void* u, int fd, const msghdr* message, int flags) {
        return write_all(u, fd, message->msg_iov, message->msg_iovlen, flags);
    };
}

void fill_world(packetdrill::Interface& out) {
    out.netdev_send = [](void* u, const void* bytes, size_t count) {
        StackWorld& world = calls(u).world();
        auto lock = world.lock();
        world.send(lock, view(bytes, count));
        return 0;
    };
    out.netdev_receive = [](void* u, void* to, size_t* count, long long* time) {
        StackWorld& world = calls(u).world();
        auto lock = world.lock();
        const auto sent = world.receive(lock);
        const std::size_t bytes = sent ? std::min(sent->bytes.size(), *count) : 0;
        if (sent) std::memcpy(to, sent->bytes.data(), bytes);
        const TimePoint at = sent ? sent->at : world.now();
        *time =
            std::chrono::duration_cast<std::chrono::microseconds>(at.time_since_epoch()).count();
        *count = bytes;
        return 0;
    };
    out.usleep = [](void* u, useconds_t duration) {
        StackWorld& world = calls(u).world();
        auto lock = world.lock();
        world.sleep(lock, std::chrono::microseconds(duration));
        return 0;
    };
    out.gettimeofday = [](void* u, timeval* out_time, struct timezone*) {
        StackWorld& world = calls(u).world();
        auto lock = world.lock();
        const auto at = std::chrono::duration_cast<std::chrono::microseconds>(
            world.ask_time(lock).time_since_epoch()
        );
        out_time->tv_sec = static_cast<time_t>(at.count() / 1'000'000);
        out_time->tv_usec = static_cast<suseconds_t>(at.count() % 1'000'000);
        return 0;
    };
}

// Calls that no script of the folders in README.md makes.
void fill_rest(packetdrill::Interface& out) {
    out.poll = [](void*, pollfd*, nfds_t, int) { return not_here(); };
    out.epoll_create = [](void*, int) { return not_here(); };
    out.epoll_ctl = [](void*, int, int, int, epoll_event*) { return not_here(); };
    out.epoll_wait = [](void*, int, epoll_event*, int, int) { return not_here(); };
    out.pipe = [](void*, int*) { return not_here(); };
    out.splice = [](void*, int, loff_t*, int, loff_t*, size_t, unsigned) { return not_here(); };
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) void packetdrill_interface_init(
    const char*, packetdrill::Interface* out
) {
    g_calls = new SocketCalls;
    out->userdata = g_calls;
    out->free = [](void* userdata) {
        g_calls = nullptr;
        delete static_cast<SocketCalls*>(userdata);
    };
    fill_socket_calls(*out);
    fill_transfers(*out);
    fill_world(*out);
    fill_rest(*out);
}

__attribute__((visibility("default"))) int getsockopt(
    int fd, int level, int name, void* value, socklen_t* length
) noexcept {
    if (g_calls != nullptr && SocketCalls::is_ours(fd)) {
        return g_calls->getsockopt(fd, level, name, value, length);
    }
    return static_cast<int>(syscall(SYS_getsockopt, fd, level, name, value, length));
}

__attribute__((visibility("default"))) int close(int fd) {
    if (!SocketCalls::is_ours(fd)) return static_cast<int>(syscall(SYS_close, fd));
    return g_calls == nullptr ? 0 : g_calls->close(fd);
}
}
