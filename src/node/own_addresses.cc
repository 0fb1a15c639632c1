// Changing addresses.
#include "node/own_addresses.h"

namespace selvage::node {

Result<> OwnAddresses::change_on_device(
    std::optional<Prefix>& held, const std::optional<Prefix>& next
) {
    if (held == next) return {};
    // The old one first: a second address of one network would be the kernel's secondary address,
    // and go with the first.
    if (held && device_ != nullptr) {
        if (auto removed = device_->remove_address(*held); !removed) {
            log_.warn("old address stays", "reason=\"{}\"", removed.error().message());
        }
    }
    held.reset();
    if (next && device_ != nullptr) {
        if (auto added = device_->add_address(*next); !added) return added;
    }
    held = next;
    return {};
}

void OwnAddresses::tell_all() {
    forwarder_.set_addresses(current_);
    overlay_.set_addresses(current_.list());
    route::OwnNode own = routes_.own();
    own.ipv4 = current_.ipv4;
    own.ipv6 = current_.ipv6;
    routes_.set_own(std::move(own));
}

Result<> OwnAddresses::change(const NodeAddresses& next) {
    if (next == current_) return {};
    Result<> outcome = change_on_device(current_.ipv4, next.ipv4);
    if (outcome) outcome = change_on_device(current_.ipv6, next.ipv6);
    tell_all();
    return outcome;
}

}  // namespace selvage::node
