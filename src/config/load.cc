// Reading files, merging the command line into them, and reporting what is wrong.
#include "config/load.h"

#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "config/read_options.h"
#include "config/toml_tree.h"
#include "tunnel/url.h"

namespace selvage::config {
namespace {

// A configuration is typed by a person; what is larger is some other file.
constexpr std::size_t kFileMax = 1024 * 1024;

Result<std::string> read_text(std::istream& in) {
    std::string text;
    char block[4096];
    while (in.read(block, sizeof(block)) || in.gcount() > 0) {
        text.append(block, static_cast<std::size_t>(in.gcount()));
        if (text.size() > kFileMax) return Error(Errc::limit, "is larger than 1 MiB");
    }
    return text;
}

Result<std::string> read_file(const std::string& path) {
    if (path == "-") return read_text(std::cin);
    std::ifstream in(path, std::ios::binary);
    if (!in) return Error(Errc::not_found, "cannot be read");
    return read_text(in);
}

// A file before it becomes options.
struct Document {
    std::string name;
    OptionTable tree;
    std::vector<OptionProblem> problems;
    std::vector<std::string> warnings;
};

Result<Document> read_document(const std::string& path, const Environment* environment) {
    Document out;
    out.name = path == "-" ? "standard input" : path;
    auto text = read_file(path);
    if (!text) return std::move(text).error().with(out.name);
    // Standard input is never expanded, as in the reference.
    if (environment != nullptr && path != "-") {
        Substituted substituted = substitute(*text, *environment);
        *text = std::move(substituted.text);
        if (!substituted.left_because.empty()) {
            out.warnings.push_back(fmt::format(
                "{}: environment variables are left as they are: {}", out.name,
                substituted.left_because
            ));
        }
    }
    out.tree = parse_toml_tree(*text, out.problems);
    return out;
}

std::string network_of(const OptionTable& document) {
    const OptionValue* identity = document.find("network_identity");
    const auto* table = identity == nullptr ? nullptr : identity->get<OptionTable>();
    const OptionValue* name = table == nullptr ? nullptr : table->find("network_name");
    const auto* text = name == nullptr ? nullptr : name->get<std::string>();
    return text == nullptr ? "default" : *text;
}

// An instance without any listener key gets the default ones, once flags take part.
void add_default_listeners(OptionTable& document) {
    const OptionValue* listeners = document.find("listeners");
    if (listeners != nullptr) return;
    document.append("listeners", OptionValue(std::string("11010"), {}));
}

class Loader {
public:
    Loader(const CommandLine& command_line, const Environment& environment)
        : command_line_(command_line), environment_(environment) {}

    Result<Loaded> run() {
        const bool several = command_line_.config_files.size() > 1;
        const bool flags = command_line_.has_network_options();
        const bool named = flags && has_network_name();
        const std::string wanted = network_of(command_line_.set);
        bool matched = false;
        for (const std::string& path : command_line_.config_files) {
            auto document =
                read_document(path, command_line_.environment_in_files ? &environment_ : nullptr);
            if (!document) {
                mistakes_.push_back(document.error().message());
                continue;
            }
            const bool mine =
                flags && (!several || (named && network_of(document->tree) == wanted));
            matched = matched || mine;
            add(std::move(*document), mine);
        }
        if (command_line_.config_files.empty() || (several && named && !matched)) {
            add({.name = "command line", .tree = {}, .problems = {}, .warnings = {}}, true);
        }
        check_names();
        check_metrics();
        if (!mistakes_.empty()) {
            return Error(Errc::bad_argument, fmt::format("{}", fmt::join(mistakes_, "\n")));
        }
        return std::move(out_);
    }

private:
    bool has_network_name() const {
        const OptionValue* identity = command_line_.set.find("network_identity");
        return identity != nullptr && identity->get<OptionTable>()->find("network_name") != nullptr;
    }

    void add(Document document, bool with_flags) {
        out_.warnings.insert(
            out_.warnings.end(), document.warnings.begin(), document.warnings.end()
        );
        if (document.problems.empty()) {
            if (with_flags) {
                document.tree = merge(std::move(document.tree), command_line_);
                add_default_listeners(document.tree);
            }
            NodeOptions options = read_options(document.tree, document.problems);
            options.rpc_portal = command_line_.rpc_portal;
            options.management_socket = command_line_.socket;
            out_.instances.push_back(std::move(options));
        }
        if (!document.problems.empty()) {
            mistakes_.push_back(describe_problems(document.problems, document.name).message());
        }
    }

    // Each instance has a management socket of its own, named after it.
    void check_names() {
        std::set<std::string> names;
        for (const NodeOptions& options : out_.instances) {
            if (names.insert(options.instance_name).second) continue;
            mistakes_.push_back(fmt::format(
                "two instances are called \"{}\": give each its own `instance_name`",
                printable(options.instance_name)
            ));
        }
        if (out_.instances.size() > 1 &&
            (command_line_.rpc_portal || !command_line_.socket.empty())) {
            mistakes_.push_back("--rpc-portal and --socket are for one instance, not for several");
        }
    }

    // The process has one page for all its instances.
    void check_metrics() {
        std::optional<Endpoint> at;
        for (const NodeOptions& options : out_.instances) {
            if (!options.metrics) continue;
            if (at && *at != *options.metrics) {
                mistakes_.push_back(fmt::format(
                    "metrics.listen: one address serves all instances of a process, not {} and {}",
                    *at, *options.metrics
                ));
            }
            at = options.metrics;
        }
    }

    const CommandLine& command_line_;
    const Environment& environment_;
    Loaded out_;
    std::vector<std::string> mistakes_;
};

}  // namespace

Error describe_problems(const std::vector<OptionProblem>& problems, std::string_view file) {
    // In the order of the file, however the keys were read.
    std::multimap<std::pair<std::uint32_t, std::uint32_t>, const OptionProblem*> sorted;
    for (const OptionProblem& problem : problems) {
        sorted.emplace(std::pair(problem.at.line, problem.at.column), &problem);
    }
    std::string text;
    for (const auto& [place, entry] : sorted) {
        const OptionProblem& problem = *entry;
        if (!text.empty()) text += '\n';
        text += problem.at.to_string(file);
        if (!problem.key.empty()) text += ": " + printable(problem.key, 128);
        text += ": " + problem.text;
    }
    return Error(Errc::bad_argument, std::move(text));
}

Result<NodeOptions> parse_toml(std::string_view text, std::string_view name) {
    std::vector<OptionProblem> problems;
    const OptionTable tree = parse_toml_tree(text, problems);
    if (!problems.empty()) return describe_problems(problems, name);
    NodeOptions options = read_options(tree, problems);
    if (!problems.empty()) return describe_problems(problems, name);
    return options;
}

Result<NodeOptions> load_file(const std::string& path, const Environment& environment) {
    auto document = read_document(path, &environment);
    if (!document) return document.error();
    NodeOptions options;
    if (document->problems.empty()) options = read_options(document->tree, document->problems);
    if (!document->problems.empty()) return describe_problems(document->problems, document->name);
    return options;
}

Result<Loaded> load(const CommandLine& command_line, const Environment& environment) {
    return Loader(command_line, environment).run();
}

}  // namespace selvage::config
