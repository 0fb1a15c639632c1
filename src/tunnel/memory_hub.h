// Names of mem:// listeners. Whoever wants tunnels inside one process (tests, several instances on
// one loop) owns a hub and puts it into each TransportContext that shall share it.
#pragma once

#include <string>
#include <unordered_map>

#include "rt/runtime.h"
#include "rt/stream.h"

namespace selvage::tunnel {

class MemoryHub {
public:
    MemoryHub() = default;
    MemoryHub(const MemoryHub&) = delete;
    MemoryHub& operator=(const MemoryHub&) = delete;
    // Precondition: its acceptors are gone.
    ~MemoryHub() = default;

    // Errc::in_use when the name is taken.
    Result<rt::AcceptorPtr> listen(rt::Runtime& runtime, std::string name);
    // Errc::refused when nobody listens, or when the listener's queue of 128 is full.
    Result<rt::StreamPtr> connect(rt::Runtime& runtime, const std::string& name);

private:
    class Listener;
    std::unordered_map<std::string, Listener*> listeners_;  // as many as its users open
};

}  // namespace selvage::tunnel
