// Tables for people, and the little formatting that they need.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace selvage {

// Columns padded to their widest cell, two spaces apart. The first row is the heading.
std::string build_table(const std::vector<std::vector<std::string>>& rows);

std::string bytes_text(std::uint64_t bytes);          // "1.5 MiB"
std::string seconds_text(std::uint64_t seconds);      // "2 h 5 min"
std::string milliseconds_text(std::uint64_t micros);  // "0.43 ms"
std::string or_dash(std::string text);

}  // namespace selvage
