// selvage stats [WORDS]: what the node has counted, with the meaning of each counter.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text_table.h"
#include "command.h"
#include "selvage_api.pb.h"

namespace selvage::app {
namespace {

namespace api = ::selvage::api;

constexpr std::uint32_t kStats = 8;

class Stats final : public Command {
public:
    explicit Stats(CLI::App& arguments) {
        arguments.add_option("word", words_, "only counters whose names hold one of these words");
        arguments.add_flag("-a,--all", all_, "also those that stand at zero");
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        auto stats = co_await context.client.call<api::StatsResponse>(
            "SelvageRpc", kStats, api::StatsRequest{}
        );
        if (!stats) co_return stats.error();
        print(context.json ? json_of(*stats).dump(2) + "\n" : text_of(*stats));
        co_return 0;
    }

private:
    bool wanted(const api::Counter& counter) const {
        return words_.empty() || std::ranges::any_of(words_, [&](const std::string& word) {
                   return counter.name().find(word) != std::string::npos;
               });
    }

    nlohmann::json json_of(const api::StatsResponse& stats) const {
        nlohmann::json out = nlohmann::json::array();
        for (const api::Counter& counter : stats.counters()) {
            if (!wanted(counter)) continue;
            out.push_back(
                {{"name", counter.name()},
                 {"value", counter.value()},
                 {"kind", counter.kind()},
                 {"unit", counter.unit()},
                 {"description", counter.description()}}
            );
        }
        return out;
    }

    std::string text_of(const api::StatsResponse& stats) const {
        std::vector<std::vector<std::string>> rows = {{"name", "value", "unit", "meaning"}};
        for (const api::Counter& counter : stats.counters()) {
            if (!wanted(counter) || (counter.value() == 0 && !all_)) continue;
            rows.push_back(
                {counter.name(), std::to_string(counter.value()), counter.unit(),
                 counter.description()}
            );
        }
        return build_table(rows);
    }

    std::vector<std::string> words_;
    bool all_ = false;
};

}  // namespace

const CommandSpec stats_command{
    .name = "stats",
    .summary = "what the node has counted, and what each counter means",
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Stats>(arguments);
    },
};

}  // namespace selvage::app
