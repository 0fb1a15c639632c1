// chargen: sends the lines of RFC 864 until the caller has had enough; what it sends is ignored.
#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "edge/service.h"

namespace selvage::edge {
namespace {

constexpr std::size_t kLine = 72;  // characters, and CR LF behind them
constexpr char kFirst = ' ';
constexpr std::size_t kShown = 95;  // printable characters of ASCII

// One round of the pattern: every line begins one character later than the one before.
Bytes make_pattern() {
    Bytes out;
    out.reserve(kShown * (kLine + 2));
    for (std::size_t line = 0; line < kShown; ++line) {
        for (std::size_t i = 0; i < kLine; ++i)
            out.push_back(static_cast<std::uint8_t>(kFirst + (line + i) % kShown));
        out.insert(out.end(), {'\r', '\n'});
    }
    return out;
}

// Between rounds: at most 7 MB/s, so that a forgotten caller is not the busiest of the node.
constexpr Duration kPause = std::chrono::milliseconds(1);

class Chargen final : public Service {
public:
    explicit Chargen(rt::Runtime& runtime) : runtime_(runtime) {}

    rt::Task<Result<>> serve(rt::StreamPtr stream, Caller) override {
        using namespace boost::asio::experimental::awaitable_operators;
        co_await (send(*stream) || ignore(*stream));
        co_return Result<>{};
    }

private:
    rt::Task<> send(rt::Stream& stream) {
        for (;;) {
            auto sent = co_await stream.write_all(pattern_);
            if (!sent) co_return;
            co_await rt::sleep_for(runtime_, kPause);
        }
    }
    static rt::Task<> ignore(rt::Stream& stream) {
        std::array<std::uint8_t, 4096> buffer;
        for (;;) {
            auto got = co_await stream.read_some(buffer);
            if (!got || *got == 0) co_return;
        }
    }
    rt::Runtime& runtime_;
    const Bytes pattern_ = make_pattern();
};

}  // namespace

extern const ServiceSpec chargen_service;
const ServiceSpec chargen_service{
    .name = "chargen",
    .summary = "sends characters until the caller has had enough",
    .default_port = 19,
    .make = [](ServiceContext& context) -> std::unique_ptr<Service> {
        return std::make_unique<Chargen>(context.runtime);
    },
};

}  // namespace selvage::edge
