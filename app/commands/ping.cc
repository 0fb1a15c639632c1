// selvage ping PEER: a question and its answer through the mesh.
#include <nlohmann/json.hpp>

#include "command.h"
#include "node/tables.h"
#include "selvage_api.pb.h"

namespace selvage::app {
namespace {

namespace api = ::selvage::api;

class Ping final : public Command {
public:
    explicit Ping(CLI::App& arguments) {
        arguments.add_option("peer", request_, "host name, virtual address or peer id")->required();
        arguments.add_option("-c,--count", count_, "how many times")
            ->capture_default_str()
            ->check(CLI::Range(1, 1000));
        arguments.add_option("-W,--timeout", seconds_, "seconds to wait for each answer")
            ->capture_default_str()
            ->check(CLI::Range(1, 60));
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        api::PingRequest request;
        request.set_target(request_);
        request.set_timeout_ms(seconds_ * 1000);
        nlohmann::json all = nlohmann::json::array();
        int answered = 0;
        for (unsigned i = 0; i < count_; ++i) {
            if (i != 0) co_await rt::sleep_for(context.client.loop(), std::chrono::seconds(1));
            auto reply = co_await context.client.call<api::PingResponse>("SelvageRpc", 4, request);
            if (!reply) {
                if (i + 1 == count_ && answered == 0) co_return reply.error();
                continue;
            }
            ++answered;
            if (context.json) {
                all.push_back({
                    {"peer_id", reply->peer_id()},
                    {"peer_name", reply->peer_name()},
                    {"hops", reply->hops()},
                    {"next_hop_peer_id", reply->next_hop_peer_id()},
                    {"round_trip_us", reply->round_trip_us()},
                });
            } else {
                print(node::ping_line(*reply));
            }
        }
        if (context.json) print(all.dump(2) + "\n");
        co_return answered == 0 ? 1 : 0;
    }

private:
    std::string request_;
    unsigned count_ = 1;
    unsigned seconds_ = 5;
};

}  // namespace

const CommandSpec ping_command{
    .name = "ping",
    .summary = "measures the way to a member",
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Ping>(arguments);
    },
};

}  // namespace selvage::app
