// selvage whois: which member of the network is behind an address.
#include <nlohmann/json.hpp>

#include "command.h"
#include "node/tables.h"
#include "selvage_api.pb.h"

namespace selvage::app {
namespace {

namespace api = ::selvage::api;

constexpr std::uint32_t kWhoIs = 20;

class WhoIs final : public Command {
public:
    explicit WhoIs(CLI::App& arguments) {
        arguments.add_option("target", target_, "IP or IP:PORT, as in `selvage sessions`")
            ->required();
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        api::WhoIsRequest request;
        request.set_target(target_);
        auto found = co_await context.client.call<api::WhoIsResponse>(
            "SelvageRpc", kWhoIs, std::move(request)
        );
        if (!found) co_return found.error();
        print(context.json ? json_of(*found) : node::who_is_table(*found));
        co_return 0;
    }

private:
    static std::string json_of(const api::WhoIsResponse& found) {
        nlohmann::json sessions = nlohmann::json::array();
        for (const std::uint64_t id : found.sessions())
            sessions.push_back(id);
        const nlohmann::json out = {
            {"peer_id", found.peer_id()},
            {"instance_id", found.instance_id()},
            {"peer_name", found.peer_name()},
            {"network", found.network()},
            {"virtual_address", found.virtual_address()},
            {"relation", found.relation()},
            {"auth", found.auth()},
            {"path", found.path()},
            {"hops", found.hops()},
            {"next_hop_peer_id", found.next_hop_peer_id()},
            {"sessions", sessions},
        };
        return out.dump(2) + "\n";
    }

    std::string target_;
};

}  // namespace

const CommandSpec whois_command{
    .name = "whois",
    .summary = "which member is behind an address",
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<WhoIs>(arguments);
    },
};

}  // namespace selvage::app
