// The world around a service, for tests: ports, callers, a network to dial into, terminals.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "edge/fake_commands.h"
#include "edge/node_view.h"
#include "edge/service.h"
#include "edge/service_host.h"
#include "edge/terminal.h"
#include "rt/event.h"
#include "rt/memory_stream.h"
#include "rt/scope.h"
#include "rt/virtual_runtime.h"

namespace selvage::edge {

using rt::Task;

inline const IpAddress kNodeAddress = IpAddress::v4(10, 144, 1, 1);
inline const IpAddress kLaptopAddress = IpAddress::v4(10, 144, 1, 7);

// One end of a stream with a reader that collects what comes.
class TestClient {
public:
    TestClient(rt::VirtualRuntime& runtime, rt::StreamPtr stream)
        : runtime_(runtime), stream_(std::move(stream)), scope_(runtime, Log()) {
        scope_.spawn("read", collect());
    }
    ~TestClient() {
        scope_.start_closing();
        runtime_.run_ready();
    }
    TestClient(const TestClient&) = delete;
    TestClient& operator=(const TestClient&) = delete;

    // Sends and lets everything happen that follows at once.
    void send(std::string_view bytes) {
        runtime_.run(write(std::string(bytes)));
        runtime_.run_ready();
    }
    // Sends as fast as the other side reads; `done` when all is written.
    void send_later(std::string bytes, bool& done) {
        scope_.spawn("write", write_and_tell(std::move(bytes), done));
    }
    void finish() {
        static_cast<void>(stream_->shutdown_write());
        runtime_.run_ready();
    }
    void vanish() {
        stream_->reset();
        runtime_.run_ready();
    }
    // What came since the last call.
    std::string received() {
        runtime_.run_ready();
        return std::exchange(received_, {});
    }
    std::string received_hex() {
        const std::string got = received();
        return to_hex(as_view(got));
    }
    bool ended() {  // the other side finished sending, or is gone
        runtime_.run_ready();
        return ended_;
    }
    void stop_reading() {
        scope_.cancel();
        runtime_.run_ready();
    }

private:
    Task<> collect() {
        Bytes buffer(64 * 1024);
        for (;;) {
            auto got = co_await stream_->read_some(buffer);
            if (!got || *got == 0) break;
            received_.append(as_text(ByteView(buffer).first(*got)));
        }
        ended_ = true;
    }
    Task<> write(std::string bytes) {
        static_cast<void>(co_await stream_->write_all(as_view(bytes)));
    }

    Task<> write_and_tell(std::string bytes, bool& done) {
        co_await write(std::move(bytes));
        done = true;
    }

    rt::VirtualRuntime& runtime_;
    rt::StreamPtr stream_;
    std::string received_;
    bool ended_ = false;
    rt::TaskScope scope_;
};
using ClientPtr = std::unique_ptr<TestClient>;

class FakeAcceptor final : public rt::Acceptor {
public:
    // What the acceptor and the one who feeds it share.
    struct Queue {
        explicit Queue(rt::Runtime& runtime) : changed(runtime) {}
        std::deque<rt::StreamPtr> streams;
        bool closed = false;
        rt::Event changed;
    };

    FakeAcceptor(std::shared_ptr<Queue> queue, Endpoint local)
        : queue_(std::move(queue)), local_(local) {}
    ~FakeAcceptor() override { close(); }
    Task<Result<rt::StreamPtr>> accept() override {
        const auto queue = queue_;
        while (queue->streams.empty() && !queue->closed)
            co_await queue->changed.wait();
        if (queue->closed) co_return Errc::closed;
        auto stream = std::move(queue->streams.front());
        queue->streams.pop_front();
        co_return stream;
    }
    Endpoint local() const override { return local_; }
    void close() override {
        queue_->closed = true;
        queue_->streams.clear();
        queue_->changed.notify();
    }

private:
    std::shared_ptr<Queue> queue_;
    Endpoint local_;
};

// A network of datagrams between the sockets opened on it.
class FakeDatagramNet {
public:
    explicit FakeDatagramNet(rt::VirtualRuntime& runtime) : runtime_(runtime) {}

    // Port 0 chooses one.
    Result<DatagramSocketPtr> open(Endpoint at) {
        if (at.port == 0) at.port = next_port_++;
        if (boxes_.contains(at)) return Errc::in_use;
        boxes_[at] = std::make_shared<Box>(runtime_);
        return DatagramSocketPtr(std::make_unique<Socket>(*this, at, boxes_[at]));
    }

private:
    struct Box {
        explicit Box(rt::Runtime& runtime) : changed(runtime) {}
        std::deque<std::pair<Endpoint, Bytes>> waiting;
        bool closed = false;
        rt::Event changed;
    };
    class Socket final : public DatagramSocket {
    public:
        Socket(FakeDatagramNet& net, Endpoint at, std::shared_ptr<Box> box)
            : net_(net), at_(at), box_(std::move(box)) {}
        ~Socket() override { close(); }
        Task<Result<Received>> receive(MutableByteView buffer) override {
            const auto box = box_;
            while (box->waiting.empty() && !box->closed)
                co_await box->changed.wait();
            if (box->closed) co_return Errc::closed;
            const auto [from, payload] = box->waiting.front();
            box->waiting.pop_front();
            const std::size_t size = std::min(buffer.size(), payload.size());
            std::copy_n(payload.begin(), size, buffer.begin());
            co_return Received{.from = from, .size = size};
        }
        Task<Result<>> send(Endpoint to, ByteView bytes) override {
            const auto found = net_.boxes_.find(to);
            if (found == net_.boxes_.end()) co_return Result<>{};
            found->second->waiting.emplace_back(at_, Bytes(bytes.begin(), bytes.end()));
            found->second->changed.notify();
            co_return Result<>{};
        }
        Endpoint local() const override { return at_; }
        void close() override {
            if (std::exchange(box_->closed, true)) return;
            box_->changed.notify();
            net_.boxes_.erase(at_);
        }

    private:
        FakeDatagramNet& net_;
        Endpoint at_;
        std::shared_ptr<Box> box_;
    };
    rt::VirtualRuntime& runtime_;
    std::uint16_t next_port_ = 61'000;
    std::map<Endpoint, std::shared_ptr<Box>> boxes_;
};

// A program with a datagram socket on it.
class DatagramClient {
public:
    DatagramClient(rt::VirtualRuntime& runtime, FakeDatagramNet& net, Endpoint at)
        : runtime_(runtime), socket_(std::move(net.open(at).value())), scope_(runtime, Log()) {
        scope_.spawn("read", collect());
    }
    ~DatagramClient() {
        scope_.start_closing();
        runtime_.run_ready();
    }
    DatagramClient(const DatagramClient&) = delete;
    DatagramClient& operator=(const DatagramClient&) = delete;
    void send(Endpoint to, std::string_view bytes) {
        static_cast<void>(runtime_.run(socket_->send(to, as_view(bytes))));
        runtime_.run_ready();
    }
    // (from, bytes) of what came since the last call.
    std::vector<std::pair<Endpoint, std::string>> received() {
        runtime_.run_ready();
        return std::exchange(received_, {});
    }

private:
    Task<> collect() {
        Bytes buffer(65'536);
        for (;;) {
            auto got = co_await socket_->receive(buffer);
            if (!got) co_return;
            received_.emplace_back(got->from, as_text(ByteView(buffer).first(got->size)));
        }
    }
    rt::VirtualRuntime& runtime_;
    DatagramSocketPtr socket_;
    std::vector<std::pair<Endpoint, std::string>> received_;
    rt::TaskScope scope_;
};

// Ports of the virtual address and sockets of the host.
class FakePorts final : public PortPublisher, public HostListener {
public:
    explicit FakePorts(rt::VirtualRuntime& runtime) : net(runtime), runtime_(runtime) {}

    Result<rt::AcceptorPtr> publish(PortRequest request) override {
        if (!request.shadow_host && host_listens(request.port)) {
            return Error(Errc::in_use, "a program of the host listens there");
        }
        return listen({kNodeAddress, request.port});
    }
    Result<DatagramSocketPtr> publish_datagrams(PortRequest request) override {
        return net.open({kNodeAddress, request.port});
    }
    bool host_listens(std::uint16_t port) const override { return host_programs.contains(port); }
    Result<DatagramSocketPtr> listen_datagrams(Endpoint at) override { return net.open(at); }
    Result<rt::AcceptorPtr> listen(Endpoint at) override {
        if (at.port == 0) at.port = next_port_++;
        if (is_open(at)) return Errc::in_use;
        auto queue = std::make_shared<FakeAcceptor::Queue>(runtime_);
        open_[at] = queue;
        return rt::AcceptorPtr(std::make_unique<FakeAcceptor>(queue, at));
    }
    bool is_open(const Endpoint& at) const {
        const auto found = open_.find(at);
        return found != open_.end() && !found->second->closed;
    }
    // Null when nobody listens there.
    rt::StreamPtr dial(const Endpoint& from, const Endpoint& to, std::size_t capacity = 64 * 1024) {
        if (!is_open(to)) return nullptr;
        auto [ours, theirs] =
            rt::make_stream_pair(runtime_, {.capacity = capacity, .first = from, .second = to});
        open_[to]->streams.push_back(std::move(theirs));
        open_[to]->changed.notify();
        return std::move(ours);
    }
    ClientPtr connect(const Endpoint& from, const Endpoint& to, std::size_t capacity = 64 * 1024) {
        auto stream = dial(from, to, capacity);
        if (!stream) return nullptr;
        auto client = std::make_unique<TestClient>(runtime_, std::move(stream));
        runtime_.run_ready();
        return client;
    }
    ClientPtr connect(std::uint16_t port, IpAddress from = kLaptopAddress) {
        return connect({from, next_port_++}, {kNodeAddress, port});
    }

    FakeDatagramNet net;
    std::set<std::uint16_t> host_programs;  // ports of the address at which the host serves

private:
    rt::VirtualRuntime& runtime_;
    std::uint16_t next_port_ = 50'000;
    std::map<Endpoint, std::shared_ptr<FakeAcceptor::Queue>> open_;
};

class FakeNode final : public NodeView {
public:
    FakeNode() {
        add(kLaptopAddress, 7, "Laptop");
        add(IpAddress::v4(10, 144, 1, 8), 8, "phone");
    }
    void add(IpAddress address, std::uint32_t peer, std::string name) {
        members[address] = {
            .peer = PeerId(peer),
            .host_name = std::move(name),
            .instance = {},
            .network = "home",
            .virtual_address = address,
            .auth = AuthLevel::network_secret,
            .path = PathKind::direct
        };
    }
    std::optional<MemberInfo> who_is(const Endpoint& remote, const Endpoint&) const override {
        const auto found = members.find(remote.address);
        if (found == members.end()) return std::nullopt;
        return found->second;
    }
    std::optional<MemberInfo> member_at(const IpAddress& address) const override {
        return who_is({address, 0}, {});
    }
    std::vector<IpAddress> own_addresses() const override {
        return {kNodeAddress, IpAddress::v4(192, 168, 1, 5)};
    }
    std::vector<Endpoint> own_listeners() const override { return listeners; }
    bool in_mesh(const IpAddress& address) const override {
        return Prefix{IpAddress::v4(10, 144, 1, 0), 24}.contains(address);
    }

    std::map<IpAddress, MemberInfo> members;
    std::vector<Endpoint> listeners;
};

// A network of places that can be dialled; what is not there is unreachable.
class FakeDialer final : public Dialer {
public:
    FakeDialer(rt::VirtualRuntime& runtime, FakeDatagramNet& net) : runtime_(runtime), net_(net) {}

    Task<Result<rt::StreamPtr>> dial_mesh(Endpoint to) override { return dial("mesh", to); }
    Task<Result<rt::StreamPtr>> dial_host(Endpoint to) override { return dial("host", to); }
    Result<DatagramSocketPtr> open_mesh_datagrams() override {
        return net_.open({kNodeAddress, 0});
    }
    Result<DatagramSocketPtr> open_host_datagrams(const IpAddress&) override {
        return net_.open({IpAddress::v4(192, 168, 1, 5), 0});
    }
    Task<Result<std::vector<IpAddress>>> resolve(std::string name) override {
        log.push_back("resolve " + name);
        if (slow_names.contains(name)) co_await rt::sleep_for(runtime_, slow_names[name]);
        auto& answers = names[name];
        if (answers.empty()) co_return Errc::not_found;
        auto answer = answers.front();
        if (answers.size() > 1) answers.pop_front();  // the next look-up may say something else
        co_return answer;
    }

    std::map<std::string, std::deque<std::vector<IpAddress>>> names;
    std::map<std::string, Duration> slow_names;
    std::map<Endpoint, Error> failing;
    std::map<Endpoint, Duration> slow;
    std::map<Endpoint, bool> listening;
    std::map<Endpoint, ClientPtr> reached;  // the far ends of what was dialled
    std::vector<std::string> log;           // "mesh 10.144.1.9:80"

private:
    Task<Result<rt::StreamPtr>> dial(std::string how, Endpoint to) {
        log.push_back(how + " " + to.to_string());
        if (slow.contains(to)) co_await rt::sleep_for(runtime_, slow[to]);
        if (const auto found = failing.find(to); found != failing.end()) co_return found->second;
        if (!listening.contains(to)) co_return Errc::unreachable;
        auto [near, far] = rt::make_stream_pair(
            runtime_, {.first = {IpAddress::v4(192, 168, 1, 5), 40'000}, .second = to}
        );
        reached[to] = std::make_unique<TestClient>(runtime_, std::move(far));
        co_return std::move(near);
    }
    rt::VirtualRuntime& runtime_;
    FakeDatagramNet& net_;
};

// A terminal whose program is the test.
class FakeTerminals final : public TerminalSpawner {
public:
    explicit FakeTerminals(rt::VirtualRuntime& runtime) : runtime_(runtime) {}

    Task<Result<std::unique_ptr<Terminal>>> open(TerminalRequest request) override {
        requests.push_back(std::move(request));
        if (failure) co_return *failure;
        auto [shell, service] = rt::make_stream_pair(runtime_);
        program = std::make_unique<TestClient>(runtime_, std::move(shell));
        co_return std::make_unique<Running>(*this, std::move(service));
    }

    std::vector<TerminalRequest> requests;
    std::vector<TerminalSize> resizes;
    int interrupts = 0;
    int live = 0;
    ClientPtr program;  // the side of the program that runs in the terminal
    std::optional<Error> failure;

private:
    class Running final : public Terminal {
    public:
        Running(FakeTerminals& owner, rt::StreamPtr stream)
            : owner_(owner), stream_(std::move(stream)) {
            ++owner_.live;
        }
        ~Running() override { --owner_.live; }
        rt::Stream& stream() override { return *stream_; }
        void resize(TerminalSize size) override { owner_.resizes.push_back(size); }
        void interrupt() override { ++owner_.interrupts; }
        Task<int> wait() override { co_return 0; }

    private:
        FakeTerminals& owner_;
        rt::StreamPtr stream_;
    };
    rt::VirtualRuntime& runtime_;
};

// Recordings kept in memory.
class FakeRecordings final : public RecordingStore {
public:
    Task<Result<OpenedRecording>> create(std::string folder, std::string name) override {
        if (failure) co_return *failure;
        auto& text = files[folder + "/" + name];
        text = std::make_shared<std::string>();
        co_return OpenedRecording{.file = std::make_unique<File>(*this, text), .used = used};
    }
    std::map<std::string, std::shared_ptr<std::string>> files;
    std::uint64_t used = 0;
    bool disk_full = false;
    std::optional<Error> failure;

private:
    class File final : public RecordingFile {
    public:
        File(FakeRecordings& owner, std::shared_ptr<std::string> text)
            : owner_(owner), text_(std::move(text)) {}
        void append(std::string text) override { *text_ += text; }
        Task<> room() override { co_return; }
        bool failed() const override { return owner_.disk_full; }

    private:
        FakeRecordings& owner_;
        std::shared_ptr<std::string> text_;
    };
};

// Keeps what was logged at info and above.
class CollectingSink final : public LogSink {
public:
    bool enabled(LogLevel level, std::string_view) const override {
        return level >= LogLevel::info;
    }
    void write(LogLevel, std::string_view prefix, std::string_view line) override {
        lines.push_back(std::string(prefix) + ": " + std::string(line));
    }
    std::size_t count(std::string_view part) const {
        std::size_t found = 0;
        for (const auto& line : lines)
            if (line.find(part) != std::string::npos) ++found;
        return found;
    }
    std::vector<std::string> lines;
};

// Options as a configuration file would give them.
class OptionsBuilder {
public:
    explicit OptionsBuilder(std::string_view service) : spec_(find_service(service)) {
        set("enabled", true);
        set_list("allow", {"any-member"});
    }
    OptionsBuilder& set(std::string_view key, OptionValue::Data value) {
        table_.set(key, OptionValue(std::move(value), {}));
        return *this;
    }
    OptionsBuilder& set_list(std::string_view key, std::initializer_list<std::string_view> texts) {
        OptionList list;
        for (const auto text : texts)
            list.emplace_back(OptionValue(std::string(text), {}));
        return set(key, std::move(list));
    }
    OptionsBuilder& user(std::string_view name, std::string hash) {
        table_.table("users").set(name, OptionValue(std::move(hash), {}));
        return *this;
    }
    OptionTable& table() { return table_; }
    ServiceOptions build() {
        problems.clear();
        return read_service_options(*spec_, table_, {}, problems);
    }
    std::vector<OptionProblem> problems;

private:
    const ServiceSpec* spec_;
    OptionTable table_;
};

// A service host with one service and everything around it.
class ServiceWorld {
public:
    explicit ServiceWorld(ServiceOptions options)
        : sink(std::make_shared<CollectingSink>()),
          ports(runtime),
          dialer(runtime, ports.net),
          terminals(runtime),
          commands(runtime),
          port(options.port) {
        std::vector<ServiceOptions> all;
        all.push_back(std::move(options));
        host = std::make_unique<ServiceHost>(
            ServiceHost::Parts{
                .runtime = runtime,
                .log = Log(sink),
                .node = node,
                .dialer = dialer,
                .ports = ports,
                .host_listener = &ports,
                .terminals = &terminals,
                .recordings = &recordings,
                .commands = &commands,
            },
            std::move(all)
        );
    }
    ~ServiceWorld() {
        runtime.run(host->stop());
        host.reset();
    }
    ServiceInfo info() const { return host->services().at(0); }

    rt::VirtualRuntime runtime;
    std::shared_ptr<CollectingSink> sink;
    FakePorts ports;
    FakeNode node;
    FakeDialer dialer;
    FakeTerminals terminals;
    FakeRecordings recordings;
    FakeCommands commands;
    std::uint16_t port = 0;
    std::unique_ptr<ServiceHost> host;
};

// The hash of "secret"; SHA-512 with few rounds, so that tests are quick.
inline const char* const kSecretHash =
    "$6$rounds=1000$saltsaltsalt$eX3bxJXT3.ujpABOqZ7ph4r9D9Fn0.qo"
    "DqJgZU6cTq8xPfk2.Fmq2bf1GgjAlb6X1QXE7sMOtwZRTxjI1OZvT1";

}  // namespace selvage::edge
