// echo: sends every byte back. The smallest service; copy it to start a new one.
#include <array>

#include "edge/service.h"

namespace selvage::edge {
namespace {

class Echo final : public Service {
public:
    rt::Task<Result<>> serve(rt::StreamPtr stream, Caller) override {
        std::array<std::uint8_t, 4096> buffer;
        for (;;) {
            auto got = co_await stream->read_some(buffer);
            if (!got) co_return got.error();
            if (*got == 0) co_return Result<>{};
            auto sent = co_await stream->write_all(std::span(buffer).first(*got));
            if (!sent) co_return sent.error();
        }
    }
};

}  // namespace

extern const ServiceSpec echo_service;
const ServiceSpec echo_service{
    .name = "echo",
    .summary = "sends every byte back",
    .default_port = 7,
    .make = [](ServiceContext&) -> std::unique_ptr<Service> { return std::make_unique<Echo>(); },
};

}  // namespace selvage::edge
