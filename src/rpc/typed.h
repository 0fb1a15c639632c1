// Calls and services with protobuf messages instead of bytes.
#pragma once

#include <google/protobuf/message_lite.h>

#include "rpc/endpoint.h"

namespace selvage::rpc {

inline Bytes to_wire(const google::protobuf::MessageLite& message) {
    Bytes out(message.ByteSizeLong());
    (void)message.SerializeToArray(out.data(), static_cast<int>(out.size()));
    return out;
}

// Errc::malformed when the bytes are not such a message.
template <class Message>
Result<Message> from_wire(ByteView bytes) {
    Message message;
    if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        return Error(Errc::malformed, "undecodable message");
    }
    return message;
}

template <class Reply, class Request>
rt::Task<Result<Reply>> call(
    RpcEndpoint& endpoint, PeerId to, Descriptor target, Request request, Duration timeout
) {
    auto bytes = co_await endpoint.call(to, std::move(target), to_wire(request), timeout);
    if (!bytes) co_return bytes.error();
    co_return from_wire<Reply>(*bytes);
}

}  // namespace selvage::rpc
