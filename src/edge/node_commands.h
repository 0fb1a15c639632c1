// What the menu may ask of the node: questions and pings, nothing that changes anything. The node
// implements it; tests fake it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "rt/task.h"

namespace selvage::edge {

struct NodeCommandInfo {
    std::string_view name;
    std::string_view arguments;  // "MEMBER", "[LINES]"; empty: it takes none
    std::string_view summary;
    std::size_t arguments_min = 0;
    std::size_t arguments_max = 0;
    bool follows = false;  // with -f in front of its arguments it goes on: NodeCommands::follow()
};

// All there are, in the order of `help`.
std::span<const NodeCommandInfo> node_commands();
const NodeCommandInfo* find_node_command(std::string_view name);

// What a command goes on saying, as long as somebody asks for more.
class NodeFeed {
public:
    virtual ~NodeFeed() = default;
    // The next lines, each with its "\n": some kilobytes at most. Empty: none for now.
    virtual std::string next() = 0;
};

class NodeCommands {
public:
    virtual ~NodeCommands() = default;
    // What the argument of a command may be, for completion: names and addresses of members.
    virtual std::vector<std::string> candidates(std::string_view command) const = 0;
    // The answer as `selvage` prints it, lines that end with "\n". The command is one of
    // node_commands() and takes so many arguments; what they say has not been checked.
    virtual rt::Task<Result<std::string>> run(
        std::string command, std::vector<std::string> arguments
    ) = 0;
    // Precondition: the command follows.
    virtual Result<std::unique_ptr<NodeFeed>> follow(
        std::string_view command, const std::vector<std::string>& arguments
    ) = 0;
};

}  // namespace selvage::edge
