// What answers calls, and the table of it. Error values and the wire's kinds of failure.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/time.h"
#include "rpc/envelope.h"
#include "rt/task.h"

namespace selvage::rpc {

class StreamSession;

struct Caller {
    PeerId peer;                       // who asks; 1 on the management channel
    StreamSession* session = nullptr;  // the management connection; null on the mesh. Valid until
                                       // the call returns
};

// Implemented by who offers a service. Calls run at the same time, so an implementation looks
// its state up again after each await. These errors have a meaning for the caller, all others
// become "the handler failed" with their text:
//   Errc::unsupported   no method of this number
//   Errc::malformed     the request cannot be decoded
//   Errc::timed_out     it took too long
class Service {
public:
    virtual ~Service() = default;
    virtual rt::Task<Result<Bytes>> call(Caller caller, std::uint32_t method, Bytes request) = 0;
};

// Services by (domain, name). Outlives the endpoints that use it; services are added before the
// first call and may be removed at any time.
class ServiceTable {
public:
    // Replaces a service of the same name.
    void add(std::string domain, std::string name, Service& service);
    void remove(std::string_view domain, std::string_view name);
    Service* find(const Descriptor& target) const;

private:
    std::map<std::pair<std::string, std::string>, Service*> services_;  // as many as are added
};

// Between our errors and common.RpcResponse, the form in which replies travel.
Bytes build_reply(const Result<Bytes>& result, const Descriptor& target, Duration runtime);
// The answer to a service that nobody offers here; stock nodes then stop asking for an hour.
Bytes build_unknown_service(const Descriptor& target);
// The reply's content; Errc::not_found for an unknown service, Errc::unsupported for an unknown
// method, Errc::malformed, Errc::timed_out, and Errc::refused for a handler that failed.
Result<Bytes> parse_reply(ByteView reply);

// common.RpcRequest.
struct Request {
    Bytes content;
    std::int32_t timeout_ms = 0;
};
Bytes build_request(ByteView content, Duration timeout);
Result<Request> parse_request(ByteView bytes);

}  // namespace selvage::rpc
