// Options of a service: the keys that all have, and the table with its own.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ip.h"
#include "base/option_tree.h"
#include "base/time.h"
#include "edge/allow_list.h"
#include "edge/service.h"

namespace selvage::edge {

struct ServiceOptions {
    const ServiceSpec* spec = nullptr;
    bool enabled = false;
    std::uint16_t port = 0;
    AllowList allow;
    std::uint32_t max_sessions = 0;             // beyond it a caller is reset
    std::uint32_t max_sessions_per_caller = 0;  // likewise; callers of the host count as one
    Duration idle_timeout{0};                   // no byte in either direction; zero: never
    // Also for programs of this host: on loopback for all of them, elsewhere by allow.
    std::optional<Endpoint> listen_host;
    // Whoever reaches listen_host may use it, as the reference's socks5_proxy.
    bool host_is_open = false;
    // Take the port from a program of the host that listens there.
    bool shadow_host = false;
    // Members who may use it are told of it when they ask.
    bool advertise = false;
    OptionTable own;

    // Who is for the host alone leaves its port in the mesh to others.
    bool serves_mesh() const { return !allow.empty() || !listen_host; }
};

// The defaults of a service.
ServiceOptions default_options(const ServiceSpec& spec);

// Reads [service.NAME]. Mistakes, and unknown keys, become problems.
ServiceOptions read_service_options(
    const ServiceSpec& spec, const OptionTable& table, const SourcePos& at,
    std::vector<OptionProblem>& problems
);

// Whether two tables say the same to the service itself: wherever it was written, and without the
// keys that all services have.
bool same_own_options(const OptionTable& a, const OptionTable& b);

}  // namespace selvage::edge
