// selvage drops: which packets were dropped, why, and the last of each kind.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text_table.h"
#include "command.h"
#include "selvage_api.pb.h"
#include "selvage_watch.pb.h"

namespace selvage::app {
namespace {

namespace api = ::selvage::api;

constexpr std::uint32_t kStats = 8;
constexpr std::uint32_t kListDrops = 2;
constexpr std::string_view kGroup = "dropped.";

struct Reason {
    std::string name;
    std::uint64_t packets = 0;
    std::string meaning;
    std::vector<const api::DropSample*> samples;
};

nlohmann::json json_of(const api::DropSample& sample) {
    return {
        {"seconds_ago", static_cast<double>(sample.milliseconds_ago()) / 1000},
        {"neighbour", sample.neighbour()},
        {"from_peer", sample.from_peer()},
        {"to_peer", sample.to_peer()},
        {"type", sample.type()},
        {"source", sample.source()},
        {"destination", sample.destination()},
        {"protocol", sample.protocol()},
        {"bytes", sample.bytes()},
    };
}

std::string text_of(const api::DropSample& sample) {
    std::string out = fmt::format("  {} ago, ", seconds_text(sample.milliseconds_ago() / 1000));
    if (sample.neighbour() == 0) {
        out += "of this node";
    } else {
        out += fmt::format(
            "handed over by {}, from peer {} to {}, type {}", sample.neighbour(),
            sample.from_peer(), sample.to_peer(), sample.type()
        );
    }
    if (!sample.source().empty()) {
        out += fmt::format(
            ", {} -> {} protocol {}", sample.source(), sample.destination(), sample.protocol()
        );
    }
    return out + fmt::format(", {} bytes\n", sample.bytes());
}

class Drops final : public Command {
public:
    explicit Drops(CLI::App& arguments) {
        arguments.add_option("reason", reasons_, "only these reasons");
        arguments.add_flag("-a,--all", all_, "also reasons that have not occurred");
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        auto stats = co_await context.client.call<api::StatsResponse>(
            "SelvageRpc", kStats, api::StatsRequest{}
        );
        if (!stats) co_return stats.error();
        auto drops = co_await context.client.call<api::ListDropsResponse>(
            "SelvageWatchRpc", kListDrops, api::ListDropsRequest{}
        );
        if (!drops) co_return drops.error();
        const std::vector<Reason> reasons = gather(*stats, *drops);
        if (context.json) {
            print_json(reasons);
        } else {
            print_text(reasons);
        }
        co_return 0;
    }

private:
    std::vector<Reason> gather(const api::StatsResponse& stats, const api::ListDropsResponse& drops)
        const {
        std::vector<Reason> out;
        for (const api::Counter& counter : stats.counters()) {
            if (!counter.name().starts_with(kGroup)) continue;
            Reason reason{.name = counter.name().substr(kGroup.size())};
            const bool named = std::ranges::find(reasons_, reason.name) != reasons_.end();
            if (!reasons_.empty() && !named) continue;
            if (counter.value() == 0 && !all_ && !named) continue;
            reason.packets = counter.value();
            reason.meaning = counter.description();
            for (const api::DropSample& sample : drops.samples()) {
                if (sample.reason() == reason.name) reason.samples.push_back(&sample);
            }
            out.push_back(std::move(reason));
        }
        return out;
    }

    static void print_json(const std::vector<Reason>& reasons) {
        nlohmann::json out = nlohmann::json::array();
        for (const Reason& reason : reasons) {
            nlohmann::json samples = nlohmann::json::array();
            for (const api::DropSample* sample : reason.samples)
                samples.push_back(json_of(*sample));
            out.push_back(
                {{"reason", reason.name},
                 {"packets", reason.packets},
                 {"meaning", reason.meaning},
                 {"last", samples}}
            );
        }
        print(out.dump(2) + "\n");
    }

    static void print_text(const std::vector<Reason>& reasons) {
        if (reasons.empty()) return print("nothing was dropped\n");
        for (const Reason& reason : reasons) {
            print(fmt::format("{}  {}: {}\n", reason.packets, reason.name, reason.meaning));
            for (const api::DropSample* sample : reason.samples)
                print(text_of(*sample));
        }
    }

    std::vector<std::string> reasons_;
    bool all_ = false;
};

}  // namespace

const CommandSpec drops_command{
    .name = "drops",
    .summary = "packets that were dropped: why, how many, and the last of each kind",
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Drops>(arguments);
    },
};

}  // namespace selvage::app
