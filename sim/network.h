// Everything between simulated hosts: who has which address, one Link per direction, names, and a
// record of the last frames for a packet capture.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "rt/virtual_runtime.h"
#include "sim/frame.h"
#include "sim/link.h"
#include "sim/trace.h"

namespace selvage::sim {

// A host as the network sees it.
class NetworkPort {
public:
    virtual ~NetworkPort() = default;
    virtual const std::string& name() const = 0;
    virtual bool is_on() const = 0;
    virtual void on_frame(Frame&& frame) = 0;
};

struct CapturedFrame {
    TimePoint when;
    std::string link;
    Frame frame;
};

class Network {
public:
    // What a capture after a failure holds.
    static constexpr std::size_t kCapturedFrames = 4096;
    // Also the delay from a host to itself.
    static constexpr Duration kLoopbackDelay = std::chrono::microseconds(20);
    static constexpr std::size_t kLoopbackMtu = 65536;

    Network(
        rt::VirtualRuntime& loop, Trace& trace, std::uint64_t seed, LinkOptions defaults,
        bool hash_payloads
    )
        : loop_(loop),
          trace_(trace),
          seed_(seed),
          defaults_(defaults),
          hash_payloads_(hash_payloads) {}

    void attach(NetworkPort& port) { ports_[port.name()] = &port; }
    // Precondition: nobody else has it.
    void add_address(const std::string& host, const IpAddress& address);
    void remove_address(const IpAddress& address) { owners_.erase(address); }
    // Empty when nobody has it.
    std::string owner(const IpAddress& address) const;

    void send(const std::string& from, Frame&& frame);
    // The direction from one host to another; it begins with the world's default behaviour.
    Link& link(const std::string& from, const std::string& to);
    std::size_t mtu(const std::string& from, const IpAddress& to);

    struct Name {
        std::vector<IpAddress> addresses;
        Duration delay = std::chrono::milliseconds(10);
        std::optional<Errc> failure;
    };
    void set_name(const std::string& name, Name answer) { names_[name] = std::move(answer); }
    const Name* find_name(const std::string& name) const;

    // Of all frames that were handed over, lost ones included.
    std::uint64_t bytes_sent() const { return bytes_sent_; }
    const std::deque<CapturedFrame>& captured() const { return captured_; }

private:
    void arrive(const std::string& to, const std::string& via, Frame&& frame);
    void record(std::string_view what, const std::string& via, const Frame& frame);

    rt::VirtualRuntime& loop_;
    Trace& trace_;
    std::uint64_t seed_;
    LinkOptions defaults_;
    bool hash_payloads_;
    std::map<std::string, NetworkPort*> ports_;
    std::map<IpAddress, std::string> owners_;
    std::map<std::pair<std::string, std::string>, std::unique_ptr<Link>> links_;
    std::map<std::string, Name> names_;
    std::uint64_t bytes_sent_ = 0;
    std::deque<CapturedFrame> captured_;  // at most kCapturedFrames; the oldest gives way
};

}  // namespace selvage::sim
