// The protocol of sd_notify: datagrams of NAME=value lines to the socket in NOTIFY_SOCKET.
//
// A process that nobody watches has no such variable, and nothing is sent. A manager that does not
// listen any more is no reason to stop, so failures are ignored; the socket does not block.
#include "host/service_manager.h"

#include <fcntl.h>
#include <sys/un.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "host/linux/host.h"
#include "host/linux/os.h"

namespace selvage::host {
namespace {

std::string variable(const char* name) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): at the start
    return value == nullptr ? "" : value;
}

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t out = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return out;
}

// The address in NOTIFY_SOCKET: a path, or '@' and an abstract name.
bool make_address(const std::string& name, sockaddr_un& address, socklen_t& size) {
    if (name.empty() || name.size() >= sizeof(address.sun_path)) return false;
    if (name.front() != '/' && name.front() != '@') return false;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name.front() == '@') address.sun_path[0] = '\0';
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    return true;
}

class NotifySocket final : public ServiceManager {
public:
    NotifySocket() {
        if (!make_address(variable("NOTIFY_SOCKET"), address_, size_)) return;
        fd_ = Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        const std::string pid = variable("WATCHDOG_PID");
        const auto micros = number(variable("WATCHDOG_USEC"));
        const bool ours = pid.empty() || pid == std::to_string(::getpid());
        if (micros && *micros > 0 && ours) watchdog_ = std::chrono::microseconds(*micros);
    }

    void ready() override { send("READY=1"); }
    void reloading() override {
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        send(fmt::format(
            "RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1'000'000 + now.tv_nsec / 1000
        ));
    }
    void stopping() override { send("STOPPING=1"); }
    void status(const std::string& line) override { send("STATUS=" + printable(line, 512)); }
    void alive() override { send("WATCHDOG=1"); }
    std::optional<Duration> watchdog() const override { return watchdog_; }

private:
    void send(const std::string& text) const {
        if (!fd_) return;
        static_cast<void>(::sendto(
            fd_.get(), text.data(), text.size(), MSG_NOSIGNAL,
            reinterpret_cast<const sockaddr*>(&address_), size_
        ));
    }

    sockaddr_un address_{};
    socklen_t size_ = 0;
    Fd fd_;
    std::optional<Duration> watchdog_;
};

}  // namespace

std::unique_ptr<ServiceManager> find_service_manager() {
    return std::make_unique<NotifySocket>();
}

}  // namespace selvage::host
