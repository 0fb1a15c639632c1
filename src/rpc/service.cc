// The service table, and failures on the wire (2-control.md section 1.5).
#include "rpc/service.h"

#include <limits>

#include "base/log.h"
#include "common.pb.h"
#include "error.pb.h"

namespace selvage::rpc {
namespace {

// Explanations for people; longer ones only cost packets.
constexpr std::size_t kTextBytes = 400;

Bytes serialize(const google::protobuf::MessageLite& message) {
    Bytes out(message.ByteSizeLong());
    (void)message.SerializeToArray(out.data(), static_cast<int>(out.size()));
    return out;
}

void fill_error(error::Error& out, const Error& error, const Descriptor& target) {
    if (error.is(Errc::unsupported)) {
        out.mutable_invalid_method_index()->set_service_name(target.service);
        out.mutable_invalid_method_index()->set_method_index(target.method);
    } else if (error.is(Errc::malformed)) {
        out.mutable_prost_decode_error();
    } else if (error.is(Errc::timed_out)) {
        out.mutable_timeout()->set_error_message(printable(error.message(), kTextBytes));
    } else {
        out.mutable_execute_error()->set_error_message(printable(error.message(), kTextBytes));
    }
}

// Texts of a stranger are for people only, so they are made harmless here.
Error error_from_wire(const error::Error& in) {
    switch (in.error_kind_case()) {
        case error::Error::kInvalidService:
            return Error(
                Errc::not_found,
                "the peer does not offer " + printable(in.invalid_service().service_name())
            );
        case error::Error::kInvalidMethodIndex:
            return Error(Errc::unsupported, "the peer does not know this method");
        case error::Error::kProstDecodeError:
            return Error(Errc::malformed, "the peer could not decode the request");
        case error::Error::kProstEncodeError:
            return Error(Errc::refused, "the peer could not encode its reply");
        case error::Error::kMalformatRpcPacket:
            return Error(Errc::malformed, printable(in.malformat_rpc_packet().error_message()));
        case error::Error::kTimeout:
            return Error(Errc::timed_out, "the peer's handler took too long");
        case error::Error::kExecuteError:
            return Error(Errc::refused, printable(in.execute_error().error_message()));
        case error::Error::kOtherError:
            return Error(Errc::refused, printable(in.other_error().error_message()));
        case error::Error::ERROR_KIND_NOT_SET:
            break;
    }
    return Error(Errc::refused, "the peer failed without saying why");
}

}  // namespace

void ServiceTable::add(std::string domain, std::string name, Service& service) {
    services_[{std::move(domain), std::move(name)}] = &service;
}

void ServiceTable::remove(std::string_view domain, std::string_view name) {
    services_.erase({std::string(domain), std::string(name)});
}

Service* ServiceTable::find(const Descriptor& target) const {
    // Both names of a service are always equal; a caller that says otherwise means another one.
    if (!target.proto_name.empty() && target.proto_name != target.service) return nullptr;
    const auto at = services_.find({target.domain, target.service});
    return at == services_.end() ? nullptr : at->second;
}

Bytes build_reply(const Result<Bytes>& result, const Descriptor& target, Duration runtime) {
    common::RpcResponse out;
    if (result) {
        out.set_response(result->data(), result->size());
    } else {
        fill_error(*out.mutable_error(), result.error(), target);
    }
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(runtime).count();
    out.set_runtime_us(static_cast<std::uint64_t>(micros));
    return serialize(out);
}

Bytes build_unknown_service(const Descriptor& target) {
    common::RpcResponse out;
    out.mutable_error()->mutable_invalid_service()->set_service_name(target.service);
    return serialize(out);
}

Result<Bytes> parse_reply(ByteView reply) {
    common::RpcResponse in;
    if (!in.ParseFromArray(reply.data(), static_cast<int>(reply.size()))) {
        return Error(Errc::malformed, "undecodable reply");
    }
    if (in.has_error()) return error_from_wire(in.error());
    return Bytes(in.response().begin(), in.response().end());
}

Bytes build_request(ByteView content, Duration timeout) {
    common::RpcRequest out;
    out.set_request(content.data(), content.size());
    const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
    constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
    // At least 1: with 0 a stock server gives its handlers no time at all.
    out.set_timeout_ms(static_cast<std::int32_t>(std::clamp<std::int64_t>(millis, 1, kMost)));
    return serialize(out);
}

Result<Request> parse_request(ByteView bytes) {
    common::RpcRequest in;
    if (!in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return Errc::malformed;
    return Request{
        .content = Bytes(in.request().begin(), in.request().end()), .timeout_ms = in.timeout_ms()
    };
}

}  // namespace selvage::rpc
