// Compares a selector with an instance.
#include "node/instance_selector.h"

namespace selvage::node {

Uuid uuid_of(const common::UUID& message) {
    Uuid out;
    const std::uint32_t words[] = {
        message.part1(), message.part2(), message.part3(), message.part4()
    };
    for (std::size_t i = 0; i < 16; ++i) {
        out.bytes[i] = static_cast<std::uint8_t>(words[i / 4] >> (24 - 8 * (i % 4)));
    }
    return out;
}

Result<> is_selected(
    const ::api::instance::InstanceIdentifier& wanted, const InstanceFacts& facts
) {
    if (wanted.has_id() && uuid_of(wanted.id()) != facts.instance_id) {
        return Error(Errc::not_found, "no instance of that id here");
    }
    if (wanted.has_instance_selector() && wanted.instance_selector().has_name() &&
        wanted.instance_selector().name() != facts.instance_name) {
        return Error(Errc::not_found, "no instance of that name here");
    }
    return {};
}

}  // namespace selvage::node
