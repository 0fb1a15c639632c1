// New options for services that are running, and for the sessions they have.
#include <algorithm>

#include "edge/service_state.h"

namespace selvage::edge {

Result<> ServiceHost::apply(std::vector<ServiceOptions> options) {
    Result<> first;
    const auto keep_first = [&first](Result<> done) {
        if (!done && first) first = std::move(done);
    };
    for (auto& service : services_) {
        const auto named = std::ranges::find(options, service->options.spec, &ServiceOptions::spec);
        if (named == options.end()) {
            ServiceOptions off = service->options;
            off.enabled = false;
            keep_first(apply_to(*service, std::move(off)));
        } else {
            keep_first(apply_to(*service, std::move(*named)));
            options.erase(named);
        }
    }
    for (ServiceOptions& added : options) {
        auto running = std::make_unique<Running>();
        running->options = std::move(added);
        services_.push_back(std::move(running));
        if (services_.back()->options.enabled) keep_first(start_or_report(*services_.back()));
    }
    return first;
}

Result<> ServiceHost::apply_to(Running& service, ServiceOptions options) {
    const bool runs = service.mesh != nullptr || service.host != nullptr;
    if (!options.enabled || !runs) {
        if (runs) stop_service(service, "switched off");
        service.options = std::move(options);
        service.error.clear();
        return service.options.enabled ? start_or_report(service) : Result<>{};
    }
    Result<> moved;
    ServiceOptions old = std::exchange(service.options, std::move(options));
    const bool new_port =
        service.options.port != old.port || service.options.serves_mesh() != old.serves_mesh();
    if (new_port || service.options.listen_host != old.listen_host) {
        rt::Acceptor* const mesh = new_port ? std::exchange(service.mesh, nullptr) : nullptr;
        // An address of the host can be listened on once only, so the old one goes first.
        if (service.options.listen_host != old.listen_host && service.host != nullptr) {
            std::exchange(service.host, nullptr)->close();
        }
        moved = open_ports(service, service.options);
        if (moved) {
            if (mesh != nullptr) mesh->close();
        } else {
            if (mesh != nullptr) service.mesh = mesh;
            service.options.port = old.port;
            service.options.listen_host = old.listen_host;
            // Best effort: the port of before may be free still.
            if (old.serves_mesh()) static_cast<void>(open_ports(service, service.options));
        }
        service.error = moved ? std::string() : moved.error().message();
    }
    revoke_sessions(service);
    Generation& current = service.generations.back();
    current.context->port = service.options.port;
    if (same_own_options(service.options.own, old.own)) return moved;
    current.own = service.options.own;
    if (current.service->reconfigure()) return moved;
    current.retired = true;
    const bool unused = current.live == 0;
    for (auto& [id, session] : sessions_) {
        if (&session->generation == &current) end_after_grace(*session, "new options");
    }
    make_service(service);
    if (unused)
        service.generations.remove_if([](const Generation& each) {
            return each.retired && each.live == 0;
        });
    return moved;
}

void ServiceHost::stop_service(Running& service, std::string_view why) {
    close_ports(service);
    for (auto& [id, session] : sessions_) {
        if (&session->service == &service) end_after_grace(*session, why);
    }
    for (Generation& each : service.generations)
        each.retired = true;
    service.generations.remove_if([](const Generation& each) { return each.live == 0; });
}

// Ends what the new options would not have let in.
void ServiceHost::revoke_sessions(Running& service) {
    const ServiceOptions& options = service.options;
    std::size_t kept = 0;
    std::map<PeerId, std::uint32_t> kept_of;
    // Ids grow, so the oldest sessions stay.
    for (auto& [id, session] : sessions_) {
        if (&session->service != &service) continue;
        const Caller& caller = session->caller;
        const bool stays = allowed(options, caller) && kept < options.max_sessions &&
                           kept_of[caller.peer] < options.max_sessions_per_caller;
        if (stays) {
            ++kept;
            ++kept_of[caller.peer];
            watch_idle(*session);
        } else {
            end(id, "no longer allowed");
        }
    }
}

}  // namespace selvage::edge
