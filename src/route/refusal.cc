// Names of the reasons, as metrics and status pages show them.
#include "route/refusal.h"

namespace selvage::route {

std::string_view refusal_name(Refusal reason) {
    switch (reason) {
        case Refusal::undecodable:
            return "undecodable";
        case Refusal::wrong_sender:
            return "wrong_sender";
        case Refusal::not_a_neighbour:
            return "not_a_neighbour";
        case Refusal::no_session:
            return "no_session";
        case Refusal::record_without_id:
            return "record_without_id";
        case Refusal::record_too_large:
            return "record_too_large";
        case Refusal::ipv4_prefix_length:
            return "ipv4_prefix_length";
        case Refusal::ipv6_prefix_length:
            return "ipv6_prefix_length";
        case Refusal::provider_prefix_length:
            return "provider_prefix_length";
        case Refusal::lease_prefix_length:
            return "lease_prefix_length";
        case Refusal::own_record:
            return "own_record";
        case Refusal::own_id_other_route:
            return "own_id_other_route";
        case Refusal::own_row:
            return "own_row";
        case Refusal::bitmap_too_short:
            return "bitmap_too_short";
        case Refusal::too_many_rows:
            return "too_many_rows";
        case Refusal::row_without_id:
            return "row_without_id";
        case Refusal::foreign_without_key:
            return "foreign_without_key";
        case Refusal::foreign_without_value:
            return "foreign_without_value";
        case Refusal::foreign_malformed:
            return "foreign_malformed";
        case Refusal::own_foreign:
            return "own_foreign";
        case Refusal::table_full:
            return "table_full";
    }
    return "unknown";
}

}  // namespace selvage::route
