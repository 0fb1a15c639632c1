// The input path of the stack: packets as they come, and packets with valid checksums and numbers
// near those of live flows, so that the fuzzer gets past the first checks.
#include <cstdint>

#include "netstack/core/stack_pair_test_support.h"
#include "packet/checksum.h"

namespace {

using namespace selvage;
using namespace selvage::netstack;

struct Nothing final : PacketOut {
    void from_stack(packet::PacketBatch&& batch) override {
        for (packet::PacketBuf& packet : batch) {
            const auto ip = packet::parse_ip(packet.bytes());
            if (!ip || ip->total_length != packet.size()) __builtin_trap();
            if (ip->protocol != 6) continue;
            const auto segment = parse_tcp_segment(packet.bytes().subspan(ip->transport_offset));
            if (!segment) __builtin_trap();
            last_seq = segment->end();
            last_ack = segment->ack;
        }
    }
    SeqNum last_seq;
    SeqNum last_ack;
};

// What a step of the input says about the next packet.
struct Step {
    std::uint8_t kind = 0;
    std::uint8_t flags = 0;
    be16 seq_offset;  // signed, from what the stack expects
    be16 ack_offset;
    be16 window;
    std::uint8_t option_bytes = 0;
    std::uint8_t payload_bytes = 0;
};

// Sets the checksum of a packet whose other bytes are as the fuzzer wants them.
void repair(packet::PacketBuf& packet) {
    auto parsed = packet::parse_ip(packet.bytes());
    if (!parsed) return;
    if (parsed->source.is_v4()) {
        auto* header = packet.header<packet::Ipv4Header>();
        header->checksum = 0;
        header->checksum = packet::checksum_finish(
            packet::checksum_add(packet.bytes().first(header->header_bytes()))
        );
    }
    MutableByteView transport =
        packet.bytes().first(parsed->total_length).subspan(parsed->transport_offset);
    std::size_t at = 0;
    std::uint16_t start = packet::pseudo_header_sum(
        parsed->source, parsed->destination, parsed->protocol,
        static_cast<std::uint32_t>(transport.size())
    );
    switch (parsed->protocol) {
        case 1:
            at = 2;
            start = 0;
            break;
        case 6:
            at = 16;
            break;
        case 17:
            at = 6;
            break;
        case 58:
            at = 2;
            break;
        default:
            return;
    }
    if (transport.size() < at + 2) return;
    transport[at] = transport[at + 1] = 0;
    const be16 sum(packet::checksum_finish(packet::checksum_add(transport, start)));
    std::memcpy(transport.data() + at, &sum, sizeof(sum));
}

void push_ip(packet::PacketBuf& packet) {
    auto* ip = packet.push_front<packet::Ipv4Header>();
    ip->total_length = static_cast<std::uint16_t>(packet.size());
    ip->protocol = 6;
    ip->source = netstack::testing::kRightAddress.v4_value();
    ip->destination = netstack::testing::kLeftAddress.v4_value();
}

class Run {
public:
    Run()
        : stack_(StackOptions{.buffer_bytes_max = 1024 * 1024}, pool_, StackSeeds{{1, 2}, {3, 4}}) {
        stack_.set_addresses({Prefix{netstack::testing::kLeftAddress, 24}});
        listener_ = *stack_.tcp_listen(80);
        (void)stack_.udp_bind(53);
        if (const auto id = stack_.tcp_connect({netstack::testing::kRightAddress, 90}, now_)) {
            dialled_ = *id;
        }
        stack_.poll(now_, out_);
        expected_ack_ = out_.last_seq;
    }

    void step(Reader& in) {
        Step step;
        if (!in.read(step)) {
            (void)in.skip(in.left());
            return;
        }
        if (step.kind % 8 == 0) {
            raw(in, step);
        } else if (step.kind % 8 == 1) {
            now_ += std::chrono::milliseconds(step.window.value());
        } else if (step.kind % 8 == 2) {
            use(step);
        } else {
            segment(in, step);
        }
        stack_.poll(now_, out_);
        expected_ack_ = out_.last_seq;
        while (const auto event = stack_.next_event()) {
        }
    }

private:
    // Any bytes as a packet; with odd flags the checksums are made to fit.
    void raw(Reader& in, const Step& step) {
        ByteView bytes;
        if (!in.read_bytes(std::min<std::size_t>(step.payload_bytes, in.left()), bytes)) return;
        packet::PacketBuf packet = pool_.copy(bytes);
        if (!packet) return;
        if (step.flags % 2 == 1) repair(packet);
        stack_.input(std::move(packet), now_);
    }

    void segment(Reader& in, const Step& step) {
        const std::size_t options =
            std::min<std::size_t>(step.option_bytes % 11 * 4, in.left() / 4 * 4);
        ByteView option_bytes, payload;
        if (!in.read_bytes(options, option_bytes)) return;
        if (!in.read_bytes(std::min<std::size_t>(step.payload_bytes, in.left()), payload)) return;
        packet::PacketBuf packet = pool_.take();
        if (!packet) return;
        packet.reset(packet::kHeadroom + 128);
        if (!packet.append(payload)) return;
        if (options > 0) std::memcpy(packet.push_front(options), option_bytes.data(), options);
        auto* header = packet.push_front<packet::TcpHeader>();
        const bool to_dialled = step.kind % 8 >= 6;
        header->source_port = to_dialled ? 90 : static_cast<std::uint16_t>(1000 + step.kind / 128);
        header->destination_port =
            to_dialled ? stack_.tcp_status(dialled_).flow.local_port : std::uint16_t{80};
        const auto offset = [](be16 v) {
            return static_cast<std::uint32_t>(static_cast<std::int16_t>(v.value()));
        };
        header->sequence = out_.last_ack.raw() + offset(step.seq_offset);
        header->acknowledgement = expected_ack_.raw() + offset(step.ack_offset);
        header->data_offset = static_cast<std::uint8_t>((20 + options) / 4 << 4);
        header->flags = step.flags;
        header->window = step.window;
        push_ip(packet);
        repair(packet);
        stack_.input(std::move(packet), now_);
    }

    // The user's side.
    void use(const Step& step) {
        Bytes bytes(step.window.value());
        const TcpId id = step.kind < 128 || !accepted_ ? dialled_ : *accepted_;
        switch (step.flags % 8) {
            case 0:
                stack_.tcp_write(id, bytes);
                return;
            case 1:
            case 2:
                stack_.tcp_read(id, bytes);
                return;
            case 3:
                stack_.tcp_shutdown_write(id);
                return;
            case 4:
                stack_.tcp_release(id);
                return;
            case 5:
                stack_.tcp_abort(id);
                return;
            default:
                if (const auto next = stack_.tcp_accept(listener_)) {
                    if (accepted_) stack_.tcp_release(*accepted_);
                    accepted_ = *next;
                }
        }
    }

    packet::PacketPool pool_{512};
    TimePoint now_{std::chrono::hours(1)};
    Stack stack_;
    Nothing out_;
    ListenerId listener_;
    TcpId dialled_;
    std::optional<TcpId> accepted_;
    SeqNum expected_ack_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Run run;
    Reader in({data, size});
    while (in.left() > 0)
        run.step(in);
    return 0;
}
