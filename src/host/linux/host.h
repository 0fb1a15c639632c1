// What linux/ offers: the interfaces of host/ implemented with the kernel. Everything made here
// belongs to the loop of `runtime` and must be gone before it.
#pragma once

#include <memory>

#include "base/log.h"
#include "host/offloads.h"
#include "host/record_files.h"
#include "host/service_manager.h"
#include "host/sockets.h"
#include "host/terminal.h"
#include "host/tun.h"
#include "rt/runtime.h"

namespace selvage::host {

// `pool` gives the blocks that datagrams are received into.
std::unique_ptr<Sockets> make_linux_sockets(
    rt::Runtime& runtime, packet::PacketPool& pool, Log log = {}, Offloads offloads = {}
);
std::unique_ptr<TerminalFactory> make_linux_terminal_factory(
    rt::Runtime& runtime, const Log& log = {}
);
std::unique_ptr<TunFactory> make_linux_tun_factory(
    rt::Runtime& runtime, packet::PacketPool& pool, Log log = {}, Offloads offloads = {}
);

std::unique_ptr<RecordFiles> make_linux_record_files(rt::Runtime& runtime);

// The one of NOTIFY_SOCKET; without it a manager that hears nothing and wants nothing.
std::unique_ptr<ServiceManager> find_service_manager();

}  // namespace selvage::host
