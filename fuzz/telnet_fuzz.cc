// Telnet from strangers: whatever they send, what comes out is bounded, and the terminal's name is
// harmless. The first byte chooses how the rest is cut into reads.
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "edge/telnet.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace selvage;
    if (size == 0) return 0;
    edge::Telnet telnet;
    telnet.start();
    const std::size_t step = 1 + data[0];
    ByteView rest(data + 1, size - 1);
    std::size_t typed = 0;
    std::size_t answered = 0;
    while (!rest.empty() && !telnet.failed()) {
        const std::size_t count = std::min(step, rest.size());
        telnet.receive(rest.first(count));
        rest = rest.subspan(count);
        const Bytes keys = telnet.take_typed();
        typed += keys.size();
        answered += telnet.take_output().size();
        telnet.show(keys);
        static_cast<void>(telnet.take_output());
        const auto resize = telnet.take_resize();
        if (resize && (resize->columns == 0 || resize->rows == 0)) __builtin_trap();
        static_cast<void>(telnet.take_interrupt());
    }
    // No amplification: a byte typed per byte sent, and a few bytes of answer per command.
    if (typed > size || answered > 64 + 8 * size) __builtin_trap();
    if (telnet.term() != edge::sanitise_term(telnet.term())) __builtin_trap();
    return 0;
}
