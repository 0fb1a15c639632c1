// Reads the repository for the tests of its rules.
#include "source_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <optional>
#include <sstream>

namespace selvage::tree {
namespace {

namespace fs = std::filesystem;

bool is_name_char(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

std::string read_text(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

// Blanks out comments and the insides of literals. Include lines keep their text.
class Stripper {
public:
    explicit Stripper(std::string_view text) : text_(text) {}

    std::vector<std::string> strip() {
        while (at_ < text_.size())
            step();
        lines_.push_back(std::move(line_));
        return std::move(lines_);
    }

private:
    bool ahead(std::string_view what) const { return text_.substr(at_).starts_with(what); }
    void keep() { put(text_[at_++]); }
    void put(char c) {
        if (c == '\n') {
            lines_.push_back(std::move(line_));
            line_.clear();
        } else {
            line_ += c;
        }
    }
    void blank_until(std::string_view end) {
        while (at_ < text_.size() && !ahead(end))
            blank();
        for (std::size_t i = 0; i < end.size() && at_ < text_.size(); ++i)
            blank();
    }
    void blank() { put(text_[at_++] == '\n' ? '\n' : ' '); }

    void step() {
        const bool line_start = line_.find_first_not_of(' ') == std::string::npos;
        if (line_start && ahead("#include")) {
            while (at_ < text_.size() && text_[at_] != '\n')
                keep();
        } else if (ahead("//")) {
            while (at_ < text_.size() && text_[at_] != '\n')
                blank();
        } else if (ahead("/*")) {
            blank_until("*/");
        } else if (ahead("R\"")) {
            const auto open = text_.find('(', at_);
            const auto delimiter = std::string(text_.substr(at_ + 2, open - at_ - 2));
            blank_until(")" + delimiter + "\"");
        } else if (text_[at_] == '"') {
            quoted('"');
        } else if (text_[at_] == '\'' && (line_.empty() || !is_name_char(line_.back()))) {
            quoted('\'');  // a ' after a name or digit separates digits
        } else {
            keep();
        }
    }
    void quoted(char quote) {
        keep();
        while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n') {
            if (text_[at_] == '\\') blank();
            if (at_ < text_.size()) blank();
        }
        if (at_ < text_.size()) keep();
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::string line_;
    std::vector<std::string> lines_;
};

// What stands before an opening brace decides what the brace opens.
bool opens_function(std::string_view statement) {
    for (const std::string_view scope :
         {"namespace", "class", "struct", "union", "enum", "extern", "concept"}) {
        const auto at = find_word(statement, scope);
        if (at == std::string_view::npos) continue;
        // `struct Foo make(...) {` is not our style, so these words mean a scope, unless they
        // stand inside parentheses or template brackets.
        const auto before = statement.substr(0, at);
        if (before.find('(') == std::string_view::npos &&
            std::count(before.begin(), before.end(), '<') ==
                std::count(before.begin(), before.end(), '>')) {
            return false;
        }
    }
    const auto open = statement.find('(');
    if (open == std::string_view::npos) return false;
    // An initialiser: `const X x = make(1) {` never occurs; `X x{f(` has its brace earlier.
    const auto head = statement.substr(0, open);
    const auto assign = head.find('=');
    return assign == std::string_view::npos || head.find("operator") != std::string_view::npos;
}

}  // namespace

bool SourceFile::is_test() const {
    return in("tests/") || name.find("_test.cc") != std::string::npos ||
           name.find("_test_") != std::string::npos;
}

std::vector<SourceFile> read_files(
    std::vector<std::string_view> folders, std::vector<std::string_view> suffixes
) {
    const fs::path root(SELVAGE_SOURCE_DIR);
    std::vector<SourceFile> files;
    for (const auto folder : folders) {
        if (!fs::exists(root / folder)) continue;
        for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
            const auto name = fs::relative(entry.path(), root).generic_string();
            const bool wanted = std::ranges::any_of(suffixes, [&](std::string_view suffix) {
                return name.ends_with(suffix);
            });
            if (!entry.is_regular_file() || !wanted || name.find("__pycache__") != name.npos) {
                continue;
            }
            SourceFile file{.name = name, .text = read_text(entry.path()), .code = {}};
            file.code = Stripper(file.text).strip();
            files.push_back(std::move(file));
        }
    }
    std::ranges::sort(files, {}, &SourceFile::name);
    return files;
}

const std::vector<SourceFile>& cpp_files() {
    static const auto files =
        read_files({"src", "app", "sim", "include", "tests", "fuzz", "bench"}, {".h", ".cc"});
    return files;
}

std::vector<Include> includes_of(const SourceFile& file) {
    std::vector<Include> found;
    for (std::size_t i = 0; i < file.code.size(); ++i) {
        const std::string_view line = file.code[i];
        if (!line.starts_with("#include")) continue;
        const auto open = line.find_first_of("<\"");
        if (open == std::string_view::npos) continue;
        const bool angled = line[open] == '<';
        const auto close = line.find(angled ? '>' : '"', open + 1);
        if (close == std::string_view::npos) continue;
        found.push_back({i + 1, std::string(line.substr(open + 1, close - open - 1)), angled});
    }
    return found;
}

std::vector<Function> functions_of(const SourceFile& file) {
    std::vector<Function> found;
    std::string statement;
    std::size_t depth = 0;                      // of braces inside the current function
    std::optional<std::size_t> function_start;  // line of its brace
    std::size_t initialiser = 0;                // depth inside `x = { ... }` at scope level
    for (std::size_t i = 0; i < file.code.size(); ++i) {
        const std::string_view line = file.code[i];
        if (line.starts_with('#')) continue;
        for (const char c : line) {
            if (function_start || initialiser > 0) {
                std::size_t& level = function_start ? depth : initialiser;
                if (c == '{') ++level;
                if (c == '}' && --level == 0) {
                    if (function_start) found.push_back({*function_start, i + 2 - *function_start});
                    function_start.reset();
                    statement.clear();
                }
            } else if (c == '{') {
                if (opens_function(statement)) {
                    function_start = i + 1;
                    depth = 1;
                } else if (statement.find('=') != std::string::npos) {
                    initialiser = 1;
                }
                statement.clear();
            } else if (c == '}' || c == ';') {
                statement.clear();
            } else {
                statement += c;
            }
        }
        statement += ' ';
    }
    return found;
}

std::size_t find_word(std::string_view line, std::string_view word) {
    for (auto at = line.find(word); at != std::string_view::npos; at = line.find(word, at + 1)) {
        const auto end = at + word.size();
        // `::open(` is the global one: with a class in front of it, it is another word.
        const bool bounded = is_name_char(word.front()) || word.starts_with("::");
        const bool starts = at == 0 || !bounded || !is_name_char(line[at - 1]);
        const bool stops =
            end == line.size() || !is_name_char(line[end]) || !is_name_char(word.back());
        if (starts && stops) return at;
    }
    return std::string_view::npos;
}

std::string report(std::string_view rule, const std::vector<std::string>& violations) {
    if (violations.empty()) return {};
    std::string text = fmt::format("{}\n", rule);
    for (const auto& violation : violations)
        text += fmt::format("  {}\n", violation);
    return text;
}

}  // namespace selvage::tree
