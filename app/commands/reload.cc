// selvage reload: the configuration is read again and applied, as by SIGHUP.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/text_table.h"
#include "command.h"
#include "control_api.pb.h"

namespace selvage::app {
namespace {

namespace control = ::selvage::control;

nlohmann::json json_of(const control::ReloadResponse& done) {
    nlohmann::json out = {
        {"applied", nlohmann::json::array()},
        {"needs_restart", nlohmann::json::array()},
        {"failures", nlohmann::json::array()},
        {"errors", nlohmann::json::array()},
    };
    for (const control::KeyChange& change : done.changes())
        out[change.needs_restart() ? "needs_restart" : "applied"].push_back(change.key());
    for (const std::string& failure : done.failures())
        out["failures"].push_back(failure);
    for (const std::string& error : done.errors())
        out["errors"].push_back(error);
    return out;
}

std::string text_of(const control::ReloadResponse& done) {
    if (done.changes().empty() && done.failures().empty()) return "nothing has changed\n";
    std::vector<std::vector<std::string>> rows = {{"KEY", "WHAT BECAME OF IT"}};
    for (const control::KeyChange& change : done.changes()) {
        rows.push_back({change.key(), change.needs_restart() ? "needs a restart" : "applied"});
    }
    std::string out = rows.size() > 1 ? build_table(rows) : "";
    for (const std::string& failure : done.failures())
        out += fmt::format("failed: {}\n", failure);
    return out;
}

class Reload final : public Command {
public:
    rt::Task<Result<int>> run(CommandContext& context) override {
        auto done = co_await context.client.call<control::ReloadResponse>(
            "SelvageControlRpc", 1, control::ReloadRequest{}
        );
        if (!done) co_return done.error();
        for (const std::string& error : done->errors())
            std::fprintf(stderr, "selvage: %s\n", error.c_str());
        if (context.json) {
            print(json_of(*done).dump(2) + "\n");
        } else if (done->errors().empty()) {
            print(text_of(*done));
        } else {
            std::fprintf(stderr, "selvage: nothing has changed\n");
        }
        co_return done->failures().empty() && done->errors().empty() ? 0 : 1;
    }
};

}  // namespace

const CommandSpec reload_command{
    .name = "reload",
    .summary = "reads the configuration again and says what was applied",
    .make = [](CLI::App&) -> std::unique_ptr<Command> { return std::make_unique<Reload>(); },
};

}  // namespace selvage::app
