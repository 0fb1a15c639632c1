// What a service manager hears, over a socket that stands for it.
#include "host/service_manager.h"

#include <gtest/gtest.h>
#include <sys/un.h>

#include <cstdlib>

#include "host/linux/host.h"
#include "host/linux/os.h"

namespace selvage::host {
namespace {

// Stands for systemd: a datagram socket, and the variables that lead there. In the abstract
// namespace, whose names need no removal.
class FakeManager {
public:
    FakeManager() : name_(fmt::format("@selvage-notify-{}", ::getpid())) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        name_.copy(address.sun_path, name_.size());
        address.sun_path[0] = '\0';
        fd_ = Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
        EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
        ::setenv("NOTIFY_SOCKET", name_.c_str(), 1);
    }
    FakeManager(const FakeManager&) = delete;
    FakeManager& operator=(const FakeManager&) = delete;
    ~FakeManager() {
        for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
            ::unsetenv(name);
    }
    std::string next() {
        char text[1024];
        const ssize_t got = ::recv(fd_.get(), text, sizeof(text), 0);
        return got < 0 ? "(nothing)" : std::string(text, static_cast<std::size_t>(got));
    }

private:
    std::string name_;
    Fd fd_;
};

TEST(ServiceManager, HearsOfEveryStep) {
    FakeManager systemd;
    const auto manager = find_service_manager();
    manager->ready();
    EXPECT_EQ(systemd.next(), "READY=1");
    manager->reloading();
    const std::string reloading = systemd.next();
    EXPECT_TRUE(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC=")) << reloading;
    manager->status("two\nlines");
    EXPECT_EQ(systemd.next(), "STATUS=two\\x0alines");
    manager->alive();
    EXPECT_EQ(systemd.next(), "WATCHDOG=1");
    manager->stopping();
    EXPECT_EQ(systemd.next(), "STOPPING=1");
    EXPECT_EQ(systemd.next(), "(nothing)");
}

TEST(ServiceManager, AWatchdogIsForTheProcessThatItNames) {
    FakeManager systemd;
    EXPECT_FALSE(find_service_manager()->watchdog());
    ::setenv("WATCHDOG_USEC", "30000000", 1);
    EXPECT_EQ(find_service_manager()->watchdog(), Duration(30s));
    ::setenv("WATCHDOG_PID", "1", 1);
    EXPECT_FALSE(find_service_manager()->watchdog());
    ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
    EXPECT_TRUE(find_service_manager()->watchdog());
    ::setenv("WATCHDOG_USEC", "soon", 1);
    EXPECT_FALSE(find_service_manager()->watchdog());
}

TEST(ServiceManager, WithoutOneNothingHappens) {
    ::unsetenv("NOTIFY_SOCKET");
    ::setenv("WATCHDOG_USEC", "1000", 1);
    const auto manager = find_service_manager();
    manager->ready();
    EXPECT_FALSE(manager->watchdog());
    ::unsetenv("WATCHDOG_USEC");
    ::setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);  // a kind of address that we do not know
    find_service_manager()->ready();
    ::unsetenv("NOTIFY_SOCKET");
}

}  // namespace
}  // namespace selvage::host
