// Packets of a tap as blocks of a file.
#include "node/capture.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "packet/pcapng.h"

namespace selvage::node {
namespace {

// What is written at a time; a packet more than fits costs no more than itself.
constexpr std::size_t kChunkBytes = 64 * 1024;

}  // namespace

Capture::Capture(
    rt::Runtime& runtime, dataplane::Taps& taps, dataplane::TapOptions tap, Options options
)
    : runtime_(runtime),
      tap_(runtime, taps, std::move(tap)),
      options_(std::move(options)),
      deadline_(options_.duration ? runtime.now() + *options_.duration : TimePoint::max()) {}

rt::Task<> Capture::run(rt::StreamPtr stream) {
    using namespace boost::asio::experimental::awaitable_operators;
    co_await (write_packets(*stream) || wait_for_end(*stream));
}

bool Capture::over() const {
    return stopped_ || tap_.finished() || runtime_.now() >= deadline_;
}

Bytes Capture::take_blocks() {
    Bytes out;
    const auto behind = runtime_.wall_now() - WallTime{} - runtime_.now().time_since_epoch();
    while (out.size() < kChunkBytes) {
        const auto packet = tap_.take();
        if (!packet) break;
        const bool inbound = packet->direction == dataplane::TapDirection::from_mesh;
        const std::string comment =
            packet->peer ? fmt::format("{} peer {}", inbound ? "from" : "to", packet->peer)
                         : std::string("to all");
        packet::append_packet(
            out, {.at = WallTime(packet->at.time_since_epoch() + behind),
                  .inbound = inbound,
                  .whole_bytes = packet->whole_bytes,
                  .comment = comment,
                  .bytes = packet->bytes}
        );
    }
    return out;
}

rt::Task<> Capture::write_packets(rt::Stream& stream) {
    Bytes out;
    packet::append_section(out, "selvaged");
    packet::append_interface(out, options_.interface_name, options_.snap_bytes);
    for (;;) {
        if (!out.empty()) {
            auto sent = co_await stream.write_all(out);
            if (!sent) co_return;  // nobody reads any more
        }
        out = take_blocks();
        if (!out.empty()) continue;
        if (over()) break;
        static_cast<void>(co_await tap_.changed().wait_until(deadline_));
    }
    const packet::CaptureTotals totals{.packets = tap_.accepted(), .lost = tap_.lost()};
    packet::append_statistics(out, totals, runtime_.wall_now());
    static_cast<void>(co_await stream.write_all(out));
    static_cast<void>(stream.shutdown_write());
}

rt::Task<> Capture::wait_for_end(rt::Stream& stream) {
    std::array<std::uint8_t, 256> ignored;
    for (;;) {
        auto got = co_await stream.read_some(ignored);
        if (!got) co_return;
        if (*got == 0) break;
    }
    stopped_ = true;
    tap_.changed().notify();
    // The writer still has something to say.
    for (;;)
        co_await tap_.changed().wait();
}

}  // namespace selvage::node
