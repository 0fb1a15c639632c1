// Finding the instance and talking to it.
#include "client.h"

#include <filesystem>

#include "management_socket.h"
#include "rt/with_timeout.h"

namespace selvage::app {
namespace {

constexpr Duration kConnectLimit = std::chrono::seconds(5);

std::string name_of(const std::string& path) {
    return std::filesystem::path(path).stem().string();
}

}  // namespace

Client::Client(rt::LoopRuntime& loop, packet::PacketPool& pool, host::Sockets& sockets)
    : loop_(loop), pool_(pool), sockets_(sockets), scope_(loop, Log()) {}

rt::Task<Result<>> Client::connect(Target target) {
    auto stream = co_await rt::with_timeout(loop_, kConnectLimit, open(target));
    if (!stream) co_return std::move(stream).error();
    session_ = std::make_unique<rpc::StreamSession>(
        loop_, pool_, std::move(*stream), no_services_, rpc::StreamSessionOptions{}, Log()
    );
    scope_.spawn("session", run_session());
    co_return Result<>{};
}

rt::Task<> Client::run_session() {
    static_cast<void>(co_await session_->run());
}

rt::Task<> Client::close() {
    if (session_) session_->stop();
    co_await scope_.close();
}

rt::Task<Result<rt::StreamPtr>> Client::open(const Target& target) {
    if (target.portal) co_return co_await sockets_.connect_tcp(*target.portal);
    if (!target.socket.empty()) co_return co_await sockets_.connect_unix(target.socket);
    if (target.instance.empty()) co_return co_await open_only_one();
    for (const std::string& path : candidate_sockets(target.instance)) {
        auto stream = co_await sockets_.connect_unix(path);
        if (stream) co_return stream;
    }
    co_return Error(
        Errc::not_found, fmt::format("no instance \"{}\" of this user is running", target.instance)
    );
}

rt::Task<Result<rt::StreamPtr>> Client::open_only_one() {
    rt::StreamPtr found;
    std::string names;
    for (const std::string& path : existing_sockets()) {
        auto stream = co_await sockets_.connect_unix(path);
        if (!stream) continue;  // left behind by one that died
        if (!names.empty()) names += ", ";
        names += name_of(path);
        if (found) {
            co_return Error(
                Errc::bad_argument,
                fmt::format("several instances are running ({}): choose one with --instance", names)
            );
        }
        found = std::move(*stream);
    }
    if (!found) {
        co_return Error(
            Errc::not_found, "no instance of this user is running; is selvaged started, and by you?"
        );
    }
    co_return found;
}

rt::Task<Result<rt::StreamPtr>> Client::call_for_stream(
    std::string service, std::uint32_t method, Bytes request
) {
    auto taken = co_await session_->call_for_stream(
        rpc::Descriptor{
            .domain = "", .service = std::move(service), .method = method, .proto_name = {}
        },
        std::move(request), kCallLimit
    );
    if (!taken) co_return std::move(taken).error();
    co_return std::move(taken->stream);
}

}  // namespace selvage::app
