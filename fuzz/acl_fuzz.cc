// The ACL: any configuration of rules, and any packets and moments after it, end in a verdict; the
// first and the cached verdict of a flow are the same.
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "config/load.h"
#include "dataplane/acl.h"
#include "packet/ip_headers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace selvage;
    // A zero byte ends the configuration; packets of 64 bytes follow.
    const auto text = as_text({data, size});
    const auto end = text.find('\0');
    auto options = config::parse_toml(text.substr(0, end), "fuzz.toml");
    dataplane::Acl acl(SipKey{1, 2});
    if (options) acl.apply(options->acl.duplicate());
    if (end == std::string_view::npos) return 0;
    TimePoint now = TimePoint{} + std::chrono::seconds(1000);
    for (ByteView rest = ByteView(data, size).subspan(end + 1); rest.size() >= 64;
         rest = rest.subspan(64)) {
        const auto ip = packet::parse_ip(rest.first(62));
        if (!ip) continue;
        const auto type = static_cast<dataplane::AclChainType>(1 + rest[62] % 3);
        now += std::chrono::milliseconds(std::int64_t{rest[63]} * 50);
        const auto first = acl.judge(type, *ip, 1, 1, now);
        const auto second = acl.judge(type, *ip, 1, 1, now);
        if (first.rule != second.rule || first.chain != second.chain) __builtin_trap();
        // An answer or a rate limit may change the outcome, nothing else.
        const bool plain = first.reason == second.reason;
        if (plain && first.allowed != second.allowed) __builtin_trap();
    }
    static_cast<void>(acl.rule_stats());
    static_cast<void>(acl.flow_stats(now));
    return 0;
}
