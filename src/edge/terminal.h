// A command on a pseudo-terminal, under an account of the host: what the shell service asks for.
//
// The node plugs in an implementation that knows the OS. Nothing that a caller sent reaches it but
// `term` and `size`, and those are sanitised before.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/ip.h"
#include "rt/stream.h"
#include "rt/task.h"

namespace selvage::edge {

struct TerminalSize {
    std::uint16_t columns = 80;
    std::uint16_t rows = 24;
    friend bool operator==(const TerminalSize&, const TerminalSize&) = default;
};

// Which shell, as whom. Comes from the configuration only.
struct TerminalAccount {
    std::string account;      // empty: the user that runs this program
    std::string shell;        // absolute path; empty: the account's login shell
    bool allow_root = false;  // without it, a shell with user id 0 is refused
};

struct TerminalRequest {
    TerminalAccount account;
    std::string term = "dumb";
    TerminalSize size;
};

// A running command. Destroying it ends all that still runs in it: hang-up at once, kill for
// whatever is left two seconds later; the implementation sees to that without anybody waiting.
class Terminal {
public:
    virtual ~Terminal() = default;
    // What the terminal shows and what is typed. Reads 0 when the last process has closed it.
    virtual rt::Stream& stream() = 0;
    virtual void resize(TerminalSize size) = 0;
    // To the foreground process group, as the terminal's own interrupt key would.
    virtual void interrupt() = 0;
    // When the command has ended: its exit status, or 128 and the signal.
    virtual rt::Task<int> wait() = 0;
};

class TerminalSpawner {
public:
    virtual ~TerminalSpawner() = default;
    // A login shell in a session and process group of its own, with a fresh environment. Errors:
    // not_found (no such account or shell), denied (not ours to use, or root without allow_root).
    virtual rt::Task<Result<std::unique_ptr<Terminal>>> open(TerminalRequest request) = 0;
};

}  // namespace selvage::edge
