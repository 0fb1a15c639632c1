// Taking and giving back claims.
#include "dataplane/claim_table.h"

#include <fmt/format.h>

namespace selvage::dataplane {

Claim& Claim::operator=(Claim&& other) noexcept {
    if (this != &other) {
        release();
        table_ = std::exchange(other.table_, nullptr);
        key_ = other.key_;
    }
    return *this;
}

void Claim::release() {
    if (table_ == nullptr) return;
    table_->claims_.erase(key_);
    table_ = nullptr;
}

Result<Claim> ClaimTable::claim(packet::IpProtocol protocol, std::uint16_t port) {
    const Claim::Key key{protocol, port};
    if (!claims_.insert(key).second) {
        return Error(Errc::in_use, fmt::format("port {} is already served by this node", port));
    }
    return Claim(this, key);
}

}  // namespace selvage::dataplane
