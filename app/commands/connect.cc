// selvage connect HOST:PORT: netcat over the mesh. What comes on standard input goes there, what
// comes back goes to standard output; it ends when the other side has finished.
#include <unistd.h>

#include <array>
#include <cerrno>

#include "command.h"
#include "selvage_api.pb.h"

namespace selvage::app {
namespace {

namespace api = ::selvage::api;

constexpr std::uint32_t kOpenStream = 5;

// What one read of standard input gave; empty at its end.
Bytes read_input() {
    std::array<std::uint8_t, 64 * 1024> buffer;
    for (;;) {
        const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return {};
        return Bytes(buffer.begin(), buffer.begin() + got);
    }
}

bool write_output(ByteView bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
    return true;
}

rt::Task<> send_input(rt::Runtime& runtime, rt::Stream& stream) {
    for (;;) {
        const Bytes bytes = co_await rt::run_on_worker(runtime, [] { return read_input(); });
        if (bytes.empty()) {
            static_cast<void>(stream.shutdown_write());
            co_return;
        }
        auto sent = co_await stream.write_all(bytes);
        if (!sent) co_return;  // the reader learns why
    }
}

class Connect final : public Command {
public:
    explicit Connect(CLI::App& arguments) {
        arguments.add_option("target", target_, "HOST:PORT, a host name or address of the mesh")
            ->required();
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        api::OpenStreamRequest request;
        request.set_target(target_);
        auto stream = co_await context.client.call_for_stream(
            "SelvageRpc", kOpenStream, rpc::to_wire(request)
        );
        if (!stream) co_return stream.error();
        rt::LoopRuntime& loop = context.client.loop();
        rt::TaskScope scope(loop, Log());
        scope.spawn("standard input", send_input(loop, **stream));
        const int status = co_await show_output(**stream);
        // The worker may wait for a key for ever, and there is nothing left to do for it.
        ::_exit(status);
    }

private:
    static rt::Task<int> show_output(rt::Stream& stream) {
        Bytes buffer(64 * 1024);
        for (;;) {
            auto got = co_await stream.read_some(buffer);
            if (!got) {
                report(got.error());
                co_return 1;
            }
            if (*got == 0) co_return 0;
            if (!write_output(ByteView(buffer).first(*got))) co_return 1;
        }
    }
    static void report(const Error& error) {
        const std::string line = fmt::format("selvage: connection ended: {}\n", error.message());
        static_cast<void>(::write(STDERR_FILENO, line.data(), line.size()));
    }

    std::string target_;
};

}  // namespace

const CommandSpec connect_command{
    .name = "connect",
    .summary = "netcat over the mesh",
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Connect>(arguments);
    },
};

}  // namespace selvage::app
