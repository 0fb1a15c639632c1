// The simulated TUN device.
#include "sim/tun.h"

#include <cstring>

#include "packet/checksum.h"
#include "packet/ip_headers.h"

namespace selvage::sim {

class TunDevice final : public host::Tun {
public:
    TunDevice(std::weak_ptr<TunLayer*> layer, std::string name)
        : layer_(std::move(layer)), name_(std::move(name)) {}
    ~TunDevice() override {
        TunLayer* layer = here();
        if (layer) layer->forget_device();
    }

    const std::string& name() const override { return name_; }
    void start(host::TunSink& sink) override {
        if (TunLayer* layer = here()) layer->sink_ = &sink;
    }
    void send(packet::PacketBatch&& batch) override {
        TunLayer* layer = here();
        for (packet::PacketBuf& packet : batch) {
            if (!layer) {
                ++stats_.tx_dropped;
                continue;
            }
            ++stats_.tx_packets;
            stats_.tx_bytes += packet.size();
            layer->from_selvage(packet.bytes());
        }
        batch.clear();
    }
    Result<> add_address(const Prefix& address) override {
        TunLayer* layer = here();
        if (!layer) return Errc::closed;
        if (!layer->addresses_.insert(address).second) return Errc::exists;
        if (layer->user_) layer->user_->on_address_change();
        return {};
    }
    Result<> remove_address(const Prefix& address) override {
        TunLayer* layer = here();
        if (!layer) return Errc::closed;
        if (layer->addresses_.erase(address) == 0) return Errc::not_found;
        if (layer->user_) layer->user_->on_address_change();
        return {};
    }
    Result<> add_route(const Prefix& destination, unsigned metric) override {
        TunLayer* layer = here();
        if (!layer) return Errc::closed;
        if (!layer->routes_.insert({destination, metric}).second) return Errc::exists;
        return {};
    }
    Result<> remove_route(const Prefix& destination, unsigned metric) override {
        TunLayer* layer = here();
        if (!layer) return Errc::closed;
        if (layer->routes_.erase({destination, metric}) == 0) return Errc::not_found;
        return {};
    }
    const Stats& stats() const override { return stats_; }
    void count_received(std::size_t bytes) {
        ++stats_.rx_packets;
        stats_.rx_bytes += bytes;
    }

private:
    // The host's side, unless it is gone or has another device by now.
    TunLayer* here() {
        const auto layer = layer_.lock();
        return layer && (*layer)->device_ == this ? *layer : nullptr;
    }

    std::weak_ptr<TunLayer*> layer_;
    std::string name_;
    Stats stats_;
};

Result<host::TunPtr> TunLayer::open(const host::TunOptions& options) {
    if (!allowed_) {
        return Error(
            Errc::denied, "a TUN device needs root or CAP_NET_ADMIN; --no-tun works without"
        );
    }
    if (device_) return Error(Errc::in_use, "this simulated host has its TUN device already");
    auto device = std::make_unique<TunDevice>(alive_, options.name.empty() ? "tun0" : options.name);
    device_ = device.get();
    mtu_ = options.mtu;
    return host::TunPtr(std::move(device));
}

void TunLayer::forget_device() {
    device_ = nullptr;
    sink_ = nullptr;
    addresses_.clear();
    routes_.clear();
    if (user_) user_->on_address_change();
}

void TunLayer::destroy_device() {
    if (!device_) return;
    host::TunSink* sink = sink_;
    forget_device();
    if (!sink) return;
    loop_.post([sink] { sink->on_tun_closed(Error(Errc::closed, "the device was deleted")); });
}

bool TunLayer::leads_here(const IpAddress& destination) const {
    for (const Prefix& own : addresses_) {
        if (own.address != destination && own.contains(destination)) return true;
    }
    for (const auto& [prefix, metric] : routes_) {
        if (prefix.contains(destination)) return true;
    }
    return false;
}

bool TunLayer::send(ByteView packet) {
    const auto meta = packet::parse_ip(packet);
    if (!meta || !device_ || !sink_ || !leads_here(meta->destination)) return false;
    packet::PacketBuf buffer = pool_.copy(packet);
    if (!buffer) return false;
    device_->count_received(packet.size());
    trace_.add(
        loop_.now(),
        fmt::format(
            "{} tun < kernel {} > {} {} B", host_, meta->source, meta->destination, packet.size()
        )
    );
    // In a later turn: the kernel never calls into a process.
    loop_.post([alive = std::weak_ptr(alive_), device = device_,
                buffer = std::move(buffer)]() mutable {
        const auto layer = alive.lock();
        if (!layer || (*layer)->device_ != device || !(*layer)->sink_) return;
        packet::PacketBatch batch((*layer)->loop_.now());
        batch.push(std::move(buffer));
        (*layer)->sink_->from_tun(std::move(batch));
    });
    return true;
}

void TunLayer::from_selvage(ByteView packet) {
    trace_.add(loop_.now(), fmt::format("{} tun > kernel {} B", host_, packet.size()));
    if (user_) {
        user_->on_packet(packet);
        return;
    }
    if (answer_echo(packet)) return;
    if (received_.size() >= kReceivedPackets) received_.pop_front();
    received_.emplace_back(packet.begin(), packet.end());
}

// ICMP echo over IPv4 to one of our addresses: swaps the addresses and the type.
bool TunLayer::answer_echo(ByteView packet) {
    constexpr std::uint8_t kEchoRequest = 8;
    const auto meta = packet::parse_ip(packet);
    if (!meta || !meta->source.is_v4() || meta->is_fragment ||
        meta->protocol != static_cast<std::uint8_t>(packet::IpProtocol::icmp) ||
        meta->total_length < meta->transport_offset + sizeof(packet::IcmpHeader) ||
        packet[meta->transport_offset] != kEchoRequest) {
        return false;
    }
    bool ours = false;
    for (const Prefix& own : addresses_)
        ours = ours || own.address == meta->destination;
    if (!ours) return false;

    Bytes reply(packet.begin(), packet.begin() + meta->total_length);
    auto* ip = reinterpret_cast<packet::Ipv4Header*>(reply.data());
    std::swap(ip->source, ip->destination);
    auto* icmp = reinterpret_cast<packet::IcmpHeader*>(reply.data() + meta->transport_offset);
    icmp->type = 0;
    icmp->checksum = 0;
    icmp->checksum =
        packet::checksum_finish(packet::checksum_add(ByteView(reply).subspan(meta->transport_offset)
        ));
    send(reply);
    return true;
}

}  // namespace selvage::sim
