// Stream sockets over Asio. The state is shared with the operations that wait, so that a stream may
// be destroyed while one of its own reads is pending.
#include "host/linux/stream_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <memory>

#include "rt/runtime.h"

namespace selvage::host {

namespace asio = boost::asio;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// Out of descriptors or memory: nothing tells when that is over, so look again at this pace.
constexpr Duration kAcceptPause = 100ms;

using Socket = asio::generic::stream_protocol::socket;

struct SocketState {
    explicit SocketState(const rt::Executor& executor) : socket(executor) {}
    Socket socket;
    bool closed = false;
};

class SocketStream final : public rt::Stream {
public:
    SocketStream(std::shared_ptr<SocketState> state, StreamEnds ends)
        : state_(std::move(state)), ends_(ends) {}
    SocketStream(const SocketStream&) = delete;
    SocketStream& operator=(const SocketStream&) = delete;
    // The kernel still sends what was written, and a reset when something received was not read.
    ~SocketStream() override { end(); }

    rt::Task<Result<std::size_t>> read_some(MutableByteView buffer) override {
        return read_from(state_, buffer);
    }
    rt::Task<Result<std::size_t>> write_some(ByteView bytes) override {
        return write_to(state_, bytes);
    }
    Result<> shutdown_write() override {
        if (state_->closed) return Errc::closed;
        boost::system::error_code error;
        state_->socket.shutdown(
            Socket::shutdown_send, error
        );  // NOLINT(bugprone-unused-return-value)
        if (error) return asio_error(error);
        return {};
    }
    void close() override { end(); }
    void reset() override {
        const linger now{.l_onoff = 1, .l_linger = 0};
        if (!state_->closed) {
            ::setsockopt(state_->socket.native_handle(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
        }
        end();
    }
    Endpoint local() const override { return ends_.local; }
    Endpoint remote() const override { return ends_.remote; }

private:
    static rt::Task<Result<std::size_t>> read_from(
        std::shared_ptr<SocketState> state, MutableByteView buffer
    ) {
        if (state->closed) co_return Errc::closed;
        auto [error, count] = co_await state->socket.async_read_some(
            asio::buffer(buffer.data(), buffer.size()), kAwait
        );
        if (error == asio::error::eof) co_return std::size_t{0};
        if (error == asio::error::operation_aborted) co_await throw_if_cancelled();
        if (state->closed) co_return Errc::closed;
        if (error) co_return asio_error(error);
        co_return count;
    }
    static rt::Task<Result<std::size_t>> write_to(
        std::shared_ptr<SocketState> state, ByteView bytes
    ) {
        if (state->closed) co_return Errc::closed;
        auto [error, count] = co_await state->socket.async_write_some(
            asio::buffer(bytes.data(), bytes.size()), kAwait
        );
        if (error == asio::error::operation_aborted) co_await throw_if_cancelled();
        if (state->closed) co_return Errc::closed;
        if (error) co_return asio_error(error);
        co_return count;
    }
    void end() {
        if (std::exchange(state_->closed, true)) return;
        boost::system::error_code ignored;
        state_->socket.close(ignored);  // NOLINT(bugprone-unused-return-value)
    }

    std::shared_ptr<SocketState> state_;
    StreamEnds ends_;
};

Result<std::shared_ptr<SocketState>> adopt(rt::Runtime& runtime, Fd fd) {
    int family = AF_UNSPEC;
    socklen_t size = sizeof family;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_DOMAIN, &family, &size);
    const int protocol = family == AF_UNIX ? 0 : IPPROTO_TCP;
    auto state = std::make_shared<SocketState>(runtime.executor());
    boost::system::error_code error;
    // NOLINTNEXTLINE(bugprone-unused-return-value)
    state->socket.assign(asio::generic::stream_protocol(family, protocol), fd.get(), error);
    if (error) return asio_error(error);
    (void)fd.release();
    return state;
}

// What cannot leave yet waits with us, where others can go before it, and not in the kernel, which
// would take megabytes. Enough for the time until our next turn.
constexpr int kUnsentBytes = 32 * 1024;

void set_tcp_options(int fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentBytes, sizeof kUnsentBytes);
}

struct AcceptorState {
    explicit AcceptorState(const rt::Executor& executor) : descriptor(executor) {}
    asio::posix::stream_descriptor descriptor;
    bool closed = false;
    AcceptorHooks hooks;
};

class SocketAcceptor final : public rt::Acceptor {
public:
    SocketAcceptor(rt::Runtime& runtime, Fd fd, AcceptorHooks hooks)
        : runtime_(runtime),
          local_(local_endpoint(fd.get())),
          state_(std::make_shared<AcceptorState>(runtime.executor())) {
        state_->descriptor.assign(fd.release());
        state_->hooks = std::move(hooks);
    }
    SocketAcceptor(const SocketAcceptor&) = delete;
    SocketAcceptor& operator=(const SocketAcceptor&) = delete;
    ~SocketAcceptor() override { end(); }

    rt::Task<Result<rt::StreamPtr>> accept() override { return accept_on(runtime_, state_); }
    Endpoint local() const override { return local_; }
    void close() override { end(); }

private:
    static rt::Task<Result<rt::StreamPtr>> accept_on(
        rt::Runtime& runtime, std::shared_ptr<AcceptorState> state
    ) {
        while (!state->closed) {
            SocketAddress remote;
            Fd fd(::accept4(
                state->descriptor.native_handle(), remote.get(), &remote.size,
                SOCK_NONBLOCK | SOCK_CLOEXEC
            ));
            if (fd) {
                if (state->hooks.admit && !state->hooks.admit(fd.get())) continue;
                set_tcp_options(fd.get());
                const StreamEnds ends{local_endpoint(fd.get()), remote.endpoint()};
                co_return make_socket_stream(runtime, std::move(fd), ends);
            }
            const int reason = errno;
            if (reason == EAGAIN || reason == EWOULDBLOCK) {
                auto [error] = co_await state->descriptor.async_wait(
                    asio::posix::descriptor_base::wait_read, kAwait
                );
                if (error == asio::error::operation_aborted) co_await throw_if_cancelled();
            } else if (os_error(reason).is(Errc::limit)) {
                co_await rt::sleep_for(runtime, kAcceptPause);
            } else if (reason == EBADF || reason == EINVAL || reason == ENOTSOCK) {
                co_return os_error(reason, "accept");
            }
            // Everything else concerns the connection that was to be accepted, not the listener.
        }
        co_return Errc::closed;
    }
    void end() {
        if (std::exchange(state_->closed, true)) return;
        if (state_->hooks.on_close) state_->hooks.on_close();
        boost::system::error_code ignored;
        state_->descriptor.close(ignored);  // NOLINT(bugprone-unused-return-value)
    }

    rt::Runtime& runtime_;
    Endpoint local_;
    std::shared_ptr<AcceptorState> state_;
};

}  // namespace

rt::StreamPtr make_socket_stream(rt::Runtime& runtime, Fd fd, StreamEnds ends) {
    auto state = adopt(runtime, std::move(fd));
    if (!state) {
        // Only when the reactor is out of memory or descriptors: a stream that is closed already.
        auto dead = std::make_shared<SocketState>(runtime.executor());
        dead->closed = true;
        return std::make_unique<SocketStream>(std::move(dead), ends);
    }
    return std::make_unique<SocketStream>(std::move(*state), ends);
}

rt::Task<Result<rt::StreamPtr>> connect_stream(rt::Runtime& runtime, SocketAddress remote) {
    Fd fd(::socket(remote.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) co_return os_error(errno, "socket");
    const int number = fd.get();
    if (remote.storage.ss_family != AF_UNIX) set_tcp_options(number);
    auto state = adopt(runtime, std::move(fd));
    if (!state) co_return state.error();
    const Socket::endpoint_type endpoint(remote.get(), remote.size);
    auto [error] = co_await (*state)->socket.async_connect(endpoint, kAwait);
    if (error == asio::error::operation_aborted) co_await throw_if_cancelled();
    if (error) co_return asio_error(error);
    const StreamEnds ends{local_endpoint(number), remote_endpoint(number)};
    co_return std::make_unique<SocketStream>(std::move(*state), ends);
}

rt::AcceptorPtr make_socket_acceptor(rt::Runtime& runtime, Fd fd, AcceptorHooks hooks) {
    return std::make_unique<SocketAcceptor>(runtime, std::move(fd), std::move(hooks));
}

}  // namespace selvage::host
