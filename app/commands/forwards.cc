// selvage forwards: ports of this node that lead somewhere else.
#include <nlohmann/json.hpp>

#include "base/text_table.h"
#include "command.h"
#include "selvage_api.pb.h"

namespace selvage::app {
namespace {

namespace api = ::selvage::api;

std::string allow_of(const api::Forward& forward, std::string_view separator) {
    return fmt::format("{}", fmt::join(forward.allow(), separator));
}

class Forwards final : public Command {
public:
    rt::Task<Result<int>> run(CommandContext& context) override {
        auto forwards = co_await context.client.call<api::ListForwardsResponse>(
            "SelvageRpc", 30, api::ListForwardsRequest{}
        );
        if (!forwards) co_return forwards.error();
        print(context.json ? json_of(*forwards) : text_of(*forwards));
        co_return 0;
    }

private:
    static std::string json_of(const api::ListForwardsResponse& forwards) {
        nlohmann::json out = nlohmann::json::array();
        for (const auto& forward : forwards.forwards()) {
            nlohmann::json allow = nlohmann::json::array();
            for (const auto& rule : forward.allow())
                allow.push_back(rule);
            out.push_back({
                {"from", forward.from()},
                {"proto", forward.proto()},
                {"listen", forward.listen()},
                {"to", forward.to()},
                {"allow", allow},
                {"live", forward.live()},
                {"accepted", forward.accepted()},
                {"refused", forward.refused()},
                {"failed", forward.failed()},
                {"state", forward.state()},
            });
        }
        return out.dump(2) + "\n";
    }

    static std::string text_of(const api::ListForwardsResponse& forwards) {
        std::vector<std::vector<std::string>> rows = {
            {"FROM", "PROTO", "LISTEN", "TO", "STATE", "ALLOW", "LIVE", "ACCEPTED", "REFUSED",
             "FAILED"}
        };
        for (const auto& forward : forwards.forwards()) {
            rows.push_back({
                forward.from(),
                forward.proto(),
                forward.listen(),
                forward.to(),
                forward.state(),
                or_dash(allow_of(forward, " ")),
                std::to_string(forward.live()),
                std::to_string(forward.accepted()),
                std::to_string(forward.refused()),
                std::to_string(forward.failed()),
            });
        }
        return build_table(rows);
    }
};

}  // namespace

const CommandSpec forwards_command{
    .name = "forwards",
    .summary = "ports of this node that lead somewhere else",
    .make = [](CLI::App&) -> std::unique_ptr<Command> { return std::make_unique<Forwards>(); },
};

}  // namespace selvage::app
