// docs/threats.md names the test that tries each attack; a name that leads nowhere is a hole.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>

#include "source_tree.h"

namespace selvage::tree {
namespace {

// Suite.Name of every test, and the paths of all files that a page may name.
std::set<std::string> known_names() {
    std::set<std::string> out;
    static const std::regex kTest(R"(TEST(?:_[FP])?\(\s*(\w+)\s*,\s*(\w+)\s*\))");
    for (const auto& file : cpp_files()) {
        out.insert(file.name);
        if (file.text.find("TEST") == std::string::npos) continue;
        for (std::sregex_iterator at(file.text.begin(), file.text.end(), kTest), end; at != end;
             ++at) {
            out.insert(fmt::format("{}.{}", (*at)[1].str(), (*at)[2].str()));
        }
    }
    for (const auto& file : read_files({"tests"}, {".py"}))
        out.insert(file.name);
    return out;
}

TEST(Threats, EveryTestThatThePageNamesExists) {
    const auto pages = read_files({"docs"}, {"threats.md"});
    ASSERT_EQ(pages.size(), 1U);
    const std::set<std::string> known = known_names();
    static const std::regex kName(R"(`((?:[A-Z]\w*\.[A-Z]\w+)|(?:(?:fuzz|tests)/[\w/.]+))`)");
    std::vector<std::string> missing;
    std::size_t named = 0;
    const std::string& text = pages.front().text;
    for (std::sregex_iterator at(text.begin(), text.end(), kName), end; at != end; ++at) {
        ++named;
        if (!known.contains((*at)[1].str())) missing.push_back((*at)[1].str());
    }
    EXPECT_GT(named, 50U);
    EXPECT_EQ(report("docs/threats.md names tests that do not exist", missing), "");
}

}  // namespace
}  // namespace selvage::tree
