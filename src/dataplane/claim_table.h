// ClaimTable: which ports of our virtual address are ours and not the kernel's.
//
// A claim holds a protocol and port while the Claim lives. It says who gets new connections; whose
// an existing one is, the FlowTable knows.
#pragma once

#include <cstdint>
#include <set>
#include <utility>

#include "base/error.h"
#include "packet/packet_buf.h"

namespace selvage::dataplane {

class ClaimTable;

// Gives its port back when it goes. Must not outlive the table.
class Claim {
public:
    Claim() = default;
    Claim(Claim&& other) noexcept
        : table_(std::exchange(other.table_, nullptr)), key_(std::move(other.key_)) {}
    Claim& operator=(Claim&& other) noexcept;
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;
    ~Claim() { release(); }

private:
    friend class ClaimTable;
    using Key = std::pair<packet::IpProtocol, std::uint16_t>;
    Claim(ClaimTable* table, Key key) : table_(table), key_(key) {}
    void release();

    ClaimTable* table_ = nullptr;
    Key key_{};
};

class ClaimTable {
public:
    // in_use when somebody in this process has it already.
    Result<Claim> claim(packet::IpProtocol protocol, std::uint16_t port);
    bool has(std::uint8_t protocol, std::uint16_t port) const {
        return claims_.contains({static_cast<packet::IpProtocol>(protocol), port});
    }
    std::size_t size() const { return claims_.size(); }
    // The port numbers that are claimed for any protocol.
    std::set<std::uint16_t> ports() const {
        std::set<std::uint16_t> out;
        for (const auto& [protocol, port] : claims_)
            out.insert(port);
        return out;
    }

private:
    friend class Claim;
    std::set<Claim::Key> claims_;  // at most two per port number
};

}  // namespace selvage::dataplane
