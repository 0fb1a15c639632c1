// discard: takes every byte and answers nothing (RFC 863); for measuring what a path can carry.
#include "edge/service.h"

namespace selvage::edge {
namespace {

class Discard final : public Service {
public:
    rt::Task<Result<>> serve(rt::StreamPtr stream, Caller) override {
        Bytes buffer(64 * 1024);
        for (;;) {
            auto got = co_await stream->read_some(buffer);
            if (!got) co_return got.error();
            if (*got == 0) co_return Result<>{};
        }
    }
};

}  // namespace

extern const ServiceSpec discard_service;
const ServiceSpec discard_service{
    .name = "discard",
    .summary = "takes every byte and answers nothing",
    .default_port = 9,
    .make = [](ServiceContext&) -> std::unique_ptr<Service> { return std::make_unique<Discard>(); },
};

}  // namespace selvage::edge
