// Names and sentences of our error codes.
#include "base/error.h"

namespace selvage {
namespace {

class Category final : public std::error_category {
public:
    const char* name() const noexcept override { return "selvage"; }
    std::string message(int value) const override {
        switch (static_cast<Errc>(value)) {
            case Errc::truncated:
                return "truncated";
            case Errc::malformed:
                return "malformed";
            case Errc::bad_length:
                return "a length does not fit";
            case Errc::unsupported:
                return "not supported";
            case Errc::incompatible:
                return "incompatible";
            case Errc::refused:
                return "connection refused";
            case Errc::closed:
                return "connection closed";
            case Errc::reset:
                return "connection reset";
            case Errc::timed_out:
                return "timed out";
            case Errc::unreachable:
                return "unreachable";
            case Errc::in_use:
                return "already in use";
            case Errc::denied:
                return "not allowed";
            case Errc::limit:
                return "limit reached";
            case Errc::not_found:
                return "not found";
            case Errc::exists:
                return "already exists";
            case Errc::cancelled:
                return "cancelled";
            case Errc::bad_argument:
                return "bad argument";
            case Errc::internal:
                return "internal error";
        }
        return "unknown error";
    }
};

}  // namespace

const std::error_category& selvage_category() noexcept {
    static const Category category;
    return category;
}

std::error_code make_error_code(Errc code) noexcept {
    return {static_cast<int>(code), selvage_category()};
}

std::string Error::message() const {
    return text_.empty() ? code_.message() : text_;
}

Error Error::with(std::string_view context) const& {
    return {code_, std::string(context) + ": " + message()};
}

Error Error::with(std::string_view context) && {
    return static_cast<const Error&>(*this).with(context);
}

}  // namespace selvage
