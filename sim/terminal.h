// Programs on pseudo terminals of a simulated host: a small shell that echoes what is typed and
// knows a few commands, so that the path of a real login can be walked without an account.
//
//   whoami   the account        size   "80 24"        term   what TERM is
//   yes      output without end until interrupted      exit N
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/terminal.h"
#include "rt/scope.h"

namespace selvage::sim {

class Terminals final : public host::TerminalFactory {
public:
    // `tasks` runs the programs; both outlive this.
    Terminals(rt::Runtime& runtime, rt::TaskScope& tasks) : runtime_(runtime), tasks_(tasks) {}

    // Accounts that exist besides the one of this process.
    void add_account(std::string name) { accounts_.push_back(std::move(name)); }

    rt::Task<Result<host::TerminalPtr>> open(host::TerminalCommand command) override;

    // Programs that have not ended. After every session is over it must be 0.
    std::size_t running() const { return *running_; }
    std::size_t opened() const { return opened_; }

private:
    rt::Runtime& runtime_;
    rt::TaskScope& tasks_;
    std::vector<std::string> accounts_;
    std::shared_ptr<std::size_t> running_ = std::make_shared<std::size_t>(0);
    std::size_t opened_ = 0;
};

}  // namespace selvage::sim
