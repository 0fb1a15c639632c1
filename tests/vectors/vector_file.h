// Reads the JSON files of this folder: messages of the reference, and what they mean.
// The fields are explained in README.md beside this file.
#pragma once

#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/bytes.h"

namespace selvage::test {

using Json = nlohmann::json;

inline Json load_vectors(const std::string& file) {
    std::ifstream in(std::string(SELVAGE_SOURCE_DIR) + "/tests/vectors/" + file);
    EXPECT_TRUE(in.good()) << "cannot read tests/vectors/" << file;
    return Json::parse(in).at("vectors");
}

inline Bytes hex_of(const Json& value) {
    return from_hex(value.get<std::string>()).value();
}

// The pieces of a vector as peer packets, each without what its transport puts in front.
inline std::vector<Bytes> peer_packets(const Json& vector) {
    std::vector<Bytes> out;
    const Json& wire = vector.at("wire");
    const std::string layer = vector.at("layer");
    const std::size_t skip = layer == "tcp" ? 4 : layer == "udp" ? 8 : 0;
    const auto add = [&](const Json& text) {
        const Bytes bytes = hex_of(text);
        out.emplace_back(bytes.begin() + static_cast<std::ptrdiff_t>(skip), bytes.end());
    };
    if (wire.is_array()) {
        for (const Json& one : wire)
            add(one);
    } else {
        add(wire);
    }
    return out;
}

}  // namespace selvage::test
