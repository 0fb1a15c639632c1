// The node behind the menu as a test puts it together.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "edge/node_commands.h"
#include "rt/virtual_runtime.h"

namespace selvage::edge {

// A node that answers its commands with what the test has put there.
class FakeCommands final : public NodeCommands {
public:
    explicit FakeCommands(rt::VirtualRuntime& runtime) : runtime_(runtime) {}
    std::vector<std::string> candidates(std::string_view command) const override {
        ++asked_for_candidates;
        if (command != "ping") return {};
        return names;
    }
    rt::Task<Result<std::string>> run(std::string command, std::vector<std::string> arguments)
        override {
        const std::string said = note(command, arguments);
        if (takes != Duration(0)) co_await rt::sleep_for(runtime_, takes);
        if (failure) co_return *failure;
        co_return answer.empty() ? said + " it is\n" : answer;
    }

    Result<std::unique_ptr<NodeFeed>> follow(
        std::string_view command, const std::vector<std::string>& arguments
    ) override {
        note(fmt::format("{} -f", command), arguments);
        if (failure) return *failure;
        return std::make_unique<Feed>(*this);
    }

    std::vector<std::string> news;  // what a feed says next, one at a time
    std::size_t feeds = 0;          // that live
    std::vector<std::string> names{"Laptop", "phone", "printer"};
    mutable std::size_t asked_for_candidates = 0;
    std::vector<std::string> ran;
    std::string answer;
    Duration takes{0};
    std::optional<Error> failure;

private:
    std::string note(std::string said, const std::vector<std::string>& arguments) {
        for (const std::string& word : arguments)
            said += " " + word;
        return ran.emplace_back(std::move(said));
    }
    class Feed final : public NodeFeed {
    public:
        explicit Feed(FakeCommands& owner) : owner_(owner) { ++owner_.feeds; }
        ~Feed() override { --owner_.feeds; }
        std::string next() override {
            if (owner_.news.empty()) return {};
            std::string said = std::move(owner_.news.front());
            owner_.news.erase(owner_.news.begin());
            return said;
        }

    private:
        FakeCommands& owner_;
    };

    rt::VirtualRuntime& runtime_;
};

}  // namespace selvage::edge
