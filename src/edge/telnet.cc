// libtelnet's events turned into what a shell needs.
#include "edge/telnet.h"

#include <libtelnet.h>

#include <algorithm>
#include <new>

namespace selvage::edge {
namespace {

// RFC 2066.
constexpr std::uint8_t kCharset = 42;
constexpr std::uint8_t kCharsetRequest = 1;
constexpr std::uint8_t kCharsetAccepted = 2;
constexpr std::uint8_t kCharsetRejected = 3;
constexpr std::uint8_t kTranslationTable = 4;
constexpr std::uint8_t kTranslationRejected = 5;
constexpr std::string_view kOurCharset = "UTF-8";

const telnet_telopt_t kOptions[] = {
    {TELNET_TELOPT_ECHO, TELNET_WILL, TELNET_DONT},
    {TELNET_TELOPT_SGA, TELNET_WILL, TELNET_DO},
    {TELNET_TELOPT_BINARY, TELNET_WILL, TELNET_DO},
    {TELNET_TELOPT_TTYPE, TELNET_WONT, TELNET_DO},
    {TELNET_TELOPT_NAWS, TELNET_WONT, TELNET_DO},
    {kCharset, TELNET_WILL, TELNET_DO},
    {-1, 0, 0},
};

// A terminal's name or size, or a list of character sets; anything longer is not that.
constexpr std::size_t kSubnegotiationMax = 256;
constexpr std::size_t kTermMax = 32;
constexpr std::uint16_t kLargestSide = 1000;  // columns or rows; programs allocate by it

constexpr std::uint8_t kCr = '\r';
constexpr std::uint8_t kLf = '\n';
constexpr std::uint8_t kNul = 0;

bool is_wanted(std::uint8_t option) {
    return option == TELNET_TELOPT_TTYPE || option == TELNET_TELOPT_NAWS || option == kCharset;
}

// The name that we speak as the client spells it in its request; empty when it is not in there.
std::string_view our_charset_in(std::string_view request) {
    constexpr std::string_view kTable = "[TTABLE]";
    if (request.starts_with(kTable)) {  // and a version
        request.remove_prefix(std::min(request.size(), kTable.size() + 1));
    }
    if (request.empty()) return {};
    const char separator = request.front();
    request.remove_prefix(1);
    while (!request.empty()) {
        const std::string_view name = request.substr(0, request.find(separator));
        const bool ours = std::ranges::equal(name, kOurCharset, [](char a, char b) {
            return (a >= 'a' && a <= 'z' ? a - 'a' + 'A' : a) == b;
        });
        if (ours) return name;
        request.remove_prefix(std::min(request.size(), name.size() + 1));
    }
    return {};
}

}  // namespace

void SubnegotiationFilter::filter(ByteView bytes, Bytes& out) {
    for (const std::uint8_t byte : bytes) {
        switch (state_) {
            case State::data:
                if (byte == TELNET_IAC) {
                    state_ = State::iac;
                } else {
                    out.push_back(byte);
                }
                break;
            case State::iac:
                if (byte == TELNET_SB) {
                    held_ = {TELNET_IAC, TELNET_SB};
                    state_ = State::option;
                } else {
                    out.insert(out.end(), {TELNET_IAC, byte});
                    const bool verb = byte >= TELNET_WILL && byte <= TELNET_DONT;
                    state_ = verb ? State::verb : State::data;
                }
                break;
            case State::verb:  // the option that a WILL, WONT, DO or DONT speaks of
                out.push_back(byte);
                state_ = State::data;
                break;
            case State::option:
                dropping_ = !is_wanted(byte);
                held_.push_back(byte);
                state_ = State::body;
                break;
            case State::body:
            case State::body_iac:
                // Beyond its bound a subnegotiation is skipped to its end.
                if (held_.size() >= kSubnegotiationMax) dropping_ = true;
                if (!dropping_) held_.push_back(byte);
                if (state_ == State::body) {
                    if (byte == TELNET_IAC) state_ = State::body_iac;
                } else if (byte == TELNET_SE) {
                    if (dropping_) {
                        ++dropped_;
                    } else {
                        out.insert(out.end(), held_.begin(), held_.end());
                    }
                    held_.clear();
                    state_ = State::data;
                } else {
                    // IAC IAC is a byte of the body; anything else is an error that libtelnet would
                    // treat as the end, so it is not shown to it.
                    if (byte != TELNET_IAC) dropping_ = true;
                    state_ = State::body;
                }
                break;
        }
    }
}

Telnet::Telnet() : telnet_(telnet_init(kOptions, &Telnet::on_event, 0, this)) {
    if (telnet_ == nullptr) throw std::bad_alloc();
}

Telnet::~Telnet() {
    telnet_free(telnet_);
}

void Telnet::start() {
    telnet_negotiate(telnet_, TELNET_WILL, TELNET_TELOPT_ECHO);
    telnet_negotiate(telnet_, TELNET_WILL, TELNET_TELOPT_SGA);
    telnet_negotiate(telnet_, TELNET_DO, TELNET_TELOPT_TTYPE);
    telnet_negotiate(telnet_, TELNET_DO, TELNET_TELOPT_NAWS);
}

void Telnet::receive(ByteView bytes) {
    Bytes passed;
    passed.reserve(bytes.size() + kSubnegotiationMax);
    filter_.filter(bytes, passed);
    if (passed.empty()) return;
    telnet_recv(telnet_, reinterpret_cast<const char*>(passed.data()), passed.size());
}

Bytes Telnet::take_typed() {
    return std::exchange(typed_, {});
}

Bytes Telnet::take_output() {
    return std::exchange(out_, {});
}

void Telnet::show(ByteView bytes) {
    // In the network's text mode a CR that is not a line end is followed by NUL.
    Bytes mapped;
    mapped.reserve(bytes.size() + 16);
    for (const std::uint8_t byte : bytes) {
        if (!server_binary_ && shown_cr_ && byte != kLf) mapped.push_back(kNul);
        shown_cr_ = byte == kCr;
        mapped.push_back(byte);
    }
    telnet_send(telnet_, reinterpret_cast<const char*>(mapped.data()), mapped.size());
}

void Telnet::on_event(telnet_t*, telnet_event_t* event, void* self) {
    static_cast<Telnet*>(self)->on_event(*event);
}

void Telnet::on_event(const telnet_event_t& event) {
    if (failed_) return;
    const auto bytes_of = [](const char* data, std::size_t size) {
        return ByteView(reinterpret_cast<const std::uint8_t*>(data), size);
    };
    switch (event.type) {
        case TELNET_EV_DATA:
            on_typed(bytes_of(event.data.buffer, event.data.size));
            break;
        case TELNET_EV_SEND: {
            const ByteView bytes = bytes_of(event.data.buffer, event.data.size);
            out_.insert(out_.end(), bytes.begin(), bytes.end());
            break;
        }
        case TELNET_EV_IAC:
            on_command(event.iac.cmd);
            break;
        case TELNET_EV_WILL:
            on_agreed(event.neg.telopt);
            break;
        case TELNET_EV_WONT:
            if (event.neg.telopt == TELNET_TELOPT_BINARY) client_binary_ = false;
            on_refused(event.neg.telopt);
            break;
        case TELNET_EV_DO:
            if (event.neg.telopt == TELNET_TELOPT_BINARY) server_binary_ = true;
            if (event.neg.telopt == kCharset) say_charset(kCharsetRequest, ";UTF-8");
            break;
        case TELNET_EV_DONT:
            if (event.neg.telopt == TELNET_TELOPT_BINARY) server_binary_ = false;
            break;
        case TELNET_EV_SUBNEGOTIATION:
            on_subnegotiation(event.sub.telopt, bytes_of(event.sub.buffer, event.sub.size));
            break;
        case TELNET_EV_ERROR:
            failed_ = true;
            break;
        case TELNET_EV_COMPRESS:
        case TELNET_EV_ZMP:
        case TELNET_EV_TTYPE:  // read from the subnegotiation itself
        case TELNET_EV_ENVIRON:
        case TELNET_EV_MSSP:
        case TELNET_EV_WARNING:
            break;
    }
}

void Telnet::say_charset(std::uint8_t verb, std::string_view text) {
    const auto byte = static_cast<char>(verb);
    telnet_begin_sb(telnet_, kCharset);
    telnet_send(telnet_, &byte, 1);
    telnet_send(telnet_, text.data(), text.size());
    telnet_finish_sb(telnet_);
}

void Telnet::on_charset(ByteView body) {
    Reader in(body);
    std::uint8_t verb = 0;
    if (!in.read(verb)) return;
    if (verb == kTranslationTable) say_charset(kTranslationRejected, "");
    if (verb != kCharsetRequest) return;
    const std::string_view name = our_charset_in(as_text(in.rest()));
    say_charset(name.empty() ? kCharsetRejected : kCharsetAccepted, name);
}

void Telnet::on_agreed(std::uint8_t option) {
    if (option == TELNET_TELOPT_BINARY) client_binary_ = true;
    if (option == TELNET_TELOPT_TTYPE) telnet_ttype_send(telnet_);
    // The size follows by itself.
}

void Telnet::on_refused(std::uint8_t option) {
    if (option == TELNET_TELOPT_TTYPE) type_settled_ = true;
    if (option == TELNET_TELOPT_NAWS) size_settled_ = true;
}

void Telnet::on_typed(ByteView bytes) {
    for (const std::uint8_t byte : bytes) {
        const bool line_end = after_cr_ && (byte == kLf || byte == kNul);
        after_cr_ = byte == kCr && !client_binary_;
        if (!line_end) typed_.push_back(byte);
    }
}

void Telnet::on_command(std::uint8_t command) {
    switch (command) {
        case TELNET_BREAK:
        case TELNET_IP:
            interrupt_ = true;
            break;
        case TELNET_EC:
            typed_.push_back(0x7f);
            break;  // erase character
        case TELNET_EL:
            typed_.push_back(0x15);
            break;  // erase line
        case TELNET_EOF:
            typed_.push_back(0x04);
            break;
        case TELNET_SUSP:
            typed_.push_back(0x1a);
            break;
        case TELNET_AYT:
            show("[yes]\r\n");
            break;
        default:
            break;  // NOP, DM, GA, AO, ABORT: nothing to do
    }
}

void Telnet::on_subnegotiation(std::uint8_t option, ByteView body) {
    Reader in(body);
    if (option == TELNET_TELOPT_NAWS) {
        be16 columns;
        be16 rows;
        if (!in.read(columns) || !in.read(rows) || in.left() != 0) return;
        size_settled_ = true;
        TerminalSize size;  // 0 means that the client does not know
        if (columns != 0) size.columns = std::min<std::uint16_t>(columns, kLargestSide);
        if (rows != 0) size.rows = std::min<std::uint16_t>(rows, kLargestSide);
        resize_ = size;
    } else if (option == TELNET_TELOPT_TTYPE) {
        std::uint8_t verb = 0;
        if (!in.read(verb) || verb != TELNET_TTYPE_IS) return;
        type_settled_ = true;
        term_ = sanitise_term(as_text(in.rest()));
    } else if (option == kCharset) {
        on_charset(body);
    }
}

std::string sanitise_term(std::string_view name) {
    std::string out;
    for (char c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        const bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        const bool inner = c == '-' || c == '+' || c == '.' || c == '_';
        // The first character is a letter or digit: no option, no hidden file, no path.
        if (!word && !(inner && !out.empty())) return "dumb";
        out.push_back(c);
    }
    return out.empty() || out.size() > kTermMax ? "dumb" : out;
}

}  // namespace selvage::edge
