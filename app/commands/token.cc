// selvage token [SERVICE]: a password for one log-in, to be given to somebody.
#include <nlohmann/json.hpp>

#include "base/option_tree.h"
#include "base/text_table.h"
#include "command.h"
#include "selvage_token.pb.h"

namespace selvage::app {
namespace {

namespace api = ::selvage::api;

class Token final : public Command {
public:
    explicit Token(CLI::App& arguments) {
        arguments.add_option("service", service_, "the service it opens")->capture_default_str();
        arguments
            .add_option("--ttl", ttl_, "how long it waits to be used: 90s, 15m, 2h; 24h at most")
            ->capture_default_str();
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        const auto lives = parse_duration(ttl_);
        if (!lives || *lives < std::chrono::seconds(1) || *lives > std::chrono::hours(24)) {
            co_return Error(Errc::bad_argument, "--ttl is a time from 1s to 24h");
        }
        api::CreateTokenRequest request;
        request.set_service(service_);
        request.set_ttl_seconds(static_cast<std::uint32_t>(
            std::chrono::duration_cast<std::chrono::seconds>(*lives).count()
        ));
        auto made = co_await context.client.call<api::CreateTokenResponse>(
            "SelvageTokenRpc", 1, std::move(request)
        );
        if (!made) co_return made.error();
        print(context.json ? json_of(*made) : made->token() + "\n");
        co_return 0;
    }

private:
    std::string json_of(const api::CreateTokenResponse& made) const {
        const nlohmann::json out = {
            {"token", made.token()},
            {"service", service_},
            {"number", made.number()},
            {"ttl_seconds", made.ttl_seconds()},
        };
        return out.dump(2) + "\n";
    }

    std::string service_ = "shell";
    std::string ttl_ = "10m";
};

}  // namespace

const CommandSpec token_command{
    .name = "token",
    .summary = "makes a password for one log-in",
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Token>(arguments);
    },
};

}  // namespace selvage::app
