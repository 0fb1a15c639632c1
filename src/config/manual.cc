// Rows of the table as roff.
#include "config/manual.h"

#include "config/key_table.h"

namespace selvage::config {
namespace {

// Text that roff leaves alone.
std::string roff(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\') {
            out += "\\e";
        } else if (c == '-') {
            out += "\\-";
        } else if (out.empty() && (c == '.' || c == '\'')) {
            out += "\\&";
            out += c;
        } else {
            out += c;
        }
    }
    return out;
}

constexpr std::string_view kHead =
    R"(.\" Made from the table of keys by `selvage config keys --man`.
.TH SELVAGE.TOML 5 "" "Selvage" "File formats"
.ad l
.SH NAME
selvage.toml \- configuration of a Selvage node
.SH DESCRIPTION
TOML with EasyTier's keys under their names and with their meaning, and some of our own. A key that is not
known, or asks for what is not supported, is a mistake that is told with its place; see
.BR "selvaged \-\-check\-config" .
A dot stands for a table:
.B flags.mtu
is
.B mtu
in
.BR [flags] ;
.B service.*.port
is that of every service.
.SH KEYS
)";

constexpr std::string_view kTail = R"(.SH SEE ALSO
.BR selvaged (8),
.BR selvage (1)
)";

}  // namespace

std::string build_key_manual() {
    std::string out(kHead);
    for (const KeySpec& spec : key_table()) {
        out += fmt::format(".TP\n.B {}\n{}\n.br\n", roff(spec.key), roff(spec.meaning));
        out += fmt::format(
            "Value: {}. Without it: {}. {}\n.br\nExample: {} = {}\n", roff(spec.value),
            roff(spec.fallback),
            spec.on_reload == OnReload::applied ? "A reload applies it." : "Needs a restart.",
            roff(spec.key), roff(spec.example)
        );
    }
    return out + std::string(kTail);
}

}  // namespace selvage::config
