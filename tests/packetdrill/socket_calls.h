// The system's socket calls over one stack of ours, as far as the scripts of packetdrill use them.
#pragma once

#include <sys/socket.h>

#include <map>

#include "tests/packetdrill/stack_world.h"

namespace selvage::packetdrill {

class SocketCalls {
public:
    // No file of the process has such a number.
    static constexpr int kFirstFd = 1 << 20;
    static bool is_ours(int fd) { return fd >= kFirstFd; }

    StackWorld& world() { return world_; }

    int socket(int domain, int type);
    int bind(int fd, const sockaddr* address, socklen_t length);
    int listen(int fd, int backlog);
    int accept(int fd, sockaddr* address, socklen_t* length);
    int connect(int fd, const sockaddr* address, socklen_t length);
    ssize_t read(int fd, MutableByteView out);
    // `flags` of send(): MSG_MORE.
    ssize_t write(int fd, ByteView bytes, int flags = 0);
    int close(int fd);
    int shutdown(int fd, int how);
    int set_flags(int fd, int flags);
    int flags(int fd);
    int unread(int fd, int* out);
    int getsockopt(int fd, int level, int name, void* value, socklen_t* length);
    int setsockopt(int fd, int level, int name, const void* value, socklen_t length);

private:
    struct Socket {
        Endpoint local;
        std::optional<netstack::ListenerId> listener;
        std::optional<netstack::TcpId> tcp;
        netstack::TcpSocketOptions options;
        int flags = 0;
        int send_buffer = 0;
        bool nothing_to_read = false;  // after SHUT_RD
    };

    Socket* find(int fd);
    int add(Socket socket);
    int get_tcp_option(Socket& socket, int name, void* value, socklen_t* length);
    int set_tcp_option(Socket& socket, int name, int value);

    StackWorld world_;
    std::map<int, Socket> sockets_;
    int next_fd_ = kFirstFd;
};

}  // namespace selvage::packetdrill
