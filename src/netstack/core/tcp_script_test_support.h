// TCP conversations as tests, in virtual time:
//
//   TcpScript s{{.listen = 22}};
//   s.at(0ms).receives(syn().seq(0).mss(1360));
//   s.at(0ms).sends(syn_ack().seq(0).ack(1));
//   s.at(10ms).receives(ack().seq(1).ack(1));
//   s.expect_accepted(1);
//   s.expect_silence_until(60s);
//
// `receives` gives a segment to the stack, `sends` takes the next one from it: it must have been
// sent at exactly that time and look as described. Whatever the stack sends and no line expects
// fails the test, so a script also says what must not be sent. Sequence numbers are relative to
// each side's SYN. Window fields are as on the wire, unscaled. How to write one: docs/netstack.md.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>

#include "netstack/core/stack_pair_test_support.h"
#include "packet/checksum.h"

namespace selvage::netstack::testing {

// A segment as a script writes it. What is not mentioned is absent in what we give to the stack;
// of what the stack sends, ack, win, mss and the other options are compared when mentioned, and
// flags (but PSH), seq and length always.
class Seg {
public:
    explicit Seg(std::uint8_t flags) : flags_(flags) {}
    Seg seq(std::uint32_t v) const {
        return with([&](Seg& s) { s.seq_ = v; });
    }
    Seg ack(std::uint32_t v) const {
        return with([&](Seg& s) {
            s.ack_ = v;
            s.flags_ |= packet::tcp_flag::kAck;
        });
    }
    Seg len(std::uint32_t v) const {
        return with([&](Seg& s) { s.len_ = v; });
    }
    Seg win(std::uint16_t v) const {
        return with([&](Seg& s) { s.win_ = v; });
    }
    Seg mss(std::uint16_t v) const {
        return with([&](Seg& s) { s.mss_ = v; });
    }
    Seg wscale(std::uint8_t v) const {
        return with([&](Seg& s) { s.wscale_ = v; });
    }
    Seg sack_ok() const {
        return with([](Seg& s) { s.sack_ok_ = true; });
    }
    Seg ts(std::uint32_t value, std::uint32_t echo) const {
        return with([&](Seg& s) { s.ts_ = TcpTimestamps{value, echo}; });
    }
    // Blocks in relative sequence numbers of the side whose data they name.
    Seg sack(std::vector<std::pair<std::uint32_t, std::uint32_t>> blocks) const {
        return with([&](Seg& s) { s.sack_ = blocks; });
    }
    Seg no_sack() const { return sack({}); }
    Seg raw_flags(std::uint8_t v) const {
        return with([&](Seg& s) { s.flags_ |= v; });
    }
    Seg ece() const { return raw_flags(packet::tcp_flag::kEce); }
    Seg cwr() const { return raw_flags(packet::tcp_flag::kCwr); }
    // ECN in the IP header (RFC 3168): what we send must be capable exactly when a script says so;
    // what the peer sends was marked on the way.
    Seg ect() const {
        return with([](Seg& s) { s.ecn_ = packet::ecn::kCapable; });
    }
    Seg marked() const {
        return with([](Seg& s) { s.ecn_ = packet::ecn::kCongestionExperienced; });
    }
    Seg urgent() const { return raw_flags(packet::tcp_flag::kUrg); }

    std::uint8_t flags_;
    std::uint8_t ecn_ = 0;
    std::uint32_t seq_ = 0;
    std::uint32_t len_ = 0;
    std::optional<std::uint32_t> ack_;
    std::optional<std::uint16_t> win_, mss_;
    std::optional<std::uint8_t> wscale_;
    bool sack_ok_ = false;
    std::optional<TcpTimestamps> ts_;
    std::optional<std::vector<std::pair<std::uint32_t, std::uint32_t>>> sack_;

private:
    template <class F>
    Seg with(F change) const {
        Seg copy = *this;
        change(copy);
        return copy;
    }
};

inline Seg syn() {
    return Seg(packet::tcp_flag::kSyn);
}
inline Seg syn_ack() {
    return Seg(packet::tcp_flag::kSyn | packet::tcp_flag::kAck);
}
inline Seg ack() {
    return Seg(packet::tcp_flag::kAck);
}
inline Seg fin() {
    return Seg(packet::tcp_flag::kFin | packet::tcp_flag::kAck);
}
inline Seg rst() {
    return Seg(packet::tcp_flag::kRst);
}
inline Seg rst_ack() {
    return Seg(packet::tcp_flag::kRst | packet::tcp_flag::kAck);
}
inline Seg bare() {
    return Seg(0);
}
inline Seg data(std::uint32_t bytes) {
    return ack().len(bytes);
}

struct ScriptOptions {
    std::uint16_t listen = 0;  // 0: the script dials
    TcpListenOptions listener{.socket = {.keep_alive = {.enabled = false}}};
    TcpConnectOptions dialled{};
    // Windows that can be counted, unless a script is about another algorithm.
    StackOptions stack{.congestion = CongestionAlgorithm::new_reno};
    bool v6 = false;
};

class TcpScript final : private PacketOut {
public:
    explicit TcpScript(ScriptOptions options = {})
        : options_(std::move(options)),
          stack_(options_.stack, pool_, {.sequence_key = {1, 2}, .table_key = {3, 4}}) {
        if (options_.v6) {
            ours_ = *IpAddress::parse("fd00::1");
            theirs_ = *IpAddress::parse("fd00::2");
            stack_.set_addresses({Prefix{ours_, 64}});
        } else {
            stack_.set_addresses({Prefix{ours_, 24}});
        }
        if (options_.listen != 0) {
            listener_ = *stack_.tcp_listen(options_.listen, options_.listener);
        }
    }
    ~TcpScript() override {
        for (const Sent& sent : sent_)
            ADD_FAILURE() << "at the end, sent and not expected: " << describe(sent);
    }

    // Moves to this time after the start. What the stack sends on the way must be expected by the
    // lines that follow, with its own time.
    TcpScript& at(Duration when) {
        run_to(kStart + when);
        return *this;
    }

    void receives(const Seg& seg) { receives_on(kPeerPort, seg); }
    // Without letting the stack speak: several of these and one poll() are a train.
    void receives_unpolled(const Seg& seg) { stack_.input(build(kPeerPort, seg), now_); }
    void receives_on(std::uint16_t peer_port, const Seg& seg) {
        expect_nothing_left("before receiving");
        packet::PacketBuf packet = build(peer_port, seg);
        stack_.input(std::move(packet), now_);
        poll();
    }
    void sends(const Seg& expected, const char* what = "") {
        if (sent_.empty()) {
            ADD_FAILURE() << at_text(now_) << " nothing was sent, expected "
                          << describe_expected(expected) << " " << what;
            return;
        }
        const Sent sent = std::move(sent_.front());
        sent_.pop_front();
        if (sent.at != now_ || !matches(sent, expected)) {
            ADD_FAILURE() << "sent " << describe(sent) << "\nexpected " << at_text(now_) << " "
                          << describe_expected(expected) << " " << what;
        }
    }
    void expect_silence_until(Duration when) {
        run_to(kStart + when);
        expect_nothing_left("in what should be silence");
    }
    // Goes on until something is sent, at most this long.
    void run_until_sent(Duration most) {
        const TimePoint end = now_ + most;
        while (sent_.empty()) {
            const auto next = stack_.next_timeout();
            run_to(next && *next < end ? std::max(*next, now_) : end);
            if (now_ >= end) return;
        }
    }
    Duration elapsed() const { return now_ - kStart; }
    // An ICMP destination unreachable that quotes a segment of ours with this sequence number.
    void receives_unreachable(std::uint8_t code, std::uint32_t sequence, std::uint32_t mtu = 0) {
        packet::PacketBuf quoted = pool_.take();
        quoted.reset(256);
        const FlowKey flow{ours_, theirs_, our_port_, kPeerPort};
        push_tcp_header(quoted, flow, {.seq = SeqNum(our_isn() + sequence)});
        quoted.truncate(8);
        push_ip(quoted, ours_, theirs_, 6);
        auto* header = quoted.push_front<packet::IcmpHeader>();
        header->type = 3;
        header->code = code;
        header->rest = mtu;
        header->checksum = packet::checksum_finish(packet::checksum_add(quoted.bytes()));
        push_ip(quoted, IpAddress::v4(10, 0, 0, 99), ours_, 1);
        stack_.input(std::move(quoted), now_);
        poll();
    }
    // The same, of type 4: the path to the peer carries only packets of `mtu` bytes.
    void receives_too_big(std::uint32_t mtu, std::uint32_t sequence) {
        receives_unreachable(4, sequence, mtu);
    }
    // The timestamp and the window field of what was sent last.
    std::uint32_t last_timestamp() const { return last_timestamp_; }
    std::uint16_t last_window() const { return last_window_; }
    // Everything that happened to the connection since the last call.
    SocketEvents drain_events() {
        SocketEvents all = 0;
        while (const auto event = stack_.next_event()) {
            const auto* id = std::get_if<TcpId>(&event->socket);
            if (id != nullptr && *id == id_) all = static_cast<SocketEvents>(all | event->events);
        }
        return all;
    }
    void expect_silence() { expect_nothing_left("in what should be silence"); }
    // Takes whatever was sent so far without looking at it, and says how much that was.
    std::size_t skip_sent() {
        const std::size_t count = sent_.size();
        sent_.clear();
        return count;
    }

    // The user's side.
    void connects() {
        const auto id = stack_.tcp_connect({theirs_, kPeerPort}, now_, options_.dialled);
        ASSERT_TRUE(id) << id.error().message();
        id_ = *id;
        poll();
    }
    void expect_accepted(std::size_t count) {
        std::size_t accepted = 0;
        while (const auto id = stack_.tcp_accept(listener_)) {
            id_ = *id;
            ++accepted;
        }
        EXPECT_EQ(accepted, count) << at_text(now_);
    }
    void writes(std::size_t count) {
        writes_unpolled(count);
        poll();
    }
    // With the promise of more.
    void writes_more(std::size_t count) {
        writes_unpolled(count, true);
        poll();
    }
    void writes_unpolled(std::size_t count, bool more = false) {
        Bytes bytes(count);
        for (std::size_t i = 0; i < count; ++i)
            bytes[i] = pattern_byte(kOurPattern, written_ + i);
        const std::size_t done = stack_.tcp_write(id_, bytes, more);
        EXPECT_EQ(done, count) << at_text(now_) << " written";
        written_ += done;
    }
    void reads(std::size_t count) {
        Bytes bytes(count + 1);
        const std::size_t got = stack_.tcp_read(id_, std::span(bytes).first(count));
        EXPECT_EQ(got, count) << at_text(now_) << " read";
        for (std::size_t i = 0; i < got; ++i) {
            if (bytes[i] == pattern_byte(kPeerPattern, read_ + i)) continue;
            ADD_FAILURE() << at_text(now_) << " wrong byte at " << read_ + i;
            break;
        }
        read_ += got;
        poll();
    }
    void shuts_down() {
        stack_.tcp_shutdown_write(id_);
        poll();
    }
    void aborts() {
        stack_.tcp_abort(id_);
        poll();
    }
    void closes_listener() {
        stack_.tcp_close_listener(listener_);
        poll();
    }
    void releases() {
        stack_.tcp_release(id_);
        poll();
    }

    void expect_state(TcpState state) { EXPECT_EQ(status().state, state) << at_text(now_); }
    void expect_closed(CloseReason reason) {
        EXPECT_EQ(status().state, TcpState::closed) << at_text(now_);
        EXPECT_EQ(status().close_reason, reason) << at_text(now_);
    }
    void expect_readable(std::size_t bytes) {
        EXPECT_EQ(status().readable_bytes, bytes) << at_text(now_);
    }
    void expect_counted(std::uint64_t StackCounters::* field, std::uint64_t value) {
        EXPECT_EQ(stack_.counters().*field, value) << at_text(now_);
    }
    TcpStatus status() const { return stack_.tcp_status(id_); }

    // Common openings, so that a script can begin where it becomes interesting. The peer's window
    // is 65535 unless said otherwise; options are those that `peer` mentions.
    void accepts_connection(const Seg& peer = syn().mss(1320)) {
        receives(peer.seq(0));
        sends(syn_ack().seq(0).ack(1));
        Seg last = ack().seq(1).ack(1);
        if (peer.ts_) last = last.ts(peer.ts_->value, 0);
        receives(peer.win_ && !peer.wscale_ ? last.win(*peer.win_) : last);
        expect_accepted(1);
    }
    void opens_connection(const Seg& peer = syn_ack().mss(1320)) {
        connects();
        sends(syn().seq(0));
        receives(peer.seq(0).ack(1));
        sends(ack().seq(1).ack(1));
    }

    Stack& stack() { return stack_; }
    TcpId id() const { return id_; }
    TimePoint now() const { return now_; }
    // Our first sequence number towards that port, for scripts that speak in raw ones.
    std::uint32_t our_isn(std::uint16_t peer_port = kPeerPort) const {
        const auto known = our_isn_.find(peer_port);
        return known == our_isn_.end() ? 0 : known->second;
    }
    packet::PacketPool& pool() { return pool_; }
    const IpAddress& ours() const { return ours_; }
    const IpAddress& theirs() const { return theirs_; }
    static constexpr std::uint16_t kPeerPort = 40000;
    std::uint16_t our_port() const { return our_port_; }
    void poll() { stack_.poll(now_, *this); }

private:
    static constexpr TimePoint kStart{std::chrono::hours(2)};
    static constexpr std::uint32_t kPeerIsn = 0xfffff000;  // so that numbers wrap in every test
    static constexpr std::uint64_t kOurPattern = 11;
    static constexpr std::uint64_t kPeerPattern = 22;

    struct Sent {
        TimePoint at;
        std::uint16_t peer_port = 0;
        TcpSegment segment;
        std::uint32_t bytes = 0;
        std::uint8_t ecn = 0;
    };

    void from_stack(packet::PacketBatch&& batch) override {
        for (packet::PacketBuf& packet : batch) {
            EXPECT_GE(packet.headroom(), packet::kHeadroom);
            const auto ip = packet::parse_ip(packet.bytes());
            ASSERT_TRUE(ip);
            EXPECT_EQ(ip->total_length, packet.size());
            EXPECT_LE(packet.size(), stack_.options().mtu);
            if (ip->protocol != 6) {
                ADD_FAILURE() << at_text(now_) << " sent a packet that is not TCP";
                continue;
            }
            take(*ip, packet.bytes().subspan(ip->transport_offset));
        }
    }
    void take(const packet::IpMeta& ip, ByteView transport) {
        const std::uint16_t pseudo = packet::pseudo_header_sum(
            ip.source, ip.destination, 6, static_cast<std::uint32_t>(transport.size())
        );
        EXPECT_EQ(packet::checksum_add(transport, pseudo), 0xffff) << "wrong checksum";
        auto parsed = parse_tcp_segment(transport);
        ASSERT_TRUE(parsed);
        Sent sent{now_, parsed->destination_port, *parsed};
        sent.bytes = static_cast<std::uint32_t>(parsed->payload.size());
        sent.ecn = ip.ecn;
        our_port_ = parsed->source_port;
        if (parsed->has(packet::tcp_flag::kSyn)) our_isn_[sent.peer_port] = parsed->seq.raw();
        const std::uint32_t position = parsed->seq.raw() - our_isn(sent.peer_port) - 1;
        for (std::uint32_t i = 0; i < sent.bytes; ++i) {
            if (parsed->payload[i] == pattern_byte(kOurPattern, position + i)) continue;
            ADD_FAILURE() << at_text(now_) << " sent a wrong byte at " << position + i;
            break;
        }
        sent.segment.payload = {};
        last_window_ = parsed->window;
        if (parsed->options.timestamps) last_timestamp_ = parsed->options.timestamps->value;
        sent_.push_back(sent);
    }

    void run_to(TimePoint when) {
        ASSERT_GE(when, now_) << "a script goes forward in time";
        for (int turns = 0;; ++turns) {
            ASSERT_LT(turns, 100'000) << "the stack wants to be polled for ever";
            poll();
            const auto next = stack_.next_timeout();
            if (!next || *next > when) break;
            now_ = std::max(now_, *next);
        }
        now_ = when;
        poll();
    }

    packet::PacketBuf build(std::uint16_t peer_port, const Seg& seg) {
        packet::PacketBuf packet = pool_.take();
        packet.reset(256);
        for (std::uint32_t i = 0; i < seg.len_; ++i)
            *packet.push_back(1) = pattern_byte(kPeerPattern, seg.seq_ + i - 1);
        TcpFields fields{.seq = SeqNum(kPeerIsn + seg.seq_), .flags = seg.flags_};
        if (seg.ack_) fields.ack = SeqNum(our_isn(peer_port) + *seg.ack_);
        fields.window = seg.win_.value_or(65535);
        fields.options.mss = seg.mss_;
        fields.options.window_scale = seg.wscale_;
        fields.options.sack_permitted = seg.sack_ok_;
        fields.options.timestamps = seg.ts_;
        if (seg.sack_) {
            for (const auto& [begin, end] : *seg.sack_) {
                fields.options.sack[fields.options.sack_count++] = {
                    SeqNum(our_isn(peer_port) + begin), SeqNum(our_isn(peer_port) + end)
                };
            }
        }
        const FlowKey flow{
            theirs_, ours_, peer_port, options_.listen != 0 ? options_.listen : our_port_
        };
        push_tcp_header(packet, flow, fields);
        push_ip(packet, theirs_, ours_, 6, seg.ecn_);
        return packet;
    }

public:
    // An IP header by hand, independent of what the stack uses.
    static void push_ip(
        packet::PacketBuf& packet, const IpAddress& from, const IpAddress& to,
        std::uint8_t protocol, std::uint8_t ecn = 0
    ) {
        if (from.is_v4()) {
            auto* ip = packet.push_front<packet::Ipv4Header>();
            ip->total_length = static_cast<std::uint16_t>(packet.size());
            ip->tos = ecn;
            ip->protocol = protocol;
            ip->source = from.v4_value();
            ip->destination = to.v4_value();
            ip->checksum = packet::checksum_finish(packet::checksum_add(as_bytes_of(*ip)));
        } else {
            const std::size_t payload = packet.size();
            auto* ip = packet.push_front<packet::Ipv6Header>();
            ip->version_class_flow = 6U << 28 | std::uint32_t{ecn} << 20;
            ip->payload_length = static_cast<std::uint16_t>(payload);
            ip->next_header = protocol;
            ip->source = from.raw();
            ip->destination = to.raw();
        }
    }

private:
    bool matches(const Sent& sent, const Seg& want) const {
        const TcpSegment& s = sent.segment;
        constexpr std::uint8_t kCompared = 0xff & ~packet::tcp_flag::kPsh;
        if (sent.ecn != want.ecn_) return false;
        if ((s.flags & kCompared) != (want.flags_ & kCompared)) return false;
        if (sent.bytes != want.len_ || s.seq.raw() != our_isn(sent.peer_port) + want.seq_)
            return false;
        if (want.ack_ && s.ack.raw() != kPeerIsn + *want.ack_) return false;
        if (want.win_ && s.window != *want.win_) return false;
        if (want.mss_ && s.options.mss != want.mss_) return false;
        if (want.wscale_ && s.options.window_scale != want.wscale_) return false;
        if (want.sack_ok_ && !s.options.sack_permitted) return false;
        if (want.ts_ && (!s.options.timestamps || s.options.timestamps->echo != want.ts_->echo)) {
            return false;
        }
        if (!want.sack_) return true;
        if (s.options.sack_count != want.sack_->size()) return false;
        for (std::size_t i = 0; i < want.sack_->size(); ++i) {
            const auto& [begin, end] = (*want.sack_)[i];
            if (s.options.sack[i].begin.raw() != kPeerIsn + begin) return false;
            if (s.options.sack[i].end.raw() != kPeerIsn + end) return false;
        }
        return true;
    }
    static std::string at_text(TimePoint when) {
        const auto since = std::chrono::duration_cast<std::chrono::microseconds>(when - kStart);
        return fmt::format("[{:.3f}s]", static_cast<double>(since.count()) / 1e6);
    }
    static std::string flag_text(std::uint8_t flags) {
        std::string out;
        constexpr std::string_view kLetters = "FSRPAUEC";
        for (std::size_t i = 0; i < kLetters.size(); ++i) {
            if ((flags >> i & 1) != 0) out += kLetters[i];
        }
        return out.empty() ? "-" : out;
    }
    std::string describe(const Sent& sent) const {
        const TcpSegment& s = sent.segment;
        std::string out = fmt::format(
            "{} {}{} seq {} len {} ack {} win {}", at_text(sent.at), flag_text(s.flags),
            sent.ecn == 0 ? "" : " ect", s.seq.raw() - our_isn(sent.peer_port), sent.bytes,
            s.ack.raw() - kPeerIsn, s.window
        );
        if (s.options.mss) out += fmt::format(" mss {}", *s.options.mss);
        if (s.options.window_scale) out += fmt::format(" wscale {}", *s.options.window_scale);
        if (s.options.timestamps) out += fmt::format(" ts echo {}", s.options.timestamps->echo);
        for (std::size_t i = 0; i < s.options.sack_count; ++i) {
            out += fmt::format(
                " sack {}..{}", s.options.sack[i].begin.raw() - kPeerIsn,
                s.options.sack[i].end.raw() - kPeerIsn
            );
        }
        return out;
    }
    static std::string describe_expected(const Seg& want) {
        std::string out =
            fmt::format("{} seq {} len {}", flag_text(want.flags_), want.seq_, want.len_);
        if (want.ack_) out += fmt::format(" ack {}", *want.ack_);
        if (want.win_) out += fmt::format(" win {}", *want.win_);
        if (want.mss_) out += fmt::format(" mss {}", *want.mss_);
        if (want.wscale_) out += fmt::format(" wscale {}", *want.wscale_);
        if (want.ts_) out += fmt::format(" ts echo {}", want.ts_->echo);
        if (want.sack_) {
            for (const auto& [begin, end] : *want.sack_)
                out += fmt::format(" sack {}..{}", begin, end);
        }
        return out;
    }
    void expect_nothing_left(const char* when) {
        while (!sent_.empty()) {
            ADD_FAILURE() << when << ", at " << at_text(now_)
                          << ", sent and not expected: " << describe(sent_.front());
            sent_.pop_front();
        }
    }

    ScriptOptions options_;
    packet::PacketPool pool_;
    IpAddress ours_ = kLeftAddress;
    IpAddress theirs_ = kRightAddress;
    Stack stack_;
    TimePoint now_ = kStart;
    ListenerId listener_;
    TcpId id_;
    std::uint64_t written_ = 0;
    std::uint64_t read_ = 0;
    std::uint16_t our_port_ = 0;
    std::uint16_t last_window_ = 0;
    std::uint32_t last_timestamp_ = 0;
    std::map<std::uint16_t, std::uint32_t> our_isn_;  // by the peer's port
    std::deque<Sent> sent_;
};

}  // namespace selvage::netstack::testing
