// selvage sessions and selvage kill: who uses our services, and the end of it.
#include <nlohmann/json.hpp>

#include "command.h"
#include "node/tables.h"
#include "selvage_api.pb.h"

namespace selvage::app {
namespace {

namespace api = ::selvage::api;

class Sessions final : public Command {
public:
    rt::Task<Result<int>> run(CommandContext& context) override {
        auto sessions = co_await context.client.call<api::ListSessionsResponse>(
            "SelvageRpc", 3, api::ListSessionsRequest{}
        );
        if (!sessions) co_return sessions.error();
        print(context.json ? json_of(*sessions) : node::sessions_table(*sessions));
        co_return 0;
    }

private:
    static std::string json_of(const api::ListSessionsResponse& sessions) {
        nlohmann::json out = nlohmann::json::array();
        for (const auto& session : sessions.sessions()) {
            out.push_back({
                {"id", session.id()},
                {"service", session.service()},
                {"peer_id", session.peer_id()},
                {"peer_name", session.peer_name()},
                {"remote", session.remote()},
                {"seconds", session.seconds()},
                {"rx_bytes", session.rx_bytes()},
                {"tx_bytes", session.tx_bytes()},
                {"note", session.note()},
            });
        }
        return out.dump(2) + "\n";
    }
};

class Kill final : public Command {
public:
    explicit Kill(CLI::App& arguments) {
        arguments.add_option("id", id_, "number from `selvage sessions`")->required();
    }
    rt::Task<Result<int>> run(CommandContext& context) override {
        api::KillSessionRequest request;
        request.set_id(id_);
        auto done = co_await context.client.call<api::KillSessionResponse>(
            "SelvageRpc", 7, std::move(request)
        );
        if (!done) co_return done.error();
        co_return 0;
    }

private:
    std::uint64_t id_ = 0;
};

}  // namespace

const CommandSpec sessions_command{
    .name = "sessions",
    .summary = "who uses our services",
    .make = [](CLI::App&) -> std::unique_ptr<Command> { return std::make_unique<Sessions>(); },
};

const CommandSpec kill_command{
    .name = "kill",
    .summary = "ends a session",
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Kill>(arguments);
    },
};

}  // namespace selvage::app
