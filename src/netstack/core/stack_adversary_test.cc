// Two stacks with somebody between them who loses, reorders, doubles, damages, delays, narrows,
// repeats what is old and makes segments up. Whatever he does, each side reads what the other
// wrote, both come to an end, and nothing is left.
//
// Seeds: SELVAGE_STACK_SEEDS="first:count"; without it a few dozen. `./dev sim --stacks 10000` runs
// many. A seed that fails is named, and runs alone by "seed:1".
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "netstack/core/stack_pair_test_support.h"
#include "packet/checksum.h"

namespace selvage::netstack::testing {
namespace {

constexpr std::uint16_t kPort = 80;

struct Evil {
    Duration delay{};
    Duration jitter{};
    double loss = 0;
    double duplicate = 0;
    double corrupt = 0;
    double replay = 0;    // something from earlier once more
    double forge = 0;     // a segment of his own
    double mark = 0;      // congestion experienced, where that is allowed
    std::size_t mtu = 0;  // larger packets are refused; 0: none
};

Evil draw_evil(Dice& dice) {
    const auto share = [&](double most) {
        return dice.chance(0.5) ? most * static_cast<double>(dice.below(1000)) / 1000 : 0;
    };
    Evil evil;
    evil.delay = std::chrono::microseconds(100 + dice.below(60'000));
    if (dice.chance(0.5)) evil.jitter = std::chrono::microseconds(1 + dice.below(30'000));
    evil.loss = share(0.06);
    evil.duplicate = share(0.1);
    evil.corrupt = share(0.03);
    evil.replay = share(0.05);
    evil.forge = share(0.1);
    evil.mark = share(0.05);
    if (dice.chance(0.2)) evil.mtu = 600 + dice.below(700);
    return evil;
}

// One direction. What was refused for its size is told to the sender.
class EvilLink final : public PacketOut {
public:
    EvilLink(Dice& dice, bool forge_data, bool to_dialler)
        : dice_(dice), forge_data_(forge_data), to_dialler_(to_dialler) {}

    void from_stack(packet::PacketBatch&& batch) override {
        for (packet::PacketBuf& packet : batch)
            take(packet, batch.now());
    }
    Evil evil;
    std::multimap<TimePoint, Bytes> under_way;
    std::multimap<TimePoint, Bytes>* way_back = nullptr;

private:
    static constexpr std::size_t kRemembered = 16;

    void take(packet::PacketBuf& packet, TimePoint now) {
        if (evil.mtu != 0 && packet.size() > evil.mtu) return refuse(packet, now);
        remember(packet);
        if (dice_.chance(evil.replay)) put(old_[dice_.below(old_.size())], now);
        if (dice_.chance(evil.forge)) forge(packet, now);
        if (dice_.chance(evil.loss)) return;
        if (dice_.chance(evil.mark)) mark(packet);
        if (dice_.chance(evil.duplicate)) put(packet.bytes(), now);
        if (dice_.chance(evil.corrupt)) {
            packet.data()[dice_.below(packet.size())] ^=
                static_cast<std::uint8_t>(1U << dice_.below(8));
        }
        put(packet.bytes(), now);
    }
    void put(ByteView bytes, TimePoint now) {
        Duration delay = evil.delay;
        if (evil.jitter > Duration::zero()) {
            delay += Duration(dice_.below(static_cast<std::uint64_t>(evil.jitter.count())));
        }
        under_way.emplace(now + delay, Bytes(bytes.begin(), bytes.end()));
    }
    void remember(const packet::PacketBuf& packet) {
        const Bytes copy(packet.bytes().begin(), packet.bytes().end());
        if (old_.size() < kRemembered) return old_.push_back(copy);
        // Some stay for long.
        if (dice_.chance(0.2)) old_[dice_.below(kRemembered)] = copy;
    }
    static void seal(packet::Ipv4Header& ip) {
        ip.checksum = 0;
        ip.checksum = packet::checksum_finish(packet::checksum_add(as_bytes_of(ip)));
    }
    static void mark(packet::PacketBuf& packet) {
        auto& ip = *packet.header<packet::Ipv4Header>();
        if ((ip.tos & packet::ecn::kMask) == packet::ecn::kNotCapable) return;
        ip.tos |= packet::ecn::kCongestionExperienced;
        seal(ip);
    }
    static packet::Ipv4Header ip_header(
        std::uint32_t from, std::uint32_t to, std::uint8_t protocol, std::size_t payload
    ) {
        packet::Ipv4Header ip;
        ip.total_length = static_cast<std::uint16_t>(sizeof(ip) + payload);
        ip.protocol = protocol;
        ip.source = from;
        ip.destination = to;
        seal(ip);
        return ip;
    }
    void refuse(const packet::PacketBuf& packet, TimePoint now) {
        const auto& big = *packet.header<packet::Ipv4Header>();
        Bytes message(sizeof(packet::IcmpHeader) + sizeof(big) + 8);
        packet::IcmpHeader icmp;
        icmp.type = 3;
        icmp.code = 4;
        icmp.rest = static_cast<std::uint32_t>(evil.mtu);
        std::memcpy(message.data() + sizeof(icmp), packet.data(), sizeof(big) + 8);
        std::memcpy(message.data(), &icmp, sizeof(icmp));
        icmp.checksum = packet::checksum_finish(packet::checksum_add(message));
        std::memcpy(message.data(), &icmp, sizeof(icmp));
        const auto ip = ip_header(0x0a000063, big.source, 1, message.size());
        Bytes whole(sizeof(ip));
        std::memcpy(whole.data(), &ip, sizeof(ip));
        whole.insert(whole.end(), message.begin(), message.end());
        way_back->emplace(now + evil.delay, std::move(whole));
    }
    // He knows addresses and ports and nothing else. Data that he makes up has no timestamp:
    // without them there would be one chance in a hundred thousand that it is taken (RFC 5961,
    // section 5).
    void forge(const packet::PacketBuf& like, TimePoint now) {
        using namespace packet::tcp_flag;
        constexpr std::uint8_t kKinds[] = {kRst, kRst | kAck, kSyn, kSyn | kAck, kFin | kAck, kAck};
        const auto& ip = *like.header<packet::Ipv4Header>();
        packet::TcpHeader tcp;
        std::memcpy(&tcp, like.data() + sizeof(ip), sizeof(tcp));
        tcp.flags = kKinds[dice_.below(std::size(kKinds))];
        const bool carries = tcp.flags == kAck || tcp.flags == (kFin | kAck);
        // A SYN for somebody who dials is the other side dialling too, which the real one then
        // refuses (RFC 9293, sections 3.5 and 3.10.7.4): that is a way to be refused.
        if ((carries && !forge_data_) || (tcp.flags == kSyn && to_dialler_)) tcp.flags = kRst;
        tcp.data_offset = 0x50;
        tcp.sequence = static_cast<std::uint32_t>(dice_.next());
        tcp.acknowledgement = static_cast<std::uint32_t>(dice_.next());
        tcp.checksum = 0;
        Bytes segment(sizeof(tcp) + dice_.below(100), 0xee);
        std::memcpy(segment.data(), &tcp, sizeof(tcp));
        const std::uint16_t pseudo = packet::pseudo_header_sum(
            IpAddress::v4(ip.source), IpAddress::v4(ip.destination), 6,
            static_cast<std::uint32_t>(segment.size())
        );
        tcp.checksum = packet::checksum_finish(packet::checksum_add(segment, pseudo));
        std::memcpy(segment.data(), &tcp, sizeof(tcp));
        const auto header = ip_header(ip.source, ip.destination, 6, segment.size());
        Bytes whole(sizeof(header));
        std::memcpy(whole.data(), &header, sizeof(header));
        whole.insert(whole.end(), segment.begin(), segment.end());
        put(whole, now);
    }

    Dice& dice_;
    bool forge_data_;
    bool to_dialler_;
    std::vector<Bytes> old_;
};

StackOptions draw_options(Dice& dice, bool timestamps) {
    StackOptions options;
    constexpr CongestionAlgorithm kAlgorithms[] = {
        CongestionAlgorithm::new_reno, CongestionAlgorithm::cubic, CongestionAlgorithm::bbr
    };
    options.congestion = kAlgorithms[dice.below(3)];
    options.ecn = static_cast<EcnMode>(dice.below(3));
    options.timestamps = timestamps;
    if (dice.chance(0.3)) {  // tiny windows
        options.receive_buffer_first = 1500 + static_cast<std::uint32_t>(dice.below(4000));
        options.receive_buffer_max = options.receive_buffer_first;
    }
    if (dice.chance(0.3)) options.send_buffer_first = options.send_buffer_max = 3000;
    return options;
}

class Contest {
public:
    explicit Contest(std::uint64_t seed)
        : dice_(seed),
          timestamps_(dice_.chance(0.7)),
          left_(draw_options(dice_, timestamps_), pool_, seeds()),
          right_(draw_options(dice_, timestamps_), pool_, seeds()),
          to_right_(dice_, timestamps_, false),
          to_left_(dice_, timestamps_, true) {
        left_.set_addresses({Prefix{kLeftAddress, 24}});
        right_.set_addresses({Prefix{kRightAddress, 24}});
        to_right_.way_back = &to_left_.under_way;
        to_left_.way_back = &to_right_.under_way;
        TcpListenOptions listening;
        if (dice_.chance(0.2)) listening.half_open_limit = 0;  // by cookies only
        listener_ = *right_.tcp_listen(kPort, listening);
        client_ = *left_.tcp_connect({kRightAddress, kPort}, now_);
    }

    void run() {
        const TimePoint limit = now_ + std::chrono::hours(2);
        while (!finished() && now_ < limit) {
            use();
            step();
        }
        EXPECT_TRUE(finished()) << "read " << at_server_.read() << " of " << there_total_
                                << " there, " << at_client_.read() << " of " << back_total_
                                << " back; " << (server_ ? "accepted" : "never accepted")
                                << ", client in state "
                                << static_cast<int>(left_.tcp_status(client_).state)
                                << " for reason "
                                << static_cast<int>(left_.tcp_status(client_).close_reason);
        EXPECT_EQ(at_server_.read(), there_total_);
        EXPECT_EQ(at_client_.read(), back_total_);
        EXPECT_EQ(at_server_.wrong() + at_client_.wrong(), 0u);
        clean_up();
    }

private:
    StackSeeds seeds() {
        return {
            .sequence_key = {dice_.next(), dice_.next()}, .table_key = {dice_.next(), dice_.next()}
        };
    }
    bool finished() const {
        return server_ && left_.tcp_status(client_).read_finished &&
               right_.tcp_status(*server_).read_finished;
    }
    void use() {
        if (!server_) server_ = right_.tcp_accept(listener_);
        there_.pump(left_, client_);
        if (server_) back_.pump(right_, *server_);
        // A reader who comes rarely lets the window close.
        if (now_ < reader_sleeps_until_) return;
        if (dice_.chance(0.05)) {
            reader_sleeps_until_ = now_ + std::chrono::milliseconds(dice_.below(2000));
        }
        const std::size_t most = dice_.chance(0.3) ? 1 + dice_.below(3000) : SIZE_MAX;
        at_client_.pump(left_, client_, most);
        if (server_) at_server_.pump(right_, *server_, most);
    }
    void step() {
        if (now_ >= changes_at_) {
            to_right_.evil = draw_evil(dice_);
            to_left_.evil = draw_evil(dice_);
            changes_at_ = now_ + std::chrono::milliseconds(50 + dice_.below(2000));
        }
        left_.poll(now_, to_right_);
        right_.poll(now_, to_left_);
        TimePoint next = std::min(changes_at_, now_ + 100ms);
        if (reader_sleeps_until_ > now_) next = std::min(next, reader_sleeps_until_);
        const auto consider = [&](std::optional<TimePoint> at) {
            if (at) next = std::min(next, *at);
        };
        consider(left_.next_timeout());
        consider(right_.next_timeout());
        for (const EvilLink* link : {&to_left_, &to_right_}) {
            if (!link->under_way.empty()) consider(link->under_way.begin()->first);
        }
        now_ = std::max(now_ + 1us, next);
        deliver(to_left_, left_);
        deliver(to_right_, right_);
    }
    void deliver(EvilLink& from, Stack& to) {
        packet::PacketBatch train(now_);
        while (!from.under_way.empty() && from.under_way.begin()->first <= now_) {
            auto first = from.under_way.extract(from.under_way.begin());
            packet::PacketBuf packet = pool_.copy(first.mapped());
            if (packet) train.push(std::move(packet));
            if (!train.full()) continue;
            to.input(std::move(train));
            train = packet::PacketBatch(now_);
        }
        if (!train.empty()) to.input(std::move(train));
    }
    void clean_up() {
        left_.tcp_release(client_);
        if (server_) right_.tcp_release(*server_);
        right_.tcp_close_listener(listener_);
        const TimePoint end = now_ + std::chrono::minutes(10);
        while (now_ < end)
            step();
        to_left_.under_way.clear();
        to_right_.under_way.clear();
        EXPECT_EQ(left_.tcp_connection_count() + right_.tcp_connection_count(), 0u);
        EXPECT_EQ(left_.buffer_bytes() + right_.buffer_bytes(), 0u);
        EXPECT_EQ(pool_.in_use(), 0u);
    }

    packet::PacketPool pool_;
    Dice dice_;
    bool timestamps_;
    TimePoint now_{std::chrono::hours(1)};
    Stack left_;
    Stack right_;
    EvilLink to_right_;
    EvilLink to_left_;
    TimePoint changes_at_ = now_;
    TimePoint reader_sleeps_until_ = now_;
    std::uint64_t there_total_ = dice_.below(60'000);
    std::uint64_t back_total_ = dice_.below(60'000);
    PatternWriter there_{1, there_total_};
    PatternWriter back_{2, back_total_};
    PatternReader at_server_{1};
    PatternReader at_client_{2};
    ListenerId listener_;
    TcpId client_;
    std::optional<TcpId> server_;
};

TEST(StackAdversary, ChangesNoByteAndEndsNoStream) {
    std::uint64_t first = 1;
    std::uint64_t count = 40;
    if (const char* asked = std::getenv("SELVAGE_STACK_SEEDS")) {
        const std::string text = asked;
        const std::size_t colon = text.find(':');
        ASSERT_NE(colon, std::string::npos) << "SELVAGE_STACK_SEEDS is first:count";
        first = std::stoull(text.substr(0, colon));
        count = std::stoull(text.substr(colon + 1));
    }
    const auto complaints = [] {
        const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
        return test->result()->total_part_count();
    };
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        const int before = complaints();
        SCOPED_TRACE(fmt::format("seed {}", seed));
        Contest(seed).run();
        // The line that ./dev sim looks for.
        if (complaints() > before) std::cout << "\n--- seed " << seed << " failed\n";
    }
}

}  // namespace
}  // namespace selvage::netstack::testing
