// URLs of peers and listeners: scheme://host[:port][/path].
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace selvage::tunnel {

struct Url {
    std::string scheme;      // lower case
    std::string host;        // name or address, without brackets
    std::uint16_t port = 0;  // the scheme's default when the text had none
    bool port_given = false;
    std::string path;  // with its leading slash; the file of unix URLs, else a device name

    static Result<Url> parse(std::string_view text);
    std::string to_string() const;
    friend bool operator==(const Url&, const Url&) = default;
};

// The default port of a scheme (3-connectivity.md section 1.1), 0 for those without ports.
std::uint16_t default_port(std::string_view scheme);

}  // namespace selvage::tunnel
