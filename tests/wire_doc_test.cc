// docs/wire.md says of every statement which vectors prove it. This follows the links: each row
// names a file that is there, and names of vectors that are in it; and no file is left out.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "source_tree.h"

namespace selvage::tree {
namespace {

std::vector<std::string> split(std::string_view text, char at) {
    std::vector<std::string> out;
    while (true) {
        const std::size_t end = text.find(at);
        out.emplace_back(text.substr(0, end));
        if (end == std::string_view::npos) return out;
        text.remove_prefix(end + 1);
    }
}

std::string trimmed(std::string_view text) {
    while (text.starts_with(' '))
        text.remove_prefix(1);
    while (text.ends_with(' '))
        text.remove_suffix(1);
    return std::string(text);
}

// The lines of a vector file that name its vectors; empty when there is no such file.
std::vector<std::string> names_in(const std::string& file) {
    static const std::vector<SourceFile> kFiles = read_files({"tests/vectors"}, {".json"});
    std::vector<std::string> out;
    for (const SourceFile& vectors : kFiles) {
        if (vectors.name != "tests/vectors/" + file) continue;
        for (const std::string& line : split(vectors.text, '\n')) {
            if (line.find("\"name\":") != std::string::npos) out.push_back(line);
        }
    }
    return out;
}

// What a list such as "Data, aes-gcm, SACK" names that no vector of the file has. A name may hold
// commas and may be cut short, so pieces are joined for as long as a name has them all.
std::string unknown_name(std::string_view list, const std::vector<std::string>& names) {
    const auto known = [&names](const std::string& piece) {
        return std::ranges::any_of(names, [&piece](const std::string& line) {
            return line.find(piece) != std::string::npos;
        });
    };
    const auto pieces = split(list, ',');
    for (std::size_t i = 0; i < pieces.size();) {
        std::string joined = trimmed(pieces[i]);
        if (joined.empty() || !known(joined)) return joined.empty() ? "(nothing)" : joined;
        for (++i; i < pieces.size() && known(joined + "," + pieces[i]); ++i)
            joined += "," + pieces[i];
    }
    return {};
}

struct Reference {
    std::string file;
    std::string names;  // "all ...", or a list
};

// "`link/ping.json`: ping 0, its pong; `link/relay.json`: all"
std::vector<Reference> references_in(const std::string& cell) {
    std::vector<Reference> out;
    for (const std::string& part : split(cell, ';')) {
        const std::size_t begin = part.find('`');
        const std::size_t end = part.find('`', begin + 1);
        if (begin == std::string::npos || end == std::string::npos) continue;
        const std::size_t colon = part.find(':', end);
        out.push_back(
            {.file = part.substr(begin + 1, end - begin - 1),
             .names = colon == std::string::npos ? "" : trimmed(part.substr(colon + 1))}
        );
    }
    return out;
}

struct Row {
    std::size_t line;
    std::string cell;  // the second column
};

std::vector<Row> vector_rows(const std::string& page) {
    std::vector<Row> out;
    bool inside = false;
    const auto lines = split(page, '\n');
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].starts_with("| statement | vector |")) {
            inside = true;
        } else if (!lines[i].starts_with('|')) {
            inside = false;
        } else if (inside && !lines[i].starts_with("|---")) {
            const auto cells = split(lines[i], '|');
            out.push_back({.line = i + 1, .cell = cells.size() > 2 ? cells[2] : ""});
        }
    }
    return out;
}

std::string wire_page() {
    for (const SourceFile& page : read_files({"docs"}, {".md"})) {
        if (page.name == "docs/wire.md") return page.text;
    }
    return {};
}

TEST(WirePage, EveryStatementNamesVectorsThatExist) {
    const auto rows = vector_rows(wire_page());
    ASSERT_GT(rows.size(), 50U);
    std::vector<std::string> wrong;
    for (const Row& row : rows) {
        const auto references = references_in(row.cell);
        if (references.empty())
            wrong.push_back(fmt::format("docs/wire.md:{}: no vector", row.line));
        for (const Reference& reference : references) {
            const auto names = names_in(reference.file);
            if (names.empty()) {
                wrong.push_back(fmt::format("docs/wire.md:{}: no {}", row.line, reference.file));
            } else if (!reference.names.starts_with("all")) {
                const std::string unknown = unknown_name(reference.names, names);
                if (unknown.empty()) continue;
                wrong.push_back(fmt::format(
                    "docs/wire.md:{}: {} has no vector \"{}\"", row.line, reference.file, unknown
                ));
            }
        }
    }
    EXPECT_EQ(report("each row: `file.json`: names; or all", wrong), "");
}

TEST(WirePage, NamesEveryVectorFile) {
    const std::string page = wire_page();
    std::vector<std::string> missing;
    for (const SourceFile& vectors : read_files({"tests/vectors"}, {".json"})) {
        const std::string file = vectors.name.substr(std::string_view("tests/vectors/").size());
        if (page.find('`' + file + '`') == std::string::npos) missing.push_back(file);
    }
    EXPECT_EQ(report("docs/wire.md says what each vector file proves", missing), "");
}

}  // namespace
}  // namespace selvage::tree
