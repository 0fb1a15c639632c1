// URLs of peers and listeners: scheme://host[:port][/path].
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace selvage::tunnel {

struct Url {
    std::string scheme;      // lower case
    std::string host;        // name or address, without brackets
    std::uint16_t port = 0;  // the scheme's default when the text had none
    bool port_given = false;
    std::string path;  // with its leading slash, decoded; the file of unix URLs, else a device name

    static Result<Url> parse(std::string_view text);
    std::string to_string() const;
    friend bool operator==(const Url&, const Url&) = default;
};

// What a listener argument stands for, among the schemes of this build:
//   "11010"           every scheme on 0.0.0.0, ports counted from this one
//   "10.0.0.1"        every scheme on this address, ports counted from 11010
//   "10.0.0.1:5000"   every scheme on this address, ports counted from this one
//   "udp"             this scheme on 0.0.0.0 with its default port
//   "udp:5000"        this scheme on 0.0.0.0 with this port
//   "udp://host:5000" as it stands
// A scheme of EasyTier that this build does not have is refused by name.
Result<std::vector<Url>> listener_urls(std::string_view text);

// Errc::unsupported with a sentence for a scheme that is known but not built, bad_argument for one
// that nobody knows.
Error unknown_scheme(std::string_view scheme);

// The default port of a scheme (3-connectivity.md section 1.1), 0 for those without ports.
std::uint16_t default_port(std::string_view scheme);

}  // namespace selvage::tunnel
