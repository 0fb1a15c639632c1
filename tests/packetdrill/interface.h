// The table of functions that packetdrill wants from a library under test (its option
// --so_filename). The order of the members is the binary interface; the names are packetdrill's.
#pragma once

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

namespace selvage::packetdrill {

// Calls behave as the system's: -1 and errno on failure.
struct Interface {
    void* userdata;
    void (*free)(void*);
    int (*socket)(void*, int domain, int type, int protocol);
    int (*bind)(void*, int fd, const sockaddr*, socklen_t);
    int (*listen)(void*, int fd, int backlog);
    int (*accept)(void*, int fd, sockaddr*, socklen_t*);
    int (*connect)(void*, int fd, const sockaddr*, socklen_t);
    ssize_t (*read)(void*, int fd, void*, size_t);
    ssize_t (*readv)(void*, int fd, const iovec*, int);
    ssize_t (*recv)(void*, int fd, void*, size_t, int flags);
    ssize_t (*recvfrom)(void*, int fd, void*, size_t, int flags, sockaddr*, socklen_t*);
    ssize_t (*recvmsg)(void*, int fd, msghdr*, int flags);
    ssize_t (*write)(void*, int fd, const void*, size_t);
    ssize_t (*writev)(void*, int fd, const iovec*, int);
    ssize_t (*send)(void*, int fd, const void*, size_t, int flags);
    ssize_t (*sendto)(void*, int fd, const void*, size_t, int flags, const sockaddr*, socklen_t);
    ssize_t (*sendmsg)(void*, int fd, const msghdr*, int flags);
    int (*fcntl)(void*, int fd, int command, ...);
    int (*ioctl)(void*, int fd, unsigned long request, ...);
    int (*close)(void*, int fd);
    int (*shutdown)(void*, int fd, int how);
    int (*getsockopt)(void*, int fd, int level, int name, void*, socklen_t*);
    int (*setsockopt)(void*, int fd, int level, int name, const void*, socklen_t);
    int (*poll)(void*, pollfd*, nfds_t, int timeout);
    // A packet for the stack; 0 or -1.
    int (*netdev_send)(void*, const void*, size_t);
    // The next packet of the stack, `count` in: room, out: bytes; 0 bytes: none will come.
    int (*netdev_receive)(void*, void*, size_t* count, long long* time_usecs);
    int (*usleep)(void*, useconds_t);
    int (*gettimeofday)(void*, timeval*, struct timezone*);
    int (*epoll_create)(void*, int size);
    int (*epoll_ctl)(void*, int epoll, int operation, int fd, epoll_event*);
    int (*epoll_wait)(void*, int epoll, epoll_event*, int, int timeout);
    int (*pipe)(void*, int fds[2]);
    int (*splice)(void*, int, loff_t*, int, loff_t*, size_t, unsigned flags);
};

}  // namespace selvage::packetdrill
