// A tunnel for tests: in memory, 10 ms long, whose packets the test can see, swallow and make up.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "rt/runtime.h"
#include "tunnel/tunnel.h"

namespace selvage::tunnel {

// A tunnel whose other end is another one of its kind, or the test itself.
class TestTunnel final : public Tunnel {
public:
    explicit TestTunnel(rt::Runtime& runtime) : runtime_(runtime) {
        info_ = {.scheme = "test", .remote = "test://other"};
    }
    ~TestTunnel() override {
        if (other_ != nullptr) other_->other_ = nullptr;
    }
    static std::pair<std::unique_ptr<TestTunnel>, std::unique_ptr<TestTunnel>> pair(
        rt::Runtime& runtime
    ) {
        auto a = std::make_unique<TestTunnel>(runtime);
        auto b = std::make_unique<TestTunnel>(runtime);
        a->other_ = b.get();
        b->other_ = a.get();
        return {std::move(a), std::move(b)};
    }

    const TunnelInfo& info() const override { return info_; }
    const TunnelStats& stats() const override { return stats_; }
    void start(TunnelSink& sink) override { sink_ = &sink; }
    void send(packet::PacketBatch&& batch) override {
        stats_.tx_packets += batch.size();
        for (packet::PacketBuf& packet : batch) {
            sent.push_back(to_hex(packet.bytes()));
            if (other_ != nullptr && !mute) other_->receive(std::move(packet));
        }
    }
    void close() override {
        if (std::exchange(closed_, true)) return;
        finish(Error(Errc::closed, "closed here"));
        if (other_ != nullptr) other_->finish(Error(Errc::closed));
    }
    void receive(packet::PacketBuf&& packet) {
        inbox_.push_back(std::move(packet));
        if (inbox_.size() == 1) {
            timer_.set(runtime_.now() + delay, [this] { deliver(); });
        }
    }
    std::vector<std::string> sent;  // hex of every packet
    bool mute = false;              // swallow what is sent
    Duration delay = 10ms;          // of what arrives here

private:
    void deliver() {
        std::vector<packet::PacketBuf> packets = std::exchange(inbox_, {});
        stats_.rx_packets += packets.size();
        packet::PacketBatch batch(runtime_.now());
        for (packet::PacketBuf& packet : packets) {
            if (batch.full()) pass_on(std::exchange(batch, packet::PacketBatch(runtime_.now())));
            batch.push(std::move(packet));
        }
        pass_on(std::move(batch));
    }
    void pass_on(packet::PacketBatch&& batch) {
        if (sink_ != nullptr) sink_->on_packets(std::move(batch));
    }
    void finish(const Error& reason) {
        closed_ = true;
        if (sink_ == nullptr || finishing_) return;
        finishing_ = true;
        end_.set(runtime_.now() + 10ms, [this, reason] { sink_->on_closed(reason); });
    }

    rt::Runtime& runtime_;
    TunnelInfo info_;
    TunnelStats stats_;
    TunnelSink* sink_ = nullptr;
    TestTunnel* other_ = nullptr;
    bool closed_ = false;
    bool finishing_ = false;
    std::vector<packet::PacketBuf> inbox_;
    rt::Timer timer_{runtime_.timers()};
    rt::Timer end_{runtime_.timers()};
};

}  // namespace selvage::tunnel
