// menu: the node's own commands over telnet, for people who may look and not touch.
//
//   prompt -> line -> command -> its answer -> prompt ...
//
// There is no log-in: who the allow list lets in may ask. What can be asked changes nothing and
// shows no secrets; `commands` makes it less. A command is ended by Ctrl-C; one runs at a time and
// its answer is written before the next line is read, so a slow reader holds up only itself. One
// that follows is asked for more when its last words have been written, and until q is typed.
#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "base/text_table.h"
#include "edge/menu_line.h"
#include "edge/node_commands.h"
#include "edge/service.h"
#include "edge/telnet_session.h"

namespace selvage::edge {
namespace {

constexpr std::size_t kWordsMax = 8;
// One key can redraw the line or list the choices: what typed-ahead keys show is bounded by this
// and the answer to one key.
constexpr std::size_t kShownAtOnce = 16 * 1024;
constexpr std::string_view kPrompt = "selvage> ";
// How often a command that follows is asked whether there is more.
constexpr Duration kFollowPause = std::chrono::milliseconds(250);
constexpr std::string_view kFollowFlag = "-f";
constexpr std::string_view kFollowEnds = "q\x03";
constexpr std::string_view kOwnCommands[] = {"help", "quit"};

struct MenuOptions {
    std::vector<std::string> commands;  // names of those that are offered
};

MenuOptions read_options(OptionReader& in) {
    MenuOptions options;
    for (auto& [name, at] : in.texts("commands")) {
        if (find_node_command(name) != nullptr) {
            options.commands.push_back(std::move(name));
            continue;
        }
        std::string known;
        for (const NodeCommandInfo& each : node_commands())
            known += fmt::format("{}{}", known.empty() ? "" : ", ", each.name);
        in.problem("commands", at, fmt::format("\"{}\" is none of {}", printable(name, 32), known));
    }
    if (in.take("commands") == nullptr) {
        for (const NodeCommandInfo& each : node_commands())
            options.commands.emplace_back(each.name);
    }
    return options;
}

std::vector<std::string> words_of(std::string_view line) {
    std::vector<std::string> words;
    while (!line.empty() && words.size() < kWordsMax) {
        const auto space = line.find(' ');
        if (space != 0) words.emplace_back(line.substr(0, space));
        line.remove_prefix(space == line.npos ? line.size() : space + 1);
    }
    return words;
}

class Menu final : public Service {
public:
    Menu(ServiceContext& context, MenuOptions options)
        : context_(context), options_(std::move(options)) {}

    rt::Task<Result<>> serve(rt::StreamPtr stream, Caller caller) override {
        if (context_.commands == nullptr) co_return Errc::unsupported;
        TelnetSession session(context_.runtime, std::move(stream));
        session.telnet().start();
        context_.sessions.note(caller.session, "menu");
        session.telnet().show("Type help for the commands, quit to leave.\r\n");
        MenuLine line(std::string(kPrompt), [this](std::string_view before, std::string_view) {
            return choices(before);
        });
        std::string out;
        start_line(session, line, out);
        for (;;) {
            const auto state = type_into(session, line, out);
            show(session, out);
            if (state == MenuLine::State::ended) co_return co_await session.last_words();
            if (state == MenuLine::State::done) {
                const std::vector<std::string> words = words_of(line.take());
                if (!words.empty() && words.front() == "quit") {
                    co_return co_await session.last_words();
                }
                if (!words.empty()) {
                    context_.sessions.note(caller.session, "menu, " + words.front());
                    auto done = co_await answer(session, words);
                    if (!done) co_return done;
                }
            }
            if (state != MenuLine::State::typing) {
                start_line(session, line, out);
                if (session.telnet().output_size() < kShownAtOnce) continue;
            }
            auto exchanged =
                co_await (session.typed_waits() ? session.flush() : session.exchange());
            if (!exchanged) co_return exchanged;
        }
    }

private:
    static void show(TelnetSession& session, std::string& out) {
        if (!out.empty()) session.telnet().show(out);
        out.clear();
    }

    static void start_line(TelnetSession& session, MenuLine& line, std::string& out) {
        line.start(out);
        show(session, out);
    }

    // Up to the end of a line, or as much as may be shown at once; what follows stays for later.
    static MenuLine::State type_into(TelnetSession& session, MenuLine& line, std::string& out) {
        if (const auto size = session.telnet().take_resize()) line.set_columns(size->columns);
        auto state = MenuLine::State::typing;
        if (session.telnet().take_interrupt()) state = line.type(0x03, out);
        while (state == MenuLine::State::typing && out.size() < kShownAtOnce) {
            const auto byte = session.take_typed();
            if (!byte) break;
            state = line.type(*byte, out);
        }
        return state;
    }

    // Shows what a command says, until it is done or interrupted.
    rt::Task<Result<>> answer(TelnetSession& session, std::vector<std::string> words) {
        using namespace boost::asio::experimental::awaitable_operators;
        const std::string name = words.front();
        words.erase(words.begin());
        const NodeCommandInfo* command = find_node_command(name);
        const bool follows = command != nullptr && command->follows && !words.empty() &&
                             words.front() == kFollowFlag;
        if (follows) words.erase(words.begin());
        std::string text;
        if (name == "help") {
            text = help();
        } else if (command == nullptr || !offers(name)) {
            text = fmt::format("There is no command {}; help names them.\n", printable(name, 32));
        } else if (words.size() < command->arguments_min || words.size() > command->arguments_max) {
            text = fmt::format(
                "{}{}{} is how to say it.\n", command->name, command->arguments.empty() ? "" : " ",
                command->arguments
            );
        } else if (follows) {
            auto feed = context_.commands->follow(name, words);
            if (feed) co_return co_await follow(session, **feed);
            text = failure_text(name, feed.error());
        } else {
            auto echoed = co_await session.flush();
            if (!echoed) co_return echoed;
            co_await (run(name, std::move(words), text) || session.interrupted());
            if (text.empty()) text = "(interrupted)\n";
        }
        session.telnet().show(for_terminal(text));
        co_return co_await session.flush();
    }

    rt::Task<> run(std::string name, std::vector<std::string> words, std::string& text) {
        auto said = co_await context_.commands->run(name, std::move(words));
        text = said ? std::move(*said) : failure_text(name, said.error());
        if (text.empty()) text = "(nothing)\n";
    }

    static std::string failure_text(std::string_view command, const Error& reason) {
        return fmt::format("{}: {}\n", command, reason.message());
    }

    struct Following {
        NodeFeed& feed;
        rt::Event stopped_event;
        bool stopped = false;
        Result<> shown = {};
    };

    // Until a key ends it or the client goes.
    rt::Task<Result<>> follow(TelnetSession& session, NodeFeed& feed) {
        using namespace boost::asio::experimental::awaitable_operators;
        Following following{.feed = feed, .stopped_event = rt::Event(context_.runtime)};
        co_await (show_feed(session, following) || stop_by_key(session, following));
        co_return following.shown;
    }

    rt::Task<> show_feed(TelnetSession& session, Following& following) {
        while (!following.stopped) {
            const std::string text = following.feed.next();
            session.telnet().show(for_terminal(text));
            following.shown = co_await session.flush();
            if (!following.shown) co_return;
            if (!text.empty() || following.stopped) continue;
            co_await following.stopped_event.wait_until(context_.runtime.now() + kFollowPause);
        }
    }

    static rt::Task<> stop_by_key(TelnetSession& session, Following& following) {
        co_await session.pressed(kFollowEnds);
        following.stopped = true;
        following.stopped_event.notify();
        // Who returned here would cancel a write in the middle of a line.
        for (;;)
            co_await following.stopped_event.wait();
    }

    bool offers(std::string_view name) const {
        return std::ranges::find(options_.commands, name) != options_.commands.end();
    }

    std::string help() const {
        std::vector<std::vector<std::string>> rows;
        for (const NodeCommandInfo& each : node_commands()) {
            if (!offers(each.name)) continue;
            const std::string_view space = each.arguments.empty() ? "" : " ";
            rows.push_back(
                {fmt::format("{}{}{}", each.name, space, each.arguments), std::string(each.summary)}
            );
        }
        rows.push_back({"help", "this list"});
        rows.push_back({"quit", "ends the session, as Ctrl-D does"});
        return build_table(rows) + "Tab completes, the arrows bring back earlier lines, Ctrl-C " +
               "ends a command.\n";
    }

    std::vector<std::string> choices(std::string_view before) const {
        const std::vector<std::string> words = words_of(before);
        if (words.empty()) {
            std::vector<std::string> out = options_.commands;
            out.insert(out.end(), std::begin(kOwnCommands), std::end(kOwnCommands));
            return out;
        }
        const NodeCommandInfo* command = find_node_command(words.front());
        if (command == nullptr || !offers(command->name)) return {};
        if (words.size() > command->arguments_max) return {};
        auto out = context_.commands->candidates(command->name);
        if (command->follows && words.size() == 1) out.emplace_back(kFollowFlag);
        return out;
    }

    ServiceContext& context_;
    const MenuOptions options_;
};

MenuOptions read_checked(const OptionTable& table) {
    std::vector<OptionProblem> ignored;
    OptionReader in(table, "", {}, ignored);
    return read_options(in);
}

}  // namespace

extern const ServiceSpec menu_service;
const ServiceSpec menu_service{
    .name = "menu",
    .summary = "the node's own commands over telnet",
    .default_port = 2323,
    .default_max_sessions = 32,
    .default_max_sessions_per_caller = 4,
    .default_idle_timeout = std::chrono::minutes(15),
    .check = [](OptionReader& own) { static_cast<void>(read_options(own)); },
    .make = [](ServiceContext& context) -> std::unique_ptr<Service> {
        return std::make_unique<Menu>(context, read_checked(context.options));
    },
};

}  // namespace selvage::edge
