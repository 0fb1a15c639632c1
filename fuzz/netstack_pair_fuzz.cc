// Two whole stacks with an adversary between them: the input decides for each packet whether it is
// carried, lost, delayed, marked, doubled or damaged, and which options both sides have. Whatever
// happens, what is read is what was written, and everything is given back at the end.
#include <cstdint>

#include "netstack/core/stack_pair_test_support.h"
#include "packet/checksum.h"

namespace {

using namespace selvage;
using namespace selvage::netstack;
using netstack::testing::PatternReader;
using netstack::testing::PatternWriter;

class Adversary final : public PacketOut {
public:
    explicit Adversary(Reader& in) : in_(in) {}
    void from_stack(packet::PacketBatch&& batch) override {
        for (packet::PacketBuf& packet : batch) {
            std::uint8_t verdict = 0;
            // After the end of the input every packet arrives, so that both sides can finish.
            if (!in_.read(verdict)) verdict = 0;
            carry(packet, verdict, batch.now());
        }
    }
    std::multimap<TimePoint, Bytes> under_way;

private:
    void carry(packet::PacketBuf& packet, std::uint8_t verdict, TimePoint now) {
        const Duration delay = std::chrono::milliseconds(1 + verdict / 8);
        const auto put = [&](Duration after) {
            under_way.emplace(now + after, Bytes(packet.bytes().begin(), packet.bytes().end()));
        };
        switch (verdict % 8) {
            case 4: {
                // What may be marked is (RFC 3168).
                auto& ip = *packet.header<packet::Ipv4Header>();
                if ((ip.tos & packet::ecn::kMask) != 0) {
                    ip.tos |= packet::ecn::kCongestionExperienced;
                    ip.checksum = 0;
                    ip.checksum = packet::checksum_finish(packet::checksum_add(as_bytes_of(ip)));
                }
                put(delay);
                return;
            }
            case 5:
                return;
            case 6:
                put(delay * 10);
                put(delay);
                return;
            case 7: {
                // One bit, which every checksum notices.
                std::uint8_t where = 0;
                (void)in_.read(where);
                packet.data()[where % packet.size()] ^= 1;
                put(delay);
                return;
            }
            default:
                put(delay);
        }
    }
    Reader& in_;
};

// Each algorithm, with and without what is negotiated.
StackOptions options_from(Reader& in) {
    std::uint8_t choice = 0;
    (void)in.read(choice);
    StackOptions options;
    options.congestion = static_cast<CongestionAlgorithm>(choice % 3);
    options.ecn = static_cast<EcnMode>(choice / 3 % 3);
    options.timestamps = (choice & 0x10) == 0;
    options.pace_windows = (choice & 0x20) != 0;
    if ((choice & 0x40) != 0) options.receive_buffer_first = options.receive_buffer_max = 2000;
    return options;
}

class Pair {
public:
    explicit Pair(Reader& in) : in_(in), left_out_(in), right_out_(in) {
        left_.set_addresses({Prefix{netstack::testing::kLeftAddress, 24}});
        right_.set_addresses({Prefix{netstack::testing::kRightAddress, 24}});
        std::uint8_t size = 0;
        (void)in_.read(size);
        there_ = PatternWriter(1, std::uint64_t{size} * 700);
        // With an odd number the handshake is by cookie.
        listener_ = *right_.tcp_listen(80, {.half_open_limit = (size & 1) != 0 ? 0U : 128U});
        client_ = *left_.tcp_connect({netstack::testing::kRightAddress, 80}, now_);
    }

    void run() {
        for (int turn = 0; turn < 20'000; ++turn) {
            use();
            left_.poll(now_, left_out_);
            right_.poll(now_, right_out_);
            if (!advance()) break;
        }
        if (at_server_.wrong() + at_client_.wrong() != 0) __builtin_trap();
        left_.tcp_release(client_);
        if (server_) right_.tcp_release(*server_);
        right_.tcp_close_listener(listener_);
        // Everything ends by itself, whatever the other side does.
        for (int minute = 0; minute < 10; ++minute) {
            now_ += std::chrono::minutes(1);
            for (int i = 0; i < 4; ++i) {
                left_out_.under_way.clear();
                right_out_.under_way.clear();
                left_.poll(now_, left_out_);
                right_.poll(now_, right_out_);
            }
        }
        if (left_.tcp_connection_count() + right_.tcp_connection_count() != 0) __builtin_trap();
        if (left_.buffer_bytes() + right_.buffer_bytes() != 0) __builtin_trap();
    }

private:
    void use() {
        if (!server_) server_ = right_.tcp_accept(listener_);
        there_.pump(left_, client_);
        at_client_.pump(left_, client_);
        if (!server_) return;
        back_.pump(right_, *server_);
        at_server_.pump(right_, *server_);
    }
    bool advance() {
        std::optional<TimePoint> next;
        const auto consider = [&](std::optional<TimePoint> at) {
            if (at && (!next || *at < *next)) next = at;
        };
        consider(left_.next_timeout());
        consider(right_.next_timeout());
        for (const auto* wire : {&left_out_, &right_out_}) {
            if (!wire->under_way.empty()) consider(wire->under_way.begin()->first);
        }
        if (!next) return false;
        now_ = std::max(now_, *next);
        deliver(left_out_, right_);
        deliver(right_out_, left_);
        return true;
    }
    void deliver(Adversary& from, Stack& to) {
        while (!from.under_way.empty() && from.under_way.begin()->first <= now_) {
            auto first = from.under_way.extract(from.under_way.begin());
            packet::PacketBuf packet = pool_.copy(first.mapped());
            if (packet) to.input(std::move(packet), now_);
        }
    }

    Reader& in_;
    packet::PacketPool pool_;
    TimePoint now_{std::chrono::hours(1)};
    Stack left_{options_from(in_), pool_, StackSeeds{{1, 2}, {3, 4}}};
    Stack right_{options_from(in_), pool_, StackSeeds{{5, 6}, {7, 8}}};
    Adversary left_out_;
    Adversary right_out_;
    PatternWriter there_{1, 0};
    PatternWriter back_{2, 5000};
    PatternReader at_server_{1};
    PatternReader at_client_{2};
    ListenerId listener_;
    TcpId client_;
    std::optional<TcpId> server_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Reader in({data, size});
    Pair(in).run();
    return 0;
}
