// One walk over the commands, three languages.
#include "config/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace selvage::config {
namespace {

// A command with the words that lead to it: "/acl/check".
struct Place {
    std::string path;
    const CompletedCommand* command;
};

void gather(const CompletedCommand& command, const std::string& path, std::vector<Place>& out) {
    out.push_back({path, &command});
    for (const CompletedCommand& inner : command.commands)
        gather(inner, fmt::format("{}/{}", path, inner.name), out);
}

std::vector<Place> places_of(const CompletedCommand& program) {
    std::vector<Place> out;
    gather(program, "", out);
    return out;
}

// What a command takes, those of the program itself included: they may stand anywhere.
std::vector<const CompletedOption*> options_at(
    const CompletedCommand& program, const CompletedCommand& command
) {
    std::vector<const CompletedOption*> out;
    for (const CompletedOption& option : command.options)
        out.push_back(&option);
    if (&command == &program) return out;
    for (const CompletedOption& option : program.options) {
        const bool own = std::ranges::any_of(out, [&](const CompletedOption* known) {
            return known->names == option.names;
        });
        if (!own) out.push_back(&option);
    }
    return out;
}

// Names as a shell's functions may have.
std::string function_of(std::string_view program) {
    std::string out = "_";
    for (const char c : program)
        out.push_back(c == '-' ? '_' : c);
    return out;
}

// The text between single quotes, for bash and zsh ('\'' is one) or fish (\' is one).
std::string quoted_for(Shell shell, std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'') {
            out += shell == Shell::fish ? "\\'" : "'\\''";
        } else if (c == '\\' && shell == Shell::fish) {
            out += "\\\\";
        } else {
            out += c == '\n' ? ' ' : c;
        }
    }
    return out + "'";
}

// "/acl|/acl/check": what moves on to a further command.
std::string paths_pattern(const std::vector<Place>& places) {
    std::string out;
    for (const Place& place : places) {
        if (place.path.empty()) continue;
        out += (out.empty() ? "" : "|") + place.path;
    }
    return out;
}

// "--to|--flow": what takes the next word, at any place.
std::string values_pattern(const std::vector<Place>& places) {
    std::vector<std::string> names;
    for (const Place& place : places) {
        for (const CompletedOption& option : place.command->options) {
            if (option.takes_value)
                names.insert(names.end(), option.names.begin(), option.names.end());
        }
    }
    std::ranges::sort(names);
    names.erase(std::ranges::unique(names).begin(), names.end());
    return fmt::format("{}", fmt::join(names, "|"));
}

// Finds out which command the words before the cursor lead to, in bash and in zsh.
std::string path_loop(
    const std::vector<Place>& places, std::string_view words, std::string_view first,
    std::string_view cursor
) {
    std::string out = "    local path='' word i\n";
    out += fmt::format("    for ((i = {}; i < {}; i++)); do\n", first, cursor);
    out += fmt::format("        word=${{{}[i]}}\n", words);
    if (const std::string values = values_pattern(places); !values.empty()) {
        out += fmt::format("        case $word in {}) ((i++)); continue;; esac\n", values);
    }
    if (const std::string paths = paths_pattern(places); !paths.empty()) {
        out += fmt::format("        case $path/$word in {}) path=$path/$word;; esac\n", paths);
    }
    return out + "    done\n";
}

std::string for_bash(const CompletedCommand& program) {
    const auto places = places_of(program);
    const std::string function = function_of(program.name);
    std::string out =
        fmt::format("# Completion of {} for bash.\n{}() {{\n", program.name, function);
    out += "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} offered=''\n";
    out += path_loop(places, "COMP_WORDS", "1", "COMP_CWORD");
    if (const std::string values = values_pattern(places); !values.empty()) {
        // A file, or nothing that we know.
        out += fmt::format("    case $prev in {}) COMPREPLY=(); return;; esac\n", values);
    }
    out += "    case $path in\n";
    for (const Place& place : places) {
        std::vector<std::string> words;
        for (const CompletedCommand& inner : place.command->commands)
            words.push_back(inner.name);
        for (const CompletedOption* option : options_at(program, *place.command))
            words.insert(words.end(), option->names.begin(), option->names.end());
        out += fmt::format("        '{}') offered='{}';;\n", place.path, fmt::join(words, " "));
    }
    out += "    esac\n";
    out += "    COMPREPLY=($(compgen -W \"$offered\" -- \"$cur\"))\n}\n";
    return out + fmt::format("complete -o default -F {} {}\n", function, program.name);
}

// "name:what it is for", as _describe takes it.
std::string zsh_item(std::string_view name, std::string_view help) {
    std::string text;
    for (const char c : std::string_view(name)) {
        if (c == ':') text += '\\';
        text += c;
    }
    return quoted_for(Shell::zsh, fmt::format("{}:{}", text, help));
}

std::string for_zsh(const CompletedCommand& program) {
    const auto places = places_of(program);
    const std::string function = function_of(program.name);
    std::string out = fmt::format(
        "#compdef {0}\n# Completion of {0} for zsh.\n{1}() {{\n", program.name, function
    );
    out += "    local -a offered\n";
    // Its words are counted from 1, and the first is the program.
    out += path_loop(places, "words", "2", "CURRENT");
    out += "    case $path in\n";
    for (const Place& place : places) {
        out += fmt::format("        ('{}') offered=(", place.path);
        for (const CompletedCommand& inner : place.command->commands)
            out += "\n            " + zsh_item(inner.name, inner.help);
        for (const CompletedOption* option : options_at(program, *place.command)) {
            for (const std::string& name : option->names)
                out += "\n            " + zsh_item(name, option->help);
        }
        out += "\n        );;\n";
    }
    out += "    esac\n";
    out += fmt::format("    _describe {} offered || _files\n}}\n", program.name);
    return out + fmt::format("{} \"$@\"\n", function);
}

// The condition under which fish offers what a command takes.
std::string fish_condition(const Place& place) {
    std::string out;
    std::string_view rest = place.path;
    while (!rest.empty()) {
        rest.remove_prefix(1);
        const auto slash = rest.find('/');
        if (!out.empty()) out += "; and ";
        out += fmt::format("__fish_seen_subcommand_from {}", rest.substr(0, slash));
        rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash);
    }
    if (place.command->commands.empty()) return out;
    std::vector<std::string> inner;
    for (const CompletedCommand& each : place.command->commands)
        inner.push_back(each.name);
    if (!out.empty()) out += "; and ";
    return out + fmt::format("not __fish_seen_subcommand_from {}", fmt::join(inner, " "));
}

std::string for_fish(const CompletedCommand& program) {
    std::string out = fmt::format("# Completion of {} for fish.\n", program.name);
    const auto line = [&](const std::string& condition, const std::string& rest,
                          const std::string& help) {
        out += fmt::format("complete -c {}", program.name);
        if (!condition.empty()) out += " -n " + quoted_for(Shell::fish, condition);
        out += rest;
        if (!help.empty()) out += " -d " + quoted_for(Shell::fish, help);
        out += "\n";
    };
    for (const Place& place : places_of(program)) {
        const std::string condition = fish_condition(place);
        for (const CompletedCommand& inner : place.command->commands)
            line(condition, " -f -a " + inner.name, inner.help);
        for (const CompletedOption& option : place.command->options) {
            std::string words;
            for (const std::string& name : option.names) {
                words += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
            }
            if (option.takes_value) words += " -r";
            // The program's own may stand behind a command.
            line(place.path.empty() ? "" : condition, words, option.help);
        }
    }
    return out;
}

}  // namespace

Result<Shell> parse_shell(std::string_view name) {
    if (name == "bash") return Shell::bash;
    if (name == "zsh") return Shell::zsh;
    if (name == "fish") return Shell::fish;
    return Error(Errc::bad_argument, "completion is for bash, zsh or fish");
}

CompletedCommand describe_app(const CLI::App& app) {
    CompletedCommand out{
        .name = app.get_name(), .help = app.get_description(), .options = {}, .commands = {}
    };
    for (const CLI::Option* option : app.get_options()) {
        if (option->get_description().empty() || !option->nonpositional()) continue;
        CompletedOption row{
            .names = {},
            .help = option->get_description(),
            .takes_value = option->get_items_expected_max() > 0
        };
        for (const std::string& name : option->get_lnames())
            row.names.push_back("--" + name);
        for (const std::string& name : option->get_snames())
            row.names.push_back("-" + name);
        out.options.push_back(std::move(row));
    }
    for (const CLI::App* inner : app.get_subcommands([](const CLI::App*) { return true; }))
        out.commands.push_back(describe_app(*inner));
    return out;
}

std::string build_completion(Shell shell, const CompletedCommand& program) {
    switch (shell) {
        case Shell::bash:
            return for_bash(program);
        case Shell::zsh:
            return for_zsh(program);
        case Shell::fish:
            return for_fish(program);
    }
    return {};
}

}  // namespace selvage::config
