// A management connection that has become a capture: pcapng out, until the other side has finished
// writing, the time is up or enough packets were seen. Then the statistics, and the end.
#pragma once

#include <optional>
#include <string>

#include "dataplane/tap.h"
#include "rpc/stream_session.h"

namespace selvage::node {

class Capture final : public rpc::Upgrade {
public:
    struct Options {
        std::string interface_name;
        std::uint32_t snap_bytes = 0;
        std::optional<Duration> duration;
    };
    // Watches from now on. Preconditions: those of Tap; the runtime outlives it.
    Capture(
        rt::Runtime& runtime, dataplane::Taps& taps, dataplane::TapOptions tap, Options options
    );

    rt::Task<> run(rt::StreamPtr stream) override;

private:
    rt::Task<> write_packets(rt::Stream& stream);
    rt::Task<> wait_for_end(rt::Stream& stream);
    bool over() const;
    Bytes take_blocks();

    rt::Runtime& runtime_;
    dataplane::Tap tap_;
    Options options_;
    TimePoint deadline_;
    bool stopped_ = false;  // the other side has had enough
};

}  // namespace selvage::node
