// Answers of the management channel as tables for people: what `selvage` prints and the menu shows.
#pragma once

#include <string>

#include "api_instance.pb.h"
#include "selvage_api.pb.h"

namespace selvage::node {

// The routes tell the host names.
std::string peers_table(
    const ::api::instance::ListPeerResponse& peers, const ::api::instance::ListRouteResponse& routes
);
std::string routes_table(const ::api::instance::ListRouteResponse& routes);
std::string services_table(const api::ListServicesResponse& services);
std::string offers_table(const api::ListOffersResponse& offers);
std::string sessions_table(const api::ListSessionsResponse& sessions);
std::string who_is_table(const api::WhoIsResponse& found);
std::string ping_line(const api::PingResponse& reply);

// Parts of them that others print, too.
std::string remote_of(const ::api::instance::PeerConnInfo& conn);
std::string ipv4_of(const ::api::instance::Route& route);
std::string ipv6_of(const ::api::instance::Route& route);

}  // namespace selvage::node
