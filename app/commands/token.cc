// selvage token [SERVICE]: a password for one log-in, to be given to somebody; `list` shows those
// that wait to be used, `revoke` takes one back.
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
        list_ = arguments.add_subcommand("list", "those that wait to be used");
        revoke_ = arguments.add_subcommand("revoke", "takes one back");
        revoke_->add_option("number", number_, "as `list` shows it")->required();
        arguments.require_subcommand(0, 1);
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        if (list_->parsed()) co_return co_await list(context);
        if (revoke_->parsed()) co_return co_await revoke(context);
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
    rt::Task<Result<int>> list(CommandContext& context) {
        auto waiting = co_await context.client.call<api::ListTokensResponse>(
            "SelvageTokenRpc", 2, api::ListTokensRequest{}
        );
        if (!waiting) co_return waiting.error();
        nlohmann::json out = nlohmann::json::array();
        std::vector<std::vector<std::string>> rows = {{"NUMBER", "SERVICE", "EXPIRES IN"}};
        for (const api::WaitingToken& token : waiting->tokens()) {
            out.push_back({
                {"number", token.number()},
                {"service", token.service()},
                {"seconds_left", token.seconds_left()},
            });
            rows.push_back({
                std::to_string(token.number()),
                token.service(),
                fmt::format("{} s", token.seconds_left()),
            });
        }
        print(context.json ? out.dump(2) + "\n" : build_table(rows));
        co_return 0;
    }
    rt::Task<Result<int>> revoke(CommandContext& context) {
        api::RevokeTokenRequest request;
        request.set_number(number_);
        auto done = co_await context.client.call<api::RevokeTokenResponse>(
            "SelvageTokenRpc", 3, std::move(request)
        );
        if (!done) co_return done.error();
        if (context.json) print("{}\n");
        co_return 0;
    }

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
    std::uint64_t number_ = 0;
    CLI::App* list_ = nullptr;
    CLI::App* revoke_ = nullptr;
};

}  // namespace

const CommandSpec token_command{
    .name = "token",
    .summary = "passwords for one log-in: makes one, lists them, revokes one",
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Token>(arguments);
    },
};

}  // namespace selvage::app
