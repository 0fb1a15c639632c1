// selvage capture FILE: the clear packets between this node and the mesh, as tcpdump and Wireshark
// read them. Blocks of the file come from the node; a file has only whole ones, however it ends.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "command.h"
#include "packet/pcapng.h"
#include "selvage_watch.pb.h"

namespace selvage::app {
namespace {

namespace api = ::selvage::api;

constexpr std::uint32_t kCapture = 3;

// Only for the owner: it holds what others said in confidence.
constexpr mode_t kMode = 0600;

class CaptureFile {
public:
    CaptureFile() = default;
    CaptureFile(const CaptureFile&) = delete;
    CaptureFile& operator=(const CaptureFile&) = delete;
    ~CaptureFile() {
        if (fd_ > STDERR_FILENO) ::close(fd_);
    }
    Result<> open(const std::string& path) {
        fd_ = path == "-" ? STDOUT_FILENO
                          : ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode);
        if (fd_ < 0) return failure(path);
        return {};
    }
    Result<> write(ByteView bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = ::write(fd_, bytes.data(), bytes.size());
            if (sent < 0 && errno == EINTR) continue;
            if (sent <= 0) return failure("the capture file");
            bytes = bytes.subspan(static_cast<std::size_t>(sent));
        }
        return {};
    }

private:
    static Error failure(const std::string& what) {
        return {Errc::refused, what + ": " + std::generic_category().message(errno)};
    }
    int fd_ = -1;
};

class Capture final : public Command {
public:
    explicit Capture(CLI::App& arguments) {
        arguments.add_option("file", path_, "where to, or - for standard output")->required();
        arguments.add_option("--peer", peer_, "only this member: peer id, host name or address");
        arguments.add_option(
            "--flow", flow_,
            "only [tcp|udp|icmp][,END[,END]], END as ADDRESS, ADDRESS:PORT or :PORT"
        );
        arguments.add_option("-c,--count", count_, "end after so many packets");
        arguments.add_option("--duration", seconds_, "end after so many seconds")
            ->check(CLI::Range(1, 7 * 24 * 3600));
        arguments.add_option("--snaplen", snap_bytes_, "keep only so many bytes of a packet")
            ->check(CLI::Range(20, 65535));
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        CaptureFile file;
        auto opened = file.open(path_);
        if (!opened) co_return opened.error();
        api::CaptureRequest request;
        request.set_peer(peer_);
        request.set_flow(flow_);
        request.set_packets_limit(count_);
        request.set_duration_ms(seconds_ * 1000);
        request.set_snap_bytes(snap_bytes_);
        auto stream = co_await context.client.call_for_stream(
            "SelvageWatchRpc", kCapture, rpc::to_wire(request)
        );
        if (!stream) co_return stream.error();
        rt::Stream& blocks = **stream;
        // The first Ctrl-C asks for the end; the node then says what was lost.
        context.client.loop().on_stop_signal([this, &blocks] {
            if (std::exchange(stopping_, true)) ::_exit(1);
            static_cast<void>(blocks.shutdown_write());
        });
        std::fprintf(stderr, "capturing; Ctrl-C ends\n");
        auto totals = co_await receive(blocks, file);
        if (!totals) co_return totals.error();
        std::fprintf(
            stderr, "%llu packets, %llu lost\n", static_cast<unsigned long long>(totals->packets),
            static_cast<unsigned long long>(totals->lost)
        );
        co_return 0;
    }

private:
    static rt::Task<Result<packet::CaptureTotals>> receive(rt::Stream& blocks, CaptureFile& file) {
        Bytes waiting;
        Bytes buffer(64 * 1024);
        Result<packet::CaptureTotals> totals =
            Error(Errc::closed, "the node has gone; what came before is in the file");
        for (;;) {
            auto got = co_await blocks.read_some(buffer);
            if (!got || *got == 0) co_return totals;
            waiting.insert(
                waiting.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*got)
            );
            ByteView rest(waiting);
            for (;;) {
                auto block = packet::parse_pcapng_block(rest);
                if (!block) co_return block.error();
                if (!*block) break;
                if ((*block)->type == packet::pcapng::kStatistics) {
                    totals = packet::parse_statistics((*block)->body);
                }
                rest = rest.subspan((*block)->bytes);
            }
            const std::size_t whole = waiting.size() - rest.size();
            auto written = file.write(ByteView(waiting).first(whole));
            if (!written) co_return written.error();
            waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(whole));
        }
    }

    std::string path_;
    std::string peer_;
    std::string flow_;
    std::uint64_t count_ = 0;
    std::uint32_t seconds_ = 0;
    std::uint32_t snap_bytes_ = 0;
    bool stopping_ = false;
};

}  // namespace

const CommandSpec capture_command{
    .name = "capture",
    .summary = "write the clear packets of a member or flow to a pcapng file",
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Capture>(arguments);
    },
};

}  // namespace selvage::app
