// Packets of a neighbour into the pipeline, encrypted and clear networks, with and without kernel.
//
// Input: a byte of switches, then packets, each two length bytes and its bytes.
#include "dataplane/forwarder_test_support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace selvage;
    if (size == 0) return 0;
    dataplane::World world((data[0] & 1) != 0, (data[0] & 2) != 0);
    const auto claim = world.forwarder.claims().claim(packet::IpProtocol::tcp, 22);
    Reader in(ByteView(data + 1, size - 1));
    for (le16 length; in.read(length);) {
        ByteView bytes;
        if (!in.read_bytes(std::min<std::size_t>(length, in.left()), bytes)) break;
        if (auto packet = world.pool.copy(bytes)) world.arrive_raw(std::move(packet));
        world.runtime.run_ready();
    }
    return 0;
}
