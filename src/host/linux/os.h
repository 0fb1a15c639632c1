// Small things that all of linux/ needs: descriptors with an owner, errno as Error, addresses as
// the kernel wants them, and the end of a wait.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/ip.h"
#include "rt/task.h"

namespace selvage::host {

// Owns a file descriptor.
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { reset(); }

    explicit operator bool() const { return fd_ >= 0; }
    int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }
    void reset() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }

private:
    int fd_ = -1;
};

// An errno value as an Error: our own code where there is one, so that callers see the same from
// the kernel as from the simulation.
Error os_error(int number);
Error os_error(int number, std::string_view context);
// What Asio reports, in the same way.
Error asio_error(const boost::system::error_code& error);

struct SocketAddress {
    explicit SocketAddress(const Endpoint& endpoint);
    SocketAddress() = default;
    sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
    // Mapped IPv4 addresses come out as IPv4; other families as 0.0.0.0:0.
    Endpoint endpoint() const;

    sockaddr_storage storage{};
    socklen_t size = sizeof(sockaddr_storage);
};

// Only what passes through this network device; nothing happens when the name is empty.
Result<> bind_to_device(int fd, const std::string& device);

Endpoint local_endpoint(int fd);
Endpoint remote_endpoint(int fd);

// An aborted operation has two causes: its object was closed, which is a value, or its task was
// cancelled, which unwinds. Throws in the second case.
inline rt::Task<> throw_if_cancelled() {
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    if (state.cancelled() != boost::asio::cancellation_type::none) {
        throw boost::system::system_error(boost::asio::error::operation_aborted);
    }
}

}  // namespace selvage::host
