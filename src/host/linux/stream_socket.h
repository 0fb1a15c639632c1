// Connected stream sockets and listening sockets of the kernel as rt::Stream and rt::Acceptor.
#pragma once

#include <functional>
#include <string>

#include "host/linux/os.h"
#include "rt/runtime.h"
#include "rt/stream.h"

namespace selvage::host {

struct StreamEnds {
    Endpoint local;
    Endpoint remote;
};

// `fd` is a connected, non-blocking stream socket.
rt::StreamPtr make_socket_stream(rt::Runtime& runtime, Fd fd, StreamEnds ends);

// Connects a fresh non-blocking socket of `family`; TCP gets its options set.
rt::Task<Result<rt::StreamPtr>> connect_stream(rt::Runtime& runtime, SocketAddress remote);

struct AcceptorHooks {
    // Says whether an accepted socket may stay; a refused one is reset.
    std::function<bool(int fd)> admit;
    // Runs once, when the acceptor closes.
    std::function<void()> on_close;
};

// `fd` is a listening, non-blocking socket.
rt::AcceptorPtr make_socket_acceptor(rt::Runtime& runtime, Fd fd, AcceptorHooks hooks);

}  // namespace selvage::host
