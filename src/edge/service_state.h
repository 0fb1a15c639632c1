// What a ServiceHost keeps for each service and each session; only its own sources include this.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>

#include "edge/service_host.h"
#include "rt/timers.h"

namespace selvage::edge {

// A service as one set of options made it.
struct ServiceHost::Generation {
    OptionTable own;
    std::unique_ptr<ServiceContext> context;  // refers to `own`
    std::unique_ptr<Service> service;
    std::size_t live = 0;
    bool retired = false;
};

struct ServiceHost::Running {
    ServiceOptions options;
    ServiceCounters counters;
    std::string error;
    // The one that takes new callers is the last; those before it wait for their sessions to end.
    std::list<Generation> generations;
    rt::Acceptor* mesh = nullptr;  // owned by their accept loops, valid until we close them
    rt::Acceptor* host = nullptr;
    std::size_t live = 0;
    std::map<PeerId, std::uint32_t> live_by_peer;  // 0: all callers of the host
};

struct ServiceHost::Session {
    Session(rt::Runtime& rt, Running& owner, Caller who)
        : runtime(rt),
          service(owner),
          generation(owner.generations.back()),
          caller(std::move(who)),
          idle(rt.timers()),
          grace(rt.timers()) {
        last_active = rt.now();
        since = rt.wall_now();
    }
    rt::Runtime& runtime;
    Running& service;
    Generation& generation;
    Caller caller;
    WallTime since;
    TimePoint last_active;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t task = 0;
    std::string note;
    std::string ended_by;  // "idle", "killed"..., when it did not end by itself
    rt::Timer idle;
    rt::Timer grace;
};

// The caller's stream as the service sees it: counts what passes, which is also what keeps an idle
// session from being closed.
class ServiceHost::SessionStream final : public rt::Stream {
public:
    // `inner` outlives this: how the connection ends is decided when serve() has returned.
    SessionStream(Session& session, rt::Stream& inner) : session_(session), inner_(inner) {}

    rt::Task<Result<std::size_t>> read_some(MutableByteView buffer) override {
        auto got = co_await inner_.read_some(buffer);
        if (got) session_.bytes_in += *got;
        session_.last_active = session_.runtime.now();
        co_return got;
    }
    rt::Task<Result<std::size_t>> write_some(ByteView bytes) override {
        auto sent = co_await inner_.write_some(bytes);
        if (sent) session_.bytes_out += *sent;
        session_.last_active = session_.runtime.now();
        co_return sent;
    }
    Result<> shutdown_write() override { return inner_.shutdown_write(); }
    void close() override { inner_.close(); }
    void reset() override { inner_.reset(); }
    Endpoint local() const override { return inner_.local(); }
    Endpoint remote() const override { return inner_.remote(); }

private:
    Session& session_;
    rt::Stream& inner_;
};

// Takes the session out of the table when its coroutine is gone, however that came about.
class ServiceHost::SessionEntry {
public:
    SessionEntry(ServiceHost& host, SessionId id) : host_(&host), id_(id) {}
    SessionEntry(SessionEntry&& other) noexcept
        : host_(std::exchange(other.host_, nullptr)), id_(other.id_) {}
    SessionEntry(const SessionEntry&) = delete;
    SessionEntry& operator=(const SessionEntry&) = delete;
    SessionEntry& operator=(SessionEntry&&) = delete;
    ~SessionEntry() {
        if (host_ != nullptr) host_->remove(id_);
    }
    Session& session() const { return *host_->sessions_.at(id_); }

private:
    ServiceHost* host_;
    SessionId id_;
};

}  // namespace selvage::edge
