// Look-up in the generated table of services.
#include "edge/service.h"

namespace selvage::edge {

const ServiceSpec* find_service(std::string_view name) {
    for (const ServiceSpec* spec : service_table()) {
        if (spec->name == name) return spec;
    }
    return nullptr;
}

}  // namespace selvage::edge
