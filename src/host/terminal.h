// Programs on a pseudo terminal: what the shell service needs from the operating system.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "rt/stream.h"
#include "rt/task.h"

namespace selvage::host {

struct WindowSize {
    std::uint16_t columns = 80;
    std::uint16_t rows = 24;
};

struct TerminalCommand {
    std::string account;  // whose shell it is; empty: the account of this process
    std::string program;  // empty: the account's login shell
    std::vector<std::string> arguments;
    bool login = true;          // argv[0] begins with '-'
    std::string term = "dumb";  // the only variable that a client may influence
    WindowSize size;
    bool allow_root = false;  // without it, an account with user id 0 is Errc::denied
};

// A running program. Its output and input are the stream; destroying it hangs up the whole process
// group (SIGHUP, then SIGKILL after a grace) and reaps it.
class Terminal {
public:
    virtual ~Terminal() = default;
    virtual rt::Stream& stream() = 0;
    virtual void resize(WindowSize size) = 0;
    virtual void interrupt() = 0;  // SIGINT to the foreground process group
    // Waits for the program to end: its exit status, or 128 + signal.
    virtual rt::Task<int> wait() = 0;
    virtual int pid() const = 0;
};
using TerminalPtr = std::unique_ptr<Terminal>;

class TerminalFactory {
public:
    virtual ~TerminalFactory() = default;
    // Starts with a clean environment (HOME, USER, LOGNAME, SHELL, PATH, TERM, LANG), in the
    // account's home, with the account's groups, no inherited descriptors, default signals.
    // The account is looked up on a worker, because it may be far away (LDAP). Errors: not_found
    // (no such account or program), denied (not root and another account, or user id 0 without
    // allow_root). Precondition: the factory outlives the task.
    virtual rt::Task<Result<TerminalPtr>> open(TerminalCommand command) = 0;
};

}  // namespace selvage::host
