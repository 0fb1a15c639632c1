// What a service is: one file in services/ with one ServiceSpec. See docs/architecture.md, 10.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/log.h"
#include "base/option_tree.h"
#include "base/time.h"
#include "edge/caller.h"
#include "edge/node_commands.h"
#include "edge/node_view.h"
#include "edge/recording.h"
#include "edge/terminal.h"
#include "edge/token_store.h"
#include "rt/runtime.h"
#include "rt/stream.h"
#include "rt/task.h"

namespace selvage::edge {

// What a service may say about its sessions, and do to them.
class SessionControl {
public:
    virtual ~SessionControl() = default;
    // What a session is doing: the line in `selvage sessions`.
    virtual void note(SessionId session, std::string text) = 0;
    // Bytes that did not pass the session's stream, such as datagrams: they count, and they keep
    // an idle session alive.
    virtual void moved(SessionId session, std::uint64_t in, std::uint64_t out) = 0;
    // Ends a session in a later turn; `why` is for the audit log. Nothing when it is gone.
    virtual void end(SessionId session, std::string why) = 0;
};

// What a service may ask for. All of it outlives the service.
struct ServiceContext {
    rt::Runtime& runtime;
    Log log;
    const OptionTable& options;  // the service's own keys; its check() has accepted them
    std::uint16_t port;
    const NodeView& node;
    Dialer& dialer;
    PortPublisher& ports;
    HostListener* host_listener;  // null where there is none
    SessionControl& sessions;
    TerminalSpawner* terminals;  // null where the platform has none
    RecordingStore* recordings;  // null where the platform has none
    TokenStore& tokens;
    NodeCommands* commands;  // null where nobody answers them
};

class Service {
public:
    virtual ~Service() = default;
    // Serves one caller that the allow list has let in, until either side is done. When it returns,
    // or is cancelled, the stream closes.
    virtual rt::Task<Result<>> serve(rt::StreamPtr stream, Caller caller) = 0;
    // The options have changed (context.options has the new ones, checked). True when they are in
    // force, for live sessions too. False: the service is made anew, and its sessions end.
    virtual bool reconfigure() { return false; }
};

struct ServiceSpec {
    std::string_view name;
    std::string_view summary;
    std::uint16_t default_port = 0;
    std::uint32_t default_max_sessions = 64;
    std::uint32_t default_max_sessions_per_caller = 16;
    Duration default_idle_timeout = std::chrono::hours(2);
    bool takes_tokens = false;  // its log-in accepts those of ServiceContext::tokens
    // Reads the service's own keys, and so declares and checks them. Null: it has none.
    void (*check)(OptionReader& own) = nullptr;
    std::unique_ptr<Service> (*make)(ServiceContext& context) = nullptr;
};

// All services of this build, one row per file in services/; sorted by name.
std::span<const ServiceSpec* const> service_table();
const ServiceSpec* find_service(std::string_view name);

}  // namespace selvage::edge
