// SOCKS5 handshakes from strangers. The first byte chooses whether a password is wanted and how the
// rest is cut into reads.
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "edge/socks5.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using selvage::edge::Socks5Handshake;
    if (size == 0) return 0;
    Socks5Handshake handshake((data[0] & 1) != 0);
    const std::size_t step = 1 + data[0] / 2;
    selvage::ByteView rest(data + 1, size - 1);
    while (!rest.empty()) {
        const std::size_t count = std::min(step, rest.size());
        handshake.feed(rest.first(count));
        rest = rest.subspan(count);
        if (handshake.state() == Socks5Handshake::State::credentials_given) {
            handshake.on_verified((handshake.user().size() & 1) != 0);
        }
        static_cast<void>(handshake.take_output());
        if (handshake.state() == Socks5Handshake::State::done) {
            const auto& to = handshake.request();
            // Port 0 is a client of BIND or UDP ASSOCIATE that does not know yet whence it will
            // send.
            const bool connects = handshake.command() == selvage::edge::SocksCommand::connect;
            if ((connects && to.port == 0) || to.name.size() > 255) __builtin_trap();
            static_cast<void>(selvage::edge::special_range_of(to.address));
        }
    }
    return 0;
}
