// IP headers of what we send, and the queue up to the next poll.
#include "netstack/core/ip_output.h"

#include "packet/checksum.h"

namespace selvage::netstack {

using packet::PacketBuf;

namespace {

void push_ipv4(
    PacketBuf& packet, const IpAddress& source, const IpAddress& destination,
    packet::IpProtocol protocol, std::uint8_t ecn
) {
    const std::size_t total = packet.size() + sizeof(packet::Ipv4Header);
    auto* header = packet.push_front<packet::Ipv4Header>();
    header->tos = ecn;
    header->total_length = static_cast<std::uint16_t>(total);
    // Never fragmented, so the identification has no meaning (RFC 6864).
    header->fragment = packet::kIpv4DontFragment;
    header->protocol = static_cast<std::uint8_t>(protocol);
    header->source = source.v4_value();
    header->destination = destination.v4_value();
    header->checksum = packet::checksum_finish(packet::checksum_add(as_bytes_of(*header)));
}

void push_ipv6(
    PacketBuf& packet, const IpAddress& source, const IpAddress& destination,
    packet::IpProtocol protocol, std::uint8_t ecn
) {
    const std::size_t payload = packet.size();
    auto* header = packet.push_front<packet::Ipv6Header>();
    header->version_class_flow = 6U << 28 | std::uint32_t{ecn} << 20;
    header->payload_length = static_cast<std::uint16_t>(payload);
    header->next_header = static_cast<std::uint8_t>(protocol);
    header->source = source.raw();
    header->destination = destination.raw();
}

}  // namespace

bool IpOutput::is_ours(const IpAddress& address) const {
    for (const Prefix& own : addresses_) {
        if (own.address == address) return true;
    }
    return false;
}

bool IpOutput::is_broadcast(const IpAddress& address) const {
    if (address.is_limited_broadcast()) return true;
    for (const Prefix& own : addresses_) {
        // A network of two addresses has no broadcast (RFC 3021).
        if (own.address.is_v4() && own.length < 31 && address == own.last()) return true;
    }
    return false;
}

std::optional<IpAddress> IpOutput::source_for(const IpAddress& remote) const {
    const Prefix* best = nullptr;
    for (const Prefix& own : addresses_) {
        if (own.address.is_v4() != remote.is_v4()) continue;
        if (own.contains(remote)) return own.address;
        if (best == nullptr) best = &own;
    }
    if (best == nullptr) return std::nullopt;
    return best->address;
}

PacketBuf IpOutput::take() {
    if (full() || loopback_.size() >= kQueueMax) {
        ++counters_.output_full;
        return {};
    }
    if (pool_.available() <= std::min(kPoolReserve, pool_.limit() / 4)) {
        ++counters_.no_buffer;
        return {};
    }
    PacketBuf packet = pool_.take();
    // Room for the IP header, so that after it the whole of kHeadroom is still in front.
    if (packet) packet.reset(packet::kHeadroom + sizeof(packet::Ipv6Header) + 64);
    return packet;
}

void IpOutput::send(
    PacketBuf&& packet, const IpAddress& source, const IpAddress& destination,
    packet::IpProtocol protocol, std::uint8_t ecn
) {
    if (source.is_v4()) {
        push_ipv4(packet, source, destination, protocol, ecn);
    } else {
        push_ipv6(packet, source, destination, protocol, ecn);
    }
    ++counters_.packets_out;
    if (is_ours(destination)) {
        loopback_.push_back(std::move(packet));
    } else {
        queue_.push_back(std::move(packet));
    }
}

void IpOutput::flush(TimePoint now, PacketOut& out) {
    packet::PacketBatch batch(now);
    leaving_.swap(queue_);
    for (PacketBuf& packet : leaving_) {
        batch.push(std::move(packet));
        if (!batch.full()) continue;
        out.from_stack(std::move(batch));
        batch = packet::PacketBatch(now);
    }
    leaving_.clear();
    if (!batch.empty()) out.from_stack(std::move(batch));
}

}  // namespace selvage::netstack
