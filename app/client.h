// A connection to an instance's management channel, and calls on it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "host/sockets.h"
#include "packet/packet_buf.h"
#include "rpc/stream_session.h"
#include "rpc/typed.h"
#include "rt/loop.h"
#include "rt/scope.h"

namespace selvage::app {

// Which instance is meant.
struct Target {
    std::string instance;            // by name
    std::string socket;              // by path
    std::optional<Endpoint> portal;  // by its RPC portal
};

class Client {
public:
    Client(rt::LoopRuntime& loop, packet::PacketPool& pool, host::Sockets& sockets);

    // Without a target there must be exactly one running instance of this user.
    rt::Task<Result<>> connect(Target target);
    rt::Task<> close();

    template <class Reply, class Request>
    rt::Task<Result<Reply>> call(std::string service, std::uint32_t method, Request request) {
        auto reply = co_await rpc::call<Reply>(
            session_->endpoint(), rpc::kSessionPeer,
            rpc::Descriptor{
                .domain = "", .service = std::move(service), .method = method, .proto_name = {}
            },
            std::move(request), kCallLimit
        );
        co_return reply;
    }
    // For OpenStream and Capture: the connection itself, once the answer is there.
    rt::Task<Result<rt::StreamPtr>> call_for_stream(
        std::string service, std::uint32_t method, Bytes request
    );

    rt::LoopRuntime& loop() { return loop_; }

private:
    static constexpr Duration kCallLimit = std::chrono::seconds(15);

    rt::Task<Result<rt::StreamPtr>> open(const Target& target);
    rt::Task<Result<rt::StreamPtr>> open_only_one();
    rt::Task<> run_session();

    rt::LoopRuntime& loop_;
    packet::PacketPool& pool_;
    host::Sockets& sockets_;
    rpc::ServiceTable no_services_;
    std::unique_ptr<rpc::StreamSession> session_;
    rt::TaskScope scope_;
};

}  // namespace selvage::app
