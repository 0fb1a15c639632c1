// The real loop and the kernel's sockets on loopback, driven from a test.
#pragma once

#include "host/linux/host.h"
#include "rt/test_loop.h"

namespace selvage::test {

class LoopWorld : public rt::TestLoop {
public:
    ~LoopWorld() { settle(); }
    host::Sockets& sockets() { return *sockets_; }
    packet::PacketPool& pool() { return pool_; }

private:
    packet::PacketPool pool_;
    std::unique_ptr<host::Sockets> sockets_ = host::make_linux_sockets(runtime(), pool_);
};

}  // namespace selvage::test
