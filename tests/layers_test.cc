// Who may include whom: the table of docs/architecture.md, section 3, against the include lines.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "source_tree.h"

namespace selvage::tree {
namespace {

using Names = std::set<std::string, std::less<>>;

// A module and what of ours it may include besides itself. `proto` stands for generated messages.
const std::map<std::string, Names, std::less<>>& allowed() {
    static const std::map<std::string, Names, std::less<>> table{
        {"base", {}},
        {"rt", {"base"}},
        {"packet", {"base"}},
        {"crypto", {"base"}},
        {"host", {"base", "rt", "packet"}},
        {"netstack/core", {"base", "packet"}},
        {"netstack/sockets", {"base", "rt", "packet", "netstack/core"}},
        {"tunnel", {"base", "rt", "packet", "crypto", "host"}},
        {"rpc", {"base", "rt", "packet", "proto"}},
        {"peer", {"base", "rt", "packet", "crypto", "host", "tunnel", "rpc", "proto"}},
        {"route", {"base", "rt", "packet", "rpc", "peer", "proto"}},
        {"connect", {"base", "rt", "host", "tunnel", "rpc", "peer", "route", "proto"}},
        {"dataplane", {"base", "rt", "packet", "crypto", "host", "peer", "route"}},
        {"gateway",
         {"base", "rt", "packet", "host", "netstack/core", "netstack/sockets", "dataplane"}},
        {"edge", {"base", "rt", "crypto"}},
        // Option headers of every module, too: see may_include().
        {"config", {"base", "crypto"}},
        {"node",
         {"base", "rt", "packet", "crypto", "host", "netstack/core", "netstack/sockets", "tunnel",
          "rpc", "peer", "route", "connect", "dataplane", "gateway", "edge", "config", "proto"}},
    };
    return table;
}

std::string module_of_path(std::string_view path) {
    if (path.starts_with("netstack/core/")) return "netstack/core";
    if (path.starts_with("netstack/sockets/")) return "netstack/sockets";
    if (path.ends_with(".pb.h")) return "proto";
    return std::string(path.substr(0, path.find('/')));
}

bool is_options_header(std::string_view header) {
    return header.ends_with("options.h") || header.ends_with("/url.h");
}

bool may_include(const std::string& module, const Include& include) {
    const auto target = module_of_path(include.header);
    if (target == module) return true;
    if (module == "config" && is_options_header(include.header)) return true;
    const auto row = allowed().find(module);
    return row != allowed().end() && row->second.contains(target);
}

bool is_ours(const Include& include) {
    return module_of_path(include.header) == "proto" ||
           allowed().contains(module_of_path(include.header)) || include.header.starts_with("sim/");
}

TEST(Layers, EveryFolderOfSrcIsInTheTable) {
    std::vector<std::string> violations;
    for (const auto& file : cpp_files()) {
        if (!file.in("src/")) continue;
        const auto module = module_of_path(file.name.substr(4));
        if (!allowed().contains(module)) violations.push_back(file.name);
    }
    EXPECT_EQ(report("a module without a row in the layer table", violations), "");
}

TEST(Layers, IncludesGoDownTheTable) {
    std::vector<std::string> violations;
    for (const auto& file : cpp_files()) {
        if (!file.in("src/") || file.is_test()) continue;
        const auto module = module_of_path(file.name.substr(4));
        for (const auto& include : includes_of(file)) {
            if (!is_ours(include) || may_include(module, include)) continue;
            violations.push_back(fmt::format(
                "{}:{}: {} must not include {}", file.name, include.line, module, include.header
            ));
        }
    }
    EXPECT_EQ(report("docs/architecture.md, section 3: who may include whom", violations), "");
}

TEST(Layers, AsioStaysOutOfTheCores) {
    const Names plain{"base", "packet", "crypto", "netstack/core"};
    std::vector<std::string> violations;
    for (const auto& file : cpp_files()) {
        if (!file.in("src/") || file.is_test()) continue;
        if (!plain.contains(module_of_path(file.name.substr(4)))) continue;
        for (const auto& include : includes_of(file)) {
            if (include.header.starts_with("boost/asio")) {
                violations.push_back(fmt::format("{}:{}", file.name, include.line));
            }
        }
    }
    EXPECT_EQ(report("base, packet, crypto and netstack/core must not see Asio", violations), "");
}

TEST(Layers, OnlyTheSimulationAndTestsIncludeTheSimulation) {
    std::vector<std::string> violations;
    for (const auto& file : cpp_files()) {
        if (file.in("sim/") || file.in("tests/") || file.in("fuzz/") || file.in("bench/")) continue;
        for (const auto& include : includes_of(file)) {
            if (include.header.starts_with("sim/")) {
                violations.push_back(fmt::format("{}:{}", file.name, include.line));
            }
        }
    }
    EXPECT_EQ(report("production code must not see the simulation", violations), "");
}

TEST(Layers, PublicHeadersIncludeOnlyPublicHeaders) {
    std::vector<std::string> violations;
    for (const auto& file : cpp_files()) {
        if (!file.in("include/")) continue;
        for (const auto& include : includes_of(file)) {
            if (!include.angled && !include.header.starts_with("selvage/")) {
                violations.push_back(fmt::format("{}:{}", file.name, include.line));
            }
        }
    }
    EXPECT_EQ(report("public headers include only the standard library", violations), "");
}

}  // namespace
}  // namespace selvage::tree
