// IP input, ICMP and UDP, packet by packet.
#include "netstack/core/stack.h"

#include <gtest/gtest.h>

#include "netstack/core/tcp_script_test_support.h"

namespace selvage::netstack::testing {
namespace {

constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kUdpNumber = 17;
constexpr std::uint8_t kIcmp6 = 58;

class StackTest : public ::testing::Test, public PacketOut {
protected:
    StackTest() : stack(StackOptions{}, pool, {.sequence_key = {1, 2}, .table_key = {3, 4}}) {
        stack.set_addresses({Prefix{kOurs, 24}, Prefix{kOurs6, 64}});
    }
    void from_stack(packet::PacketBatch&& batch) override {
        for (packet::PacketBuf& packet : batch) {
            EXPECT_GE(packet.headroom(), packet::kHeadroom);
            sent.push_back(std::move(packet));
        }
    }
    void poll() { stack.poll(now, *this); }

    packet::PacketBuf icmp(
        std::uint8_t type, std::uint8_t code, ByteView body, IpAddress from, IpAddress to
    ) {
        packet::PacketBuf packet = pool.take();
        packet.reset(256);
        EXPECT_TRUE(packet.append(body));
        auto* header = packet.push_front<packet::IcmpHeader>();
        header->type = type;
        header->code = code;
        header->rest = 0x00070001;
        std::uint16_t start = 0;
        if (from.is_v6()) {
            start = packet::pseudo_header_sum(
                from, to, kIcmp6, static_cast<std::uint32_t>(packet.size())
            );
        }
        header->checksum = packet::checksum_finish(packet::checksum_add(packet.bytes(), start));
        TcpScript::push_ip(packet, from, to, from.is_v4() ? kIcmp : kIcmp6);
        return packet;
    }
    packet::PacketBuf udp(
        std::uint16_t from_port, std::uint16_t to_port, std::string_view text,
        IpAddress from = kPeer, IpAddress to = kOurs
    ) {
        packet::PacketBuf packet = pool.take();
        packet.reset(256);
        EXPECT_TRUE(packet.append(as_view(text)));
        auto* header = packet.push_front<packet::UdpHeader>();
        header->source_port = from_port;
        header->destination_port = to_port;
        header->length = static_cast<std::uint16_t>(packet.size());
        const auto start = packet::pseudo_header_sum(
            from, to, kUdpNumber, static_cast<std::uint32_t>(packet.size())
        );
        header->checksum = packet::checksum_finish(packet::checksum_add(packet.bytes(), start));
        TcpScript::push_ip(packet, from, to, kUdpNumber);
        return packet;
    }
    // Gives one packet in and counts what comes out.
    std::size_t answers_to(packet::PacketBuf&& packet) {
        sent.clear();
        stack.input(std::move(packet), now);
        poll();
        return sent.size();
    }
    std::string received(UdpId id) {
        std::array<std::uint8_t, 2000> buffer;
        const auto datagram = stack.udp_receive(id, buffer);
        if (!datagram) return "(nothing)";
        return std::string(as_text(std::span(buffer).first(datagram->size)));
    }

    static inline const IpAddress kOurs = IpAddress::v4(10, 0, 0, 1);
    static inline const IpAddress kPeer = IpAddress::v4(10, 0, 0, 2);
    static inline const IpAddress kOurs6 = *IpAddress::parse("fd00::1");
    static inline const IpAddress kPeer6 = *IpAddress::parse("fd00::2");
    packet::PacketPool pool;
    Stack stack;
    TimePoint now{1h};
    std::vector<packet::PacketBuf> sent;
};

TEST_F(StackTest, AnswersAnEchoRequestWithItsBytes) {
    ASSERT_EQ(answers_to(icmp(8, 0, as_view("ping payload"), kPeer, kOurs)), 1u);
    const auto ip = packet::parse_ip(sent[0].bytes());
    ASSERT_TRUE(ip);
    EXPECT_EQ(ip->source, kOurs);
    EXPECT_EQ(ip->destination, kPeer);
    const ByteView message = sent[0].bytes().subspan(20);
    EXPECT_EQ(packet::checksum_add(message), 0xffff);
    EXPECT_EQ(message[0], 0);
    EXPECT_EQ(to_hex(message.subspan(4, 4)), "00070001");
    EXPECT_EQ(as_text(message.subspan(8)), "ping payload");
}

TEST_F(StackTest, AnswersAnEchoRequestOverIpv6) {
    ASSERT_EQ(answers_to(icmp(128, 0, as_view("ping"), kPeer6, kOurs6)), 1u);
    const ByteView message = sent[0].bytes().subspan(40);
    EXPECT_EQ(message[0], 129);
    const auto start = packet::pseudo_header_sum(
        kOurs6, kPeer6, kIcmp6, static_cast<std::uint32_t>(message.size())
    );
    EXPECT_EQ(packet::checksum_add(message, start), 0xffff);
}

TEST_F(StackTest, AnswersEchoRequestsOnlySoFast) {
    std::size_t answers = 0;
    for (int i = 0; i < 3000; ++i)
        answers += answers_to(icmp(8, 0, {}, kPeer, kOurs));
    EXPECT_EQ(answers, 2000u);
    EXPECT_EQ(stack.counters().icmp_rate_limited, 1000u);
    now += 10ms;
    EXPECT_EQ(answers_to(icmp(8, 0, {}, kPeer, kOurs)), 1u);
}

TEST_F(StackTest, DropsWhatIsNotForUsAndWhatCannotBeAnswered) {
    EXPECT_EQ(answers_to(icmp(8, 0, {}, kPeer, IpAddress::v4(10, 0, 0, 9))), 0u);
    EXPECT_EQ(answers_to(icmp(8, 0, {}, kPeer, IpAddress::v4(10, 0, 0, 255))), 0u);
    EXPECT_EQ(answers_to(icmp(8, 0, {}, kPeer, IpAddress::v4(224, 0, 0, 1))), 0u);
    EXPECT_EQ(stack.counters().not_for_us, 3u);
    for (const char* from :
         {"10.0.0.255", "255.255.255.255", "224.0.0.1", "0.0.0.0", "127.0.0.1", "10.0.0.1"}) {
        EXPECT_EQ(answers_to(icmp(8, 0, {}, *IpAddress::parse(from), kOurs)), 0u) << from;
        EXPECT_EQ(answers_to(udp(5, 6, "x", *IpAddress::parse(from))), 0u) << from;
    }
    EXPECT_EQ(stack.counters().bad_source, 12u);
}

TEST_F(StackTest, DropsDamagedPackets) {
    auto header = icmp(8, 0, {}, kPeer, kOurs);
    header.data()[8] ^= 1;
    EXPECT_EQ(answers_to(std::move(header)), 0u);
    auto body = icmp(8, 0, as_view("x"), kPeer, kOurs);
    body.data()[28] ^= 1;
    EXPECT_EQ(answers_to(std::move(body)), 0u);
    auto cut = icmp(8, 0, as_view("xyz"), kPeer, kOurs);
    cut.truncate(cut.size() - 1);
    EXPECT_EQ(answers_to(std::move(cut)), 0u);
    EXPECT_EQ(answers_to(pool.take()), 0u);
    EXPECT_EQ(stack.counters().bad_ip, 3u);
    EXPECT_EQ(stack.counters().icmp_bad, 1u);
}

TEST_F(StackTest, IgnoresBytesBehindThePacketAndOptionsInItsHeader) {
    auto longer = icmp(8, 0, as_view("x"), kPeer, kOurs);
    longer.push_back(7);
    ASSERT_EQ(answers_to(std::move(longer)), 1u);
    EXPECT_EQ(sent[0].size(), 29u);

    auto with_options = icmp(8, 0, as_view("x"), kPeer, kOurs);
    const packet::Ipv4Header old = *with_options.header<packet::Ipv4Header>();
    with_options.push_front(4);
    auto* ip = with_options.header<packet::Ipv4Header>();
    *ip = old;
    ip->version_ihl = 0x46;
    ip->total_length = static_cast<std::uint16_t>(with_options.size());
    ip->checksum = 0;
    std::memset(with_options.data() + 20, 1, 4);
    ip->checksum = packet::checksum_finish(packet::checksum_add(with_options.bytes().first(24)));
    EXPECT_EQ(answers_to(std::move(with_options)), 1u);
}

TEST_F(StackTest, KeepsFragmentsAndTellsTheSenderOfAnUnknownProtocol) {
    auto fragment = icmp(8, 0, as_view("x"), kPeer, kOurs);
    auto* ip = fragment.header<packet::Ipv4Header>();
    ip->fragment = packet::kIpv4MoreFragments;
    ip->checksum = 0;
    ip->checksum = packet::checksum_finish(packet::checksum_add(as_bytes_of(*ip)));
    EXPECT_EQ(answers_to(std::move(fragment)), 0u);
    EXPECT_EQ(stack.counters().fragments_in, 1u);

    packet::PacketBuf odd = pool.take();
    odd.reset(256);
    TcpScript::push_ip(odd, kPeer, kOurs, 47);
    ASSERT_EQ(answers_to(std::move(odd)), 1u);
    EXPECT_EQ(sent[0].bytes()[20], 3);  // RFC 1122, section 3.2.2.1
    EXPECT_EQ(sent[0].bytes()[21], 2);
    EXPECT_EQ(stack.counters().unknown_protocol, 1u);
}

TEST_F(StackTest, PointsAtTheUnknownHeaderOverIpv6) {  // RFC 4443, section 3.4
    packet::PacketBuf odd = pool.take();
    odd.reset(256);
    const std::uint8_t options[] = {47, 0, 1, 4, 0, 0, 0, 0};
    ASSERT_TRUE(odd.append(options));
    TcpScript::push_ip(odd, kPeer6, kOurs6, 60);
    ASSERT_EQ(answers_to(std::move(odd)), 1u);
    const ByteView message = sent[0].bytes().subspan(40);
    EXPECT_EQ(message[0], 4);
    EXPECT_EQ(message[1], 1);
    EXPECT_EQ(to_hex(message.subspan(4, 4)), "00000028");
}

TEST_F(StackTest, AConnectedSocketLearnsWhatThePathCarries) {  // RFC 8201
    const UdpId id = *stack.udp_bind(4000);
    ASSERT_TRUE(stack.udp_connect(id, {kPeer, 9}));
    const auto too_big = [&](IpAddress about, std::uint32_t mtu) {
        auto quoted = udp(4000, 9, "x", kOurs, about);
        const ByteView bytes = quoted.bytes();
        auto message = icmp(3, 4, bytes, IpAddress::v4(10, 0, 0, 99), kOurs);
        auto* header = reinterpret_cast<packet::IcmpHeader*>(message.data() + 20);
        header->rest = mtu;
        header->checksum = 0;
        header->checksum =
            packet::checksum_finish(packet::checksum_add(message.bytes().subspan(20)));
        return answers_to(std::move(message));
    };
    const Bytes large(1000, 1);
    too_big(IpAddress::v4(10, 0, 0, 77), 700);  // we did not talk to that one
    EXPECT_TRUE(stack.udp_send(id, {IpAddress::v4(10, 0, 0, 77), 9}, large));
    too_big(kPeer, 700);
    EXPECT_EQ(stack.udp_send(id, {kPeer, 9}, large).error().code(), Errc::bad_length);
    EXPECT_EQ(stack.counters().udp_too_large, 1U);
    EXPECT_TRUE(stack.udp_send(id, {kPeer, 9}, Bytes(672, 1)));
    // For some time: it may get better.
    now += 11min;
    poll();
    EXPECT_TRUE(stack.udp_send(id, {kPeer, 9}, large));
}

TEST_F(StackTest, TellsTheSenderThatAPortIsClosed) {
    auto datagram = udp(4000, 53, "question");
    const Bytes original(datagram.bytes().begin(), datagram.bytes().end());
    ASSERT_EQ(answers_to(std::move(datagram)), 1u);
    const ByteView message = sent[0].bytes().subspan(20);
    EXPECT_EQ(message[0], 3);
    EXPECT_EQ(message[1], 3);
    EXPECT_EQ(to_hex(message.subspan(8)), to_hex(original));
    EXPECT_EQ(packet::checksum_add(message), 0xffff);
    EXPECT_EQ(stack.counters().udp_closed_port, 1u);
}

TEST_F(StackTest, TellsItOnlySoOftenAndNeverAboutAnError) {
    std::size_t answers = 0;
    for (int i = 0; i < 300; ++i)
        answers += answers_to(udp(4000, 53, "x"));
    EXPECT_EQ(answers, 100u);
    now += 1s;
    // An error that quotes nothing of ours, and one of a kind that we do not know.
    EXPECT_EQ(answers_to(icmp(3, 3, as_view("nonsense"), kPeer, kOurs)), 0u);
    EXPECT_EQ(answers_to(icmp(77, 0, as_view("nonsense"), kPeer, kOurs)), 0u);
    EXPECT_EQ(stack.counters().icmp_errors_invalid, 1u);
    EXPECT_EQ(stack.counters().icmp_ignored, 1u);
}

TEST_F(StackTest, DeliversDatagramsToTheSocketOfTheirPort) {
    const auto id = stack.udp_bind(53);
    ASSERT_TRUE(id);
    EXPECT_TRUE(stack.udp_bind(53).error().is(Errc::in_use));
    EXPECT_EQ(answers_to(udp(4000, 53, "one")), 0u);
    const auto event = stack.next_event();
    ASSERT_TRUE(event);
    EXPECT_EQ(std::get<UdpId>(event->socket), *id);
    EXPECT_EQ(event->events, socket_event::kReadable);
    EXPECT_FALSE(stack.next_event());
    std::array<std::uint8_t, 2> small;
    const auto datagram = stack.udp_receive(*id, small);
    ASSERT_TRUE(datagram);
    EXPECT_EQ(datagram->from, (Endpoint{kPeer, 4000}));
    EXPECT_TRUE(datagram->truncated);
    EXPECT_EQ(received(*id), "(nothing)");
}

TEST_F(StackTest, DropsTheNewestDatagramWhenTheQueueIsFull) {
    const auto id = stack.udp_bind(53, UdpOptions{.queue_datagrams = 2, .queue_bytes = 10});
    ASSERT_TRUE(id);
    answers_to(udp(4000, 53, "one"));
    answers_to(udp(4000, 53, "12345678"));
    EXPECT_EQ(stack.counters().udp_queue_full, 1u) << "too many bytes";
    answers_to(udp(4000, 53, "two"));
    answers_to(udp(4000, 53, "3"));
    EXPECT_EQ(stack.counters().udp_queue_full, 2u) << "too many datagrams";
    EXPECT_EQ(received(*id), "one");
    EXPECT_EQ(received(*id), "two");
}

TEST_F(StackTest, DropsDamagedDatagramsButTakesThoseWithoutChecksum) {
    const auto id = stack.udp_bind(53);
    ASSERT_TRUE(id);
    auto bad = udp(4000, 53, "bad");
    bad.data()[bad.size() - 1] ^= 1;
    answers_to(std::move(bad));
    auto none = udp(4000, 53, "none");
    none.data()[26] = none.data()[27] = 0;
    answers_to(std::move(none));
    auto too_long = udp(4000, 53, "long");
    too_long.data()[25] = 200;
    answers_to(std::move(too_long));
    auto none6 = udp(4000, 53, "none6", kPeer6, kOurs6);
    none6.data()[46] = none6.data()[47] = 0;
    answers_to(std::move(none6));
    EXPECT_EQ(stack.counters().udp_bad, 3u);
    EXPECT_EQ(received(*id), "none");
    EXPECT_EQ(received(*id), "(nothing)");
}

TEST_F(StackTest, AConnectedSocketHearsOnlyItsPeer) {
    const auto id = stack.udp_bind(53);
    ASSERT_TRUE(id);
    ASSERT_TRUE(stack.udp_connect(*id, {kPeer, 4000}));
    EXPECT_EQ(answers_to(udp(4001, 53, "stranger")), 1u) << "told that the port is closed";
    EXPECT_EQ(answers_to(udp(4000, 53, "friend")), 0u);
    EXPECT_EQ(received(*id), "friend");
}

TEST_F(StackTest, SendsDatagramsThatFitAndRefusesOthers) {
    const auto id = stack.udp_bind(0);
    ASSERT_TRUE(id);
    EXPECT_GE(stack.udp_port(*id), 49152);
    ASSERT_TRUE(stack.udp_send(*id, {kPeer, 53}, as_view("question")));
    EXPECT_TRUE(stack.udp_send(*id, {kPeer, 53}, Bytes(1332)));
    EXPECT_TRUE(stack.udp_send(*id, {kPeer, 53}, Bytes(1333)).error().is(Errc::bad_length));
    EXPECT_TRUE(stack.udp_send(*id, {kPeer6, 53}, Bytes(1312)));
    poll();
    ASSERT_EQ(sent.size(), 3u);
    EXPECT_EQ(as_text(sent[0].bytes().subspan(28)), "question");
    EXPECT_EQ(sent[1].size(), 1360u);
    for (const auto& packet : sent) {
        const auto ip = packet::parse_ip(packet.bytes());
        const ByteView transport = packet.bytes().subspan(ip->transport_offset);
        const auto start = packet::pseudo_header_sum(
            ip->source, ip->destination, kUdpNumber, static_cast<std::uint32_t>(transport.size())
        );
        EXPECT_EQ(packet::checksum_add(transport, start), 0xffff);
    }
    stack.udp_close(*id);
    EXPECT_TRUE(stack.udp_send(*id, {kPeer, 53}, Bytes(1)).error().is(Errc::closed));
    EXPECT_EQ(stack.udp_port(*id), 0);
}

TEST_F(StackTest, SpeaksFromTheAddressInTheNetworkOfTheOther) {
    const IpAddress second = IpAddress::v4(192, 168, 7, 1);
    stack.set_addresses({Prefix{kOurs, 24}, Prefix{second, 24}});
    const auto id = stack.udp_bind(0);
    ASSERT_TRUE(stack.udp_send(*id, {IpAddress::v4(192, 168, 7, 9), 1}, Bytes(1)));
    ASSERT_TRUE(stack.udp_send(*id, {IpAddress::v4(8, 8, 8, 8), 1}, Bytes(1)));
    ASSERT_TRUE(stack.udp_send(*id, {IpAddress::v4(8, 8, 8, 8), 1}, Bytes(1), second));
    poll();
    ASSERT_EQ(sent.size(), 3u);
    EXPECT_EQ(packet::parse_ip(sent[0].bytes())->source, second);
    EXPECT_EQ(packet::parse_ip(sent[1].bytes())->source, kOurs);
    EXPECT_EQ(packet::parse_ip(sent[2].bytes())->source, second);
}

TEST_F(StackTest, HandsOutWhatItHasInBatchesAndRemembersTheRest) {
    const auto id = stack.udp_bind(0);
    std::size_t accepted = 0;
    while (stack.udp_send(*id, {kPeer, 53}, Bytes(1)))
        ++accepted;
    EXPECT_EQ(accepted, IpOutput::kQueueMax);
    ASSERT_TRUE(stack.next_timeout());
    EXPECT_LE(*stack.next_timeout(), now);
    poll();
    EXPECT_EQ(sent.size(), accepted);
    EXPECT_FALSE(stack.next_timeout());
}

TEST_F(StackTest, CallsWithStaleIdsDoNothing) {
    const auto listener = stack.tcp_listen(80);
    stack.tcp_close_listener(*listener);
    stack.tcp_close_listener(*listener);
    EXPECT_FALSE(stack.tcp_accept(*listener));
    const auto id = stack.tcp_connect({kPeer, 80}, now);
    stack.tcp_release(*id);
    stack.tcp_release(*id);
    stack.tcp_abort(*id);
    stack.tcp_shutdown_write(*id);
    stack.tcp_set_no_delay(*id, true);
    std::array<std::uint8_t, 4> buffer{};
    EXPECT_EQ(stack.tcp_read(*id, buffer), 0u);
    EXPECT_EQ(stack.tcp_write(*id, buffer), 0u);
    EXPECT_EQ(stack.tcp_status(*id).state, TcpState::closed);
    EXPECT_EQ(stack.tcp_connection(*id), nullptr);
    const auto next = stack.tcp_connect({kPeer, 80}, now);
    EXPECT_EQ(next->index, id->index);
    EXPECT_NE(*next, *id);
    poll();
}

TEST_F(StackTest, AnMtuThatCannotBeIsBroughtIntoRange) {
    for (const std::uint16_t mtu : {std::uint16_t{0}, std::uint16_t{100}, std::uint16_t{0xffff}}) {
        Stack odd(StackOptions{.mtu = mtu, .ephemeral_first = 9, .ephemeral_last = 8}, pool, {});
        odd.set_addresses({Prefix{kOurs, 24}});
        const auto id = odd.udp_bind(0);
        ASSERT_TRUE(id);
        const Bytes largest(odd.options().mtu - 28U);
        EXPECT_TRUE(odd.udp_send(*id, {kPeer, 1}, largest));
        odd.poll(now, *this);
        EXPECT_EQ(sent.back().size(), odd.options().mtu);
    }
}

TEST_F(StackTest, SeveralStacksLiveSideBySide) {
    Stack other(StackOptions{}, pool, {});
    other.set_addresses({Prefix{kPeer, 24}});
    EXPECT_TRUE(stack.tcp_listen(80));
    EXPECT_TRUE(other.tcp_listen(80));
}

TEST(StackCounters, EachHasANameAndADescription) {
    EXPECT_EQ(std::size(kStackCounterInfos) * sizeof(std::uint64_t), sizeof(StackCounters));
    for (const StackCounterInfo& info : kStackCounterInfos) {
        EXPECT_FALSE(info.name.empty());
        EXPECT_GT(info.description.size(), 8u);
    }
}

TEST(TcpConnection, AnIdleOneIsSmall) {
    EXPECT_LE(sizeof(TcpConnection), 900u);
}

}  // namespace
}  // namespace selvage::netstack::testing
