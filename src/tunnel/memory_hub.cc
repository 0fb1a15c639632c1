// Listeners in memory: a name, and a queue of stream ends.
#include "tunnel/memory_hub.h"

#include <deque>

#include "rt/event.h"
#include "rt/memory_stream.h"

namespace selvage::tunnel {
namespace {

constexpr std::size_t kBacklog = 128;

}  // namespace

class MemoryHub::Listener final : public rt::Acceptor {
public:
    Listener(MemoryHub& hub, rt::Runtime& runtime, std::string name)
        : hub_(hub), name_(std::move(name)), queue_(std::make_shared<Queue>(runtime)) {
        hub_.listeners_.emplace(name_, this);
    }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener() override { end(); }

    rt::Task<Result<rt::StreamPtr>> accept() override { return accept_from(queue_); }
    Endpoint local() const override { return {}; }
    void close() override { end(); }

    bool offer(rt::StreamPtr stream) {
        if (queue_->waiting.size() >= kBacklog) return false;
        queue_->waiting.push_back(std::move(stream));
        queue_->changed.notify();
        return true;
    }

private:
    // Shared with the accept() that waits when the listener goes.
    struct Queue {
        explicit Queue(rt::Runtime& runtime) : changed(runtime) {}
        rt::Event changed;
        std::deque<rt::StreamPtr> waiting;  // at most kBacklog
        bool closed = false;
    };

    static rt::Task<Result<rt::StreamPtr>> accept_from(std::shared_ptr<Queue> queue) {
        while (!queue->closed && queue->waiting.empty())
            co_await queue->changed.wait();
        if (queue->closed) co_return Errc::closed;
        auto stream = std::move(queue->waiting.front());
        queue->waiting.pop_front();
        co_return stream;
    }
    void end() {
        if (std::exchange(queue_->closed, true)) return;
        hub_.listeners_.erase(name_);
        queue_->waiting.clear();
        queue_->changed.notify();
    }

    MemoryHub& hub_;
    std::string name_;
    std::shared_ptr<Queue> queue_;
};

Result<rt::AcceptorPtr> MemoryHub::listen(rt::Runtime& runtime, std::string name) {
    if (listeners_.contains(name)) return Error(Errc::in_use, "mem name " + name + " is taken");
    return std::make_unique<Listener>(*this, runtime, std::move(name));
}

Result<rt::StreamPtr> MemoryHub::connect(rt::Runtime& runtime, const std::string& name) {
    const auto found = listeners_.find(name);
    if (found == listeners_.end()) return Error(Errc::refused, "nobody listens on mem " + name);
    auto [near, far] = rt::make_stream_pair(runtime);
    if (!found->second->offer(std::move(far))) {
        return Error(Errc::refused, "too many wait on mem " + name);
    }
    return std::move(near);
}

}  // namespace selvage::tunnel
