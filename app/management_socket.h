// Where instances put their management sockets, and where the command line finds them.
//
//   $XDG_RUNTIME_DIR/selvage/NAME.sock   when that variable is set
//   /run/selvage/NAME.sock               for root
//   $HOME/.selvage/NAME.sock             otherwise
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace selvage::app {

// The path for an instance of this user; its folder is made, for the owner only.
Result<std::string> make_socket_path(const std::string& instance_name);

// Paths that an instance of this name may have, likeliest first.
std::vector<std::string> candidate_sockets(const std::string& instance_name);

// All sockets that are there, of every folder.
std::vector<std::string> existing_sockets();

}  // namespace selvage::app
