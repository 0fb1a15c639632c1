// selvage shell HOST: telnet over the mesh, so that a node without a device needs no other program.
// The terminal is raw meanwhile; Ctrl-] ends it from this side.
#include <libtelnet.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <cerrno>
#include <cstdlib>

#include "command.h"
#include "rt/event.h"
#include "selvage_api.pb.h"

namespace selvage::app {
namespace {

namespace api = ::selvage::api;

constexpr std::uint32_t kOpenStream = 5;
constexpr std::uint8_t kEscape = 0x1d;  // Ctrl-]
// How soon a new size of the window is told; there is no signal handler to hurry for.
constexpr Duration kSizeCheck = std::chrono::milliseconds(250);

// Raw while it lives; as it was afterwards.
class RawTerminal {
public:
    RawTerminal() : is_terminal_(::tcgetattr(STDIN_FILENO, &before_) == 0) {
        if (!is_terminal_) return;
        termios raw = before_;
        ::cfmakeraw(&raw);
        static_cast<void>(::tcsetattr(STDIN_FILENO, TCSANOW, &raw));
    }
    ~RawTerminal() { restore(); }
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;
    void restore() {
        if (is_terminal_) static_cast<void>(::tcsetattr(STDIN_FILENO, TCSANOW, &before_));
    }

private:
    termios before_{};
    bool is_terminal_;
};

// The client's side of telnet; see edge/telnet.h for the other one.
class TelnetClient {
public:
    TelnetClient() : telnet_(telnet_init(kOptions, &TelnetClient::on_event, 0, this)) {
        if (telnet_ == nullptr) throw std::bad_alloc();
    }
    ~TelnetClient() { telnet_free(telnet_); }
    TelnetClient(const TelnetClient&) = delete;
    TelnetClient& operator=(const TelnetClient&) = delete;

    void receive(ByteView bytes) {
        telnet_recv(telnet_, reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    void type(ByteView bytes) {
        // A key's CR is CR NUL on the network; a line end of a file is CR LF.
        for (const std::uint8_t byte : bytes) {
            const char c = static_cast<char>(byte);
            if (byte == '\r') {
                telnet_send(telnet_, "\r\0", 2);
            } else if (byte == '\n') {
                telnet_send(telnet_, "\r\n", 2);
            } else {
                telnet_send(telnet_, &c, 1);
            }
        }
    }
    void tell_size() {
        winsize size{};
        if (!tells_size_ || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return;
        if (size.ws_col == columns_ && size.ws_row == rows_) return;
        columns_ = size.ws_col;
        rows_ = size.ws_row;
        struct Size {
            be16 columns, rows;
        } const told{columns_, rows_};
        telnet_begin_sb(telnet_, TELNET_TELOPT_NAWS);
        telnet_send(telnet_, reinterpret_cast<const char*>(&told), sizeof(told));
        telnet_finish_sb(telnet_);
    }
    Bytes take_output() { return std::exchange(output_, {}); }
    bool has_output() const { return !output_.empty(); }
    Bytes take_shown() { return std::exchange(shown_, {}); }

private:
    static constexpr telnet_telopt_t kOptions[] = {
        {TELNET_TELOPT_ECHO, TELNET_WONT, TELNET_DO},
        {TELNET_TELOPT_SGA, TELNET_WILL, TELNET_DO},
        {TELNET_TELOPT_NAWS, TELNET_WILL, TELNET_DONT},
        {TELNET_TELOPT_TTYPE, TELNET_WILL, TELNET_DONT},
        {-1, 0, 0},
    };

    static void on_event(telnet_t* telnet, telnet_event_t* event, void* user) {
        auto& self = *static_cast<TelnetClient*>(user);
        if (event->type == TELNET_EV_DATA) {
            self.show({event->data.buffer, event->data.size});
        } else if (event->type == TELNET_EV_SEND) {
            self.output_.insert(
                self.output_.end(), event->data.buffer, event->data.buffer + event->data.size
            );
        } else if (event->type == TELNET_EV_DO && event->neg.telopt == TELNET_TELOPT_NAWS) {
            self.tells_size_ = true;
            self.tell_size();
        } else if (event->type == TELNET_EV_TTYPE && event->ttype.cmd == TELNET_TTYPE_SEND) {
            const char* term = std::getenv("TERM");  // one thread reads it, none writes it
            telnet_ttype_is(telnet, term == nullptr ? "dumb" : term);
        }
    }

    // In the network's text mode a CR that is not a line end is CR NUL; what follows it is not
    // text.
    void show(std::string_view text) {
        for (const char c : text) {
            const bool after_cr = std::exchange(shown_cr_, c == '\r');
            if (!after_cr || c != '\0') shown_.push_back(static_cast<std::uint8_t>(c));
        }
    }

    telnet_t* telnet_;
    bool shown_cr_ = false;
    Bytes output_;
    Bytes shown_;
    bool tells_size_ = false;
    std::uint16_t columns_ = 0;
    std::uint16_t rows_ = 0;
};

Bytes read_keys() {
    std::array<std::uint8_t, 4096> buffer;
    for (;;) {
        const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return {};
        return Bytes(buffer.begin(), buffer.begin() + got);
    }
}

class Shell final : public Command {
public:
    explicit Shell(CLI::App& arguments) {
        arguments.add_option("host", host_, "HOST or HOST:PORT of the mesh; the port is 23")
            ->required();
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        using namespace boost::asio::experimental::awaitable_operators;
        // An IPv6 address has colons of its own; with a port it stands in brackets.
        const bool has_port = host_.ends_with(']') ? false
                              : host_.starts_with('[')
                                  ? true
                                  : std::count(host_.begin(), host_.end(), ':') == 1;
        const bool bare_v6 = !has_port && !host_.starts_with('[') && host_.find(':') != host_.npos;
        api::OpenStreamRequest request;
        request.set_target(has_port ? host_ : bare_v6 ? "[" + host_ + "]:23" : host_ + ":23");
        auto stream = co_await context.client.call_for_stream(
            "SelvageRpc", kOpenStream, rpc::to_wire(request)
        );
        if (!stream) co_return stream.error();
        rt::LoopRuntime& loop = context.client.loop();
        rt::Event changed(loop);
        RawTerminal raw;
        rt::TaskScope keys(loop, Log());
        keys.spawn("keys", send_keys(loop, changed));
        co_await (
            receive(**stream, changed) || send(**stream, changed) || watch_size(loop, changed)
        );
        raw.restore();
        // The worker may wait for a key for ever, and there is nothing left to do for it.
        ::_exit(0);
    }

private:
    rt::Task<> send_keys(rt::LoopRuntime& loop, rt::Event& changed) {
        for (;;) {
            const Bytes typed = co_await rt::run_on_worker(loop, [] { return read_keys(); });
            if (typed.empty() || std::ranges::find(typed, kEscape) != typed.end()) break;
            telnet_.type(typed);
            changed.notify();
        }
        ended_ = true;
        changed.notify();
    }
    rt::Task<> receive(rt::Stream& stream, rt::Event& changed) {
        Bytes buffer(16 * 1024);
        for (;;) {
            auto got = co_await stream.read_some(buffer);
            if (!got || *got == 0) co_return;
            telnet_.receive(ByteView(buffer).first(*got));
            const Bytes shown = telnet_.take_shown();
            print(as_text(shown));
            changed.notify();
        }
    }
    rt::Task<> send(rt::Stream& stream, rt::Event& changed) {
        for (;;) {
            while (!telnet_.has_output() && !ended_)
                co_await changed.wait();
            const Bytes out = telnet_.take_output();
            if (out.empty()) co_return;
            auto sent = co_await stream.write_all(out);
            if (!sent) co_return;
        }
    }
    rt::Task<> watch_size(rt::Runtime& runtime, rt::Event& changed) {
        for (;;) {
            co_await rt::sleep_for(runtime, kSizeCheck);
            telnet_.tell_size();
            if (telnet_.has_output()) changed.notify();
        }
    }

    std::string host_;
    TelnetClient telnet_;
    bool ended_ = false;
};

}  // namespace

const CommandSpec shell_command{
    .name = "shell",
    .summary = "a shell of another node, over the mesh",
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Shell>(arguments);
    },
};

}  // namespace selvage::app
