// The handshake's messages and rules.
#include "peer/handshake.h"

#include <algorithm>

#include "base/log.h"
#include "crypto/secret.h"
#include "peer_rpc.pb.h"

namespace selvage::peer {
namespace {

constexpr std::uint32_t kMagic = 0xd1e1a5e1;
constexpr std::uint32_t kVersion = 1;

bool is_zero(const crypto::NetworkDigest& digest) {
    return std::ranges::all_of(digest, [](std::uint8_t byte) { return byte == 0; });
}

Result<> check_id(const PeerOptions& self, const Hello& other) {
    if (other.peer != self.my_id) return {};
    return Error(Errc::incompatible, "the other side has our own peer id (we dialled ourselves?)");
}

}  // namespace

packet::PacketBuf build_hello(
    packet::PacketPool& pool, const PeerOptions& self, PeerId shown,
    const crypto::NetworkDigest& digest_shown
) {
    peer_rpc::HandshakeRequest message;
    message.set_magic(kMagic);
    message.set_my_peer_id(shown.raw());
    message.set_version(kVersion);
    message.set_network_name(self.network_name);
    message.set_network_secret_digest(std::string(as_text(digest_shown)));
    const std::string body = message.SerializeAsString();
    packet::PacketBuf out = pool.copy(as_view(body));
    if (!out) return out;
    auto* header = out.push_front<packet::PeerHeader>();
    header->from_peer = shown.raw();
    header->type = static_cast<std::uint8_t>(packet::PacketType::handshake);
    header->payload_len = static_cast<std::uint32_t>(body.size());
    return out;
}

Result<Hello> parse_hello(ByteView payload) {
    peer_rpc::HandshakeRequest message;
    if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
        return Error(Errc::malformed, "the handshake is not a valid message");
    }
    Hello hello;
    hello.peer = PeerId(message.my_peer_id());
    hello.network_name = message.network_name();
    const std::string& digest = message.network_secret_digest();
    if (digest.size() != hello.digest.size()) {
        return Error(
            Errc::bad_length,
            fmt::format("the handshake's digest has {} bytes, not 32", digest.size())
        );
    }
    std::ranges::copy(as_view(digest), hello.digest.begin());
    if (hello.network_name.size() > kNetworkNameMax) {
        return Error(Errc::bad_length, "the handshake's network name is too long");
    }
    // proto3 parsers of other builds may let it pass; it ends up in logs and tables.
    if (!is_utf8(as_view(hello.network_name))) {
        return Error(Errc::malformed, "the handshake's network name is not UTF-8");
    }
    if (!hello.peer) return Error(Errc::malformed, "the handshake names peer id 0");
    hello.features.assign(message.features().begin(), message.features().end());
    return hello;
}

Result<> judge_client(const PeerOptions& self, const Hello& client) {
    if (auto distinct = check_id(self, client); !distinct) return distinct;
    if (client.network_name != self.network_name) {
        return Error(
            Errc::incompatible, fmt::format(
                                    "the other side belongs to network \"{}\", we to \"{}\"",
                                    printable(client.network_name), printable(self.network_name)
                                )
        );
    }
    if (crypto::equal_constant_time(client.digest, self.network_digest)) return {};
    if (is_zero(client.digest)) {
        return Error(
            Errc::incompatible, "the other side shows no network secret (a credential node?)"
        );
    }
    return Error(Errc::incompatible, "the other side has a different network secret");
}

Result<> judge_server(const PeerOptions& self, const Hello& server) {
    if (auto distinct = check_id(self, server); !distinct) return distinct;
    if (server.network_name != self.network_name) return {};
    if (crypto::equal_constant_time(server.digest, self.network_digest)) return {};
    return Error(Errc::incompatible, "the other side has a different network secret");
}

}  // namespace selvage::peer
