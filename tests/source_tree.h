// The files of the repository as the tests that read them see them: whole, without comments and
// text literals, and as include lines.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace selvage::tree {

struct SourceFile {
    std::string name;  // relative to the root, with '/'
    std::string text;
    // `text` with comments and the insides of literals replaced by blanks, line by line.
    std::vector<std::string> code;

    bool in(std::string_view folder) const { return name.starts_with(folder); }
    bool ends_with(std::string_view suffix) const { return name.ends_with(suffix); }
    // Beside the source and in tests/: may see more than production code.
    bool is_test() const;
};

struct Include {
    std::size_t line;  // from 1
    std::string header;
    bool angled;
};

// All files below these folders of the root with one of these suffixes, sorted by name.
std::vector<SourceFile> read_files(
    std::vector<std::string_view> folders, std::vector<std::string_view> suffixes
);
// The C++ of src, app, sim, include, tests, fuzz and bench.
const std::vector<SourceFile>& cpp_files();

std::vector<Include> includes_of(const SourceFile& file);

struct Function {
    std::size_t first_line;  // from 1; of its opening brace
    std::size_t lines;
};
// Function bodies, found by counting braces; a lambda counts for the function that holds it.
std::vector<Function> functions_of(const SourceFile& file);

// Where `word` stands in `line` as a word of its own; npos when it does not.
std::size_t find_word(std::string_view line, std::string_view word);

// Violations as one text for an assertion: nothing, or the rule and every place.
std::string report(std::string_view rule, const std::vector<std::string>& violations);

}  // namespace selvage::tree
