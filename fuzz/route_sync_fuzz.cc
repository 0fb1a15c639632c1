// Route syncs from a hostile neighbour, fed to a core that has an honest one. Input: requests,
// each preceded by its length in two bytes. Whatever the core passes on must itself be harmless.
#include <cstdlib>

#include "route/core_net.h"
#include "route/peer_center.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace selvage;
    using namespace selvage::route;
    const PeerId hostile(66);
    test::CoreNet net;
    RouteCore& core = net.add(1);
    RouteCore& honest = net.add(2);
    net.link(1, 2);
    core.neighbour_up(hostile, {}, net.moment());
    net.step();
    Reader in({data, size});
    le16 length;
    ByteView request;
    while (in.read(length) && in.read_bytes(std::min<std::size_t>(length, in.left()), request)) {
        (void)core.on_request(hostile, request, net.moment());
        if (const auto reply = core.next_sync(hostile, net.moment().now)) {
            core.on_reply(*reply, Bytes(request.begin(), request.end()), net.moment().now);
        }
        net.step();
    }
    (void)parse_map(ByteView(data, size));
    (void)parse_report(ByteView(data, size));
    // Forgeries of what is the honest node's own reach it, and it refuses them. Nothing that ends
    // stock nodes may.
    for (std::size_t i = 0; i < kRefusals; ++i) {
        const auto reason = static_cast<Refusal>(i);
        if (reason == Refusal::own_row || reason == Refusal::own_record) continue;
        if (honest.links().refusals().of(reason) != 0) std::abort();
    }
    if (!net.converged()) std::abort();
    if (core.links().own().hostname != "n1") std::abort();
    return 0;
}
