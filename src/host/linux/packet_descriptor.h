// PacketDescriptor: what a UDP socket and a TUN device wait with, until packets can be read or
// written; see read_moderation.h for the reads that wait a little longer.
//
// Callbacks run on the loop, once; those that still wait at close() are dropped. The owner is kept
// alive by its callbacks.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>

#include "host/linux/os.h"
#include "host/linux/read_moderation.h"
#include "rt/runtime.h"

namespace selvage::host {

class PacketDescriptor {
public:
    explicit PacketDescriptor(rt::Runtime& runtime)
        : runtime_(runtime), watched_(runtime.executor()), timer_(runtime.timers()) {}
    PacketDescriptor(const PacketDescriptor&) = delete;
    PacketDescriptor& operator=(const PacketDescriptor&) = delete;
    ~PacketDescriptor() { close(); }

    void adopt(Fd fd) { fd_ = std::move(fd); }
    int get() const { return fd_.get(); }

    template <class F>
    void wait_readable(F callback) {
        wait(boost::asio::posix::descriptor_base::wait_read, std::move(callback));
    }
    template <class F>
    void wait_writable(F callback) {
        ++writers_;
        const auto count_down = [this, callback = std::move(callback)]() mutable {
            --writers_;
            callback();
        };
        wait(boost::asio::posix::descriptor_base::wait_write, count_down);
    }
    // After a read that took all there was, in `packets`.
    template <class F>
    void wait_for_more(std::size_t packets, F callback) {
        const Duration hold = moderation_.after_read(runtime_.now(), packets);
        if (hold == Duration{0}) {
            wait_readable(std::move(callback));
            return;
        }
        // The loop would wake for every packet, wanted or not.
        if (writers_ == 0) unwatch();
        wait_for(hold, std::move(callback));
    }
    template <class F>
    void wait_for(Duration time, F callback) {
        timer_.set(runtime_.now() + time, std::move(callback));
    }

    void close() {
        timer_.cancel();
        unwatch();
        fd_.reset();
    }

private:
    template <class F>
    void wait(boost::asio::posix::descriptor_base::wait_type what, F callback) {
        if (!watched_.is_open()) watched_.assign(fd_.get());
        watched_.async_wait(
            what,
            [callback = std::move(callback)](boost::system::error_code error) mutable {
                if (!error) callback();
            }
        );
    }
    void unwatch() {
        if (watched_.is_open()) watched_.release();
    }

    rt::Runtime& runtime_;
    Fd fd_;
    boost::asio::posix::stream_descriptor watched_;  // not its owner
    rt::Timer timer_;
    ReadModeration moderation_;
    int writers_ = 0;
};

}  // namespace selvage::host
