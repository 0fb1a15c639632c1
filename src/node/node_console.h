// The menu's commands, answered by the calls of the management channel and printed as `selvage`
// prints them. Only those that read are within its reach.
#pragma once

#include "base/log.h"
#include "edge/node_commands.h"
#include "node/node_instance.h"
#include "node/reference_api.h"
#include "node/selvage_api.h"

namespace selvage::node {

class NodeConsole final : public edge::NodeCommands {
public:
    // All outlive it; `tail` may be null.
    NodeConsole(rt::Runtime& runtime, Node& node, LogTail* tail);

    std::vector<std::string> candidates(std::string_view command) const override;
    rt::Task<Result<std::string>> run(std::string command, std::vector<std::string> arguments)
        override;
    Result<std::unique_ptr<edge::NodeFeed>> follow(
        std::string_view command, const std::vector<std::string>& arguments
    ) override;

private:
    // The menu tells the process nothing.
    class NoProcess final : public ProcessControl {
    public:
        rt::Task<Result<ReloadReport>> reload(std::string) override { co_return Errc::denied; }
        LogLevels& log_levels() override { return levels_; }
        Duration longest_turn() const override { return Duration(0); }

    private:
        LogLevels levels_{LogLevel::info};
    };

    template <class Reply, class Request>
    rt::Task<Result<Reply>> ask(std::string service, std::uint32_t method, Request request);
    rt::Task<Result<std::string>> peers();
    rt::Task<Result<std::string>> routes();
    rt::Task<Result<std::string>> ping(std::string target);
    rt::Task<Result<std::string>> who_is(std::string target);
    Result<std::unique_ptr<edge::NodeFeed>> log(
        const std::vector<std::string>& arguments, std::size_t lines_at_once
    ) const;

    Node& node_;
    LogTail* tail_;
    NoProcess process_;
    NodeInstance view_;
    ReferenceApi reference_api_;
    SelvageApi selvage_api_;
    rpc::ServiceTable services_;
};

}  // namespace selvage::node
