// errno and socket addresses, translated.
#include "host/linux/os.h"

#include <netinet/in.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace selvage::host {
namespace {

Errc code_of(int number) {
    switch (number) {
        case ECONNREFUSED:
            return Errc::refused;
        case ECONNRESET:
        case EPIPE:
        case ECONNABORTED:
            return Errc::reset;
        case ETIMEDOUT:
            return Errc::timed_out;
        case EHOSTUNREACH:
        case ENETUNREACH:
        case EADDRNOTAVAIL:
        case ENETDOWN:
        case EHOSTDOWN:
            return Errc::unreachable;
        case EADDRINUSE:
            return Errc::in_use;
        case EACCES:
        case EPERM:
            return Errc::denied;
        case ENOENT:
        case ENODEV:
        case ESRCH:
            return Errc::not_found;
        case EEXIST:
            return Errc::exists;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            return Errc::limit;
        case EAFNOSUPPORT:
        case EOPNOTSUPP:
        case ENOSYS:
            return Errc::unsupported;
        default:
            return Errc::internal;  // stands for "no code of ours"
    }
}

Endpoint endpoint_by(int (*ask)(int, sockaddr*, socklen_t*), int fd) {
    SocketAddress address;
    if (ask(fd, address.get(), &address.size) != 0) return {};
    return address.endpoint();
}

}  // namespace

Error os_error(int number) {
    const Errc code = code_of(number);
    if (code == Errc::internal) return Error(std::error_code(number, std::system_category()));
    return Error(code, std::system_category().message(number));
}

Error os_error(int number, std::string_view context) {
    return os_error(number).with(context);
}

Error asio_error(const boost::system::error_code& error) {
    namespace asio = boost::asio;
    if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) {
        return Errc::closed;
    }
    if (error.category() == asio::error::get_system_category()) return os_error(error.value());
    return Error(static_cast<std::error_code>(error));
}

SocketAddress::SocketAddress(const Endpoint& endpoint) {
    if (endpoint.address.is_v4()) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(endpoint.port);
        v4.sin_addr.s_addr = htonl(endpoint.address.v4_value());
        std::memcpy(&storage, &v4, sizeof v4);
        size = sizeof v4;
    } else {
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(endpoint.port);
        std::memcpy(&v6.sin6_addr, endpoint.address.raw().data(), 16);
        std::memcpy(&storage, &v6, sizeof v6);
        size = sizeof v6;
    }
}

Endpoint SocketAddress::endpoint() const {
    if (storage.ss_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &storage, sizeof v4);
        return {IpAddress::v4(ntohl(v4.sin_addr.s_addr)), ntohs(v4.sin_port)};
    }
    if (storage.ss_family == AF_INET6) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, &storage, sizeof v6);
        std::array<std::uint8_t, 16> bytes{};
        std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
        return {IpAddress::v6(bytes).unmapped(), ntohs(v6.sin6_port)};
    }
    return {};
}

Result<> bind_to_device(int fd, const std::string& device) {
    if (device.empty()) return {};
    const auto size = static_cast<socklen_t>(device.size());
    if (::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device.c_str(), size) == 0) return {};
    return os_error(errno, "device " + printable(device, 32));
}

Endpoint local_endpoint(int fd) {
    return endpoint_by(::getsockname, fd);
}

Endpoint remote_endpoint(int fd) {
    return endpoint_by(::getpeername, fd);
}

}  // namespace selvage::host
