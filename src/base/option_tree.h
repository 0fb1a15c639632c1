// Configuration as a tree of values that know where they were written, and a reader that turns a
// table of it into options and collects everything that is wrong.
//
// The tree comes from TOML or from a command line (config builds it); the modules that own options
// read it. The reader's problems() name the key, say what would be right, and never quote a value
// that may be secret.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/time.h"

namespace selvage {

// Where a value was written: a line of a file, or a command-line option or environment variable.
struct SourcePos {
    std::uint32_t line = 0;
    std::uint32_t column = 0;
    std::string option;  // "--mtu" or "ET_MTU"; empty for a value from a file

    // "home.toml:3:8" or "--mtu"; `file` is the name of the file that the tree came from.
    std::string to_string(std::string_view file) const;
};

class OptionValue;
using OptionList = std::vector<OptionValue>;

// Keys in the order of the file. Tables of a configuration are small: look-ups walk the list.
class OptionTable {
public:
    const OptionValue* find(std::string_view key) const;
    OptionValue* find(std::string_view key);
    void set(std::string_view key, OptionValue value);  // replaces
    // The table at `key`, made if absent. Precondition: what is there is a table.
    OptionTable& table(std::string_view key);
    // Appends to the list at `key`, made if absent.
    void append(std::string_view key, OptionValue value);
    void erase(std::string_view key);
    bool empty() const { return entries_.empty(); }

    struct Entry;
    const std::vector<Entry>& entries() const { return entries_; }

private:
    std::vector<Entry> entries_;
};

class OptionValue {
public:
    using Data = std::variant<bool, std::int64_t, double, std::string, OptionList, OptionTable>;

    OptionValue(Data data, SourcePos at);

    template <class T>
    const T* get() const {
        return std::get_if<T>(&data_);
    }
    template <class T>
    T* get() {
        return std::get_if<T>(&data_);
    }
    const SourcePos& at() const { return at_; }
    std::string_view kind() const;  // "a string", "a table": for messages

private:
    Data data_;
    SourcePos at_;
};

struct OptionTable::Entry {
    std::string key;
    OptionValue value;
};

// A scalar as its text, quotes aside: a number may be written in quotes. Nothing for lists and
// tables.
std::optional<std::string> scalar_text(const OptionValue& value);
// Whether both say the same, wherever they were written and in whatever order their keys are.
bool same_value(const OptionValue& a, const OptionValue& b);
bool same_table(const OptionTable& a, const OptionTable& b);

inline OptionValue::OptionValue(Data data, SourcePos at)
    : data_(std::move(data)), at_(std::move(at)) {}

// Something wrong with a configuration. `key` is the full path ("service.proxy.port").
struct OptionProblem {
    SourcePos at;
    std::string key;
    std::string text;
};

// Reads one table. Every key that was asked for counts as known; finish() reports the others with
// the nearest known name. A key that is absent gives the fallback; one of the wrong type or out of
// range gives the fallback and a problem.
class OptionReader {
public:
    OptionReader(
        const OptionTable& table, std::string path, SourcePos at,
        std::vector<OptionProblem>& problems
    )
        : table_(table), path_(std::move(path)), at_(std::move(at)), problems_(problems) {}

    bool boolean(std::string_view key, bool fallback);
    std::int64_t integer(
        std::string_view key, std::int64_t fallback, std::int64_t least, std::int64_t most
    );
    std::string text(std::string_view key, std::string_view fallback);
    // One of a few words.
    std::string word(
        std::string_view key, std::string_view fallback,
        std::initializer_list<std::string_view> words
    );
    // Seconds as a number, or "90s", "15m", "2h", "250ms"; 0 is allowed if `least` is.
    Duration duration(std::string_view key, Duration fallback, Duration least, Duration most);
    // A list of strings, each with its position; a single string counts as a list of one.
    std::vector<std::pair<std::string, SourcePos>> texts(std::string_view key);
    const OptionTable* table(std::string_view key);
    // A list of tables ([[key]]); entries of another type are problems and left out.
    std::vector<std::pair<const OptionTable*, SourcePos>> tables(std::string_view key);
    // Any value: marks the key as known.
    const OptionValue* take(std::string_view key);

    // Reports a problem with a key of this table.
    void problem(std::string_view key, const SourcePos& at, std::string text);
    void problem(std::string_view key, std::string text);  // at the key's own position
    std::string path_of(std::string_view key) const;
    SourcePos position_of(std::string_view key) const;
    std::vector<OptionProblem>& problems() { return problems_; }

    // Unknown keys become problems. The key "?" asks for a list of those that are known.
    void finish();

private:
    const OptionTable& table_;
    std::string path_;
    SourcePos at_;
    std::vector<OptionProblem>& problems_;
    std::vector<std::string> known_;
};

// Of `known`, the name nearest to `name` by edits; empty if none is near enough to be meant.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

// "90s", "15m", "2h", "250ms", "1d" or plain seconds.
std::optional<Duration> parse_duration(std::string_view text);

}  // namespace selvage
