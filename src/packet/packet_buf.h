// Packet buffers: one packet in a pooled block, move-only, with room in front and behind.
//
//   block:  | kHeadroom | packet bytes ... | kTailroom |
//                  ^                        ^
//   headers are pushed in front             tags are appended behind
//
// The pool belongs to one loop and is bounded; a block returns to it when its PacketBuf goes.
// Blocks are taken from the heap the first time they are needed and kept, so that an idle node
// stays small and a busy one does not allocate.
#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/ip.h"
#include "base/time.h"

namespace selvage::packet {

// Largest tunnel header (20), peer header (16) and one relay wrapping (16 + 10 + network name).
constexpr std::size_t kHeadroom = 128;
// Compressor tail (1) and AEAD tag and nonce (28), rounded up.
constexpr std::size_t kTailroom = 32;
// Enough for the largest peer packet of the tcp transport without using headroom or tailroom.
constexpr std::size_t kBlockBytes = kHeadroom + 2000 + kTailroom;

enum class IpProtocol : std::uint8_t { icmp = 1, tcp = 6, udp = 17, icmpv6 = 58 };

// What was learnt by parsing once. `ip` is empty until parse_ip() filled it.
struct IpMeta {
    IpAddress source;
    IpAddress destination;
    std::uint8_t protocol = 0;  // of the transport header, after extension headers
    std::uint8_t tcp_flags = 0;
    std::uint8_t ecn = 0;      // the two bits of RFC 3168
    bool is_fragment = false;  // any fragment, the first included
    bool is_later_fragment = false;
    std::uint32_t fragment_id = 0;  // of fragments: what the pieces of one packet have in common
    bool has_ports = false;         // TCP or UDP with its first 4 bytes here
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint16_t transport_offset = 0;  // from the start of the IP header
    std::uint16_t total_length = 0;      // as the IP header says; the buffer has at least that much
};

struct PacketMeta {
    PeerId from_peer;  // the neighbour's id on receipt, then the authenticated origin
    ConnId conn;       // the connection that it came in on; none for local packets
    std::optional<IpMeta> ip;
};

class PacketPool;

class PacketBuf {
public:
    PacketBuf() = default;  // empty handle: operator bool is false
    PacketBuf(PacketBuf&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    PacketBuf& operator=(PacketBuf&& other) noexcept {
        if (this != &other) {
            release();
            block_ = std::exchange(other.block_, nullptr);
        }
        return *this;
    }
    PacketBuf(const PacketBuf&) = delete;
    PacketBuf& operator=(const PacketBuf&) = delete;
    ~PacketBuf() { release(); }

    explicit operator bool() const { return block_ != nullptr; }

    std::uint8_t* data() { return block_->bytes + block_->begin; }
    const std::uint8_t* data() const { return block_->bytes + block_->begin; }
    std::size_t size() const { return block_->end - block_->begin; }
    MutableByteView bytes() { return {data(), size()}; }
    ByteView bytes() const { return {data(), size()}; }
    std::size_t headroom() const { return block_->begin; }
    std::size_t tailroom() const { return kBlockBytes - block_->end; }
    PacketMeta& meta() { return block_->meta; }
    const PacketMeta& meta() const { return block_->meta; }

    // Grows the packet at its front. Precondition: headroom() >= count.
    std::uint8_t* push_front(std::size_t count) {
        assert(headroom() >= count);
        block_->begin = static_cast<std::uint16_t>(block_->begin - count);
        return data();
    }
    template <WireStruct T>
    T* push_front() {
        return new (push_front(sizeof(T))) T;
    }
    // Shrinks the packet at its front. Precondition: size() >= count.
    void pop_front(std::size_t count) {
        assert(size() >= count);
        block_->begin = static_cast<std::uint16_t>(block_->begin + count);
    }
    // The first bytes as a header, or nullptr when the packet is too short.
    template <WireStruct T>
    T* header() {
        return size() < sizeof(T) ? nullptr : reinterpret_cast<T*>(data());
    }
    template <WireStruct T>
    const T* header() const {
        return size() < sizeof(T) ? nullptr : reinterpret_cast<const T*>(data());
    }
    // Grows the packet at its end. Precondition: tailroom() >= count.
    std::uint8_t* push_back(std::size_t count) {
        assert(tailroom() >= count);
        auto* at = block_->bytes + block_->end;
        block_->end = static_cast<std::uint16_t>(block_->end + count);
        return at;
    }
    // Cuts the packet at its end. Precondition: size() >= new_size.
    void truncate(std::size_t new_size) {
        assert(size() >= new_size);
        block_->end = static_cast<std::uint16_t>(block_->begin + new_size);
    }
    // Makes the packet empty with `headroom` bytes in front. The meta data is kept.
    void reset(std::size_t headroom = kHeadroom) {
        assert(headroom <= kBlockBytes);
        block_->begin = block_->end = static_cast<std::uint16_t>(headroom);
    }
    // Appends a copy of `bytes`; false when they do not fit.
    [[nodiscard]] bool append(ByteView bytes) {
        if (tailroom() < bytes.size()) return false;
        if (!bytes.empty()) std::memcpy(push_back(bytes.size()), bytes.data(), bytes.size());
        return true;
    }
    // A second packet with the same bytes, offsets and meta data; empty when the pool is.
    PacketBuf clone() const;

private:
    friend class PacketPool;
    struct Block {
        PacketPool* pool = nullptr;
        std::uint16_t begin = 0;
        std::uint16_t end = 0;
        PacketMeta meta;
        std::uint8_t bytes[kBlockBytes];
    };
    explicit PacketBuf(Block* block) : block_(block) {}
    void release() noexcept;

    Block* block_ = nullptr;
};

class PacketPool {
public:
    // Bounds what all queues of one loop hold together; beyond it the entrances stop reading.
    static constexpr std::size_t kDefaultBlocks = 4096;

    explicit PacketPool(std::size_t limit = kDefaultBlocks) : limit_(limit) {}
    PacketPool(const PacketPool&) = delete;
    PacketPool& operator=(const PacketPool&) = delete;
    ~PacketPool();  // Precondition: every block is back

    // An empty packet with kHeadroom in front; an empty handle when the pool is exhausted.
    PacketBuf take();
    // A packet that holds a copy of `bytes`; empty when exhausted or too large.
    PacketBuf copy(ByteView bytes);

    std::size_t in_use() const { return made_.size() - free_.size(); }
    std::size_t available() const { return limit_ - in_use(); }
    std::size_t limit() const { return limit_; }
    std::uint64_t exhausted_count() const { return exhausted_; }

private:
    friend class PacketBuf;
    std::size_t limit_;
    std::uint64_t exhausted_ = 0;
    std::vector<std::unique_ptr<PacketBuf::Block>> made_;
    std::vector<PacketBuf::Block*> free_;
};

// Up to kCapacity packets that travel together, one `now` for all.
class PacketBatch {
public:
    static constexpr std::size_t kCapacity = 64;

    PacketBatch() = default;
    explicit PacketBatch(TimePoint now) : now_(now) {}
    PacketBatch(PacketBatch&& other) noexcept { take(other); }
    PacketBatch& operator=(PacketBatch&& other) noexcept {
        if (this != &other) {
            clear();
            take(other);
        }
        return *this;
    }
    PacketBatch(const PacketBatch&) = delete;
    PacketBatch& operator=(const PacketBatch&) = delete;
    ~PacketBatch() = default;

    TimePoint now() const { return now_; }
    void set_now(TimePoint now) { now_ = now; }
    bool empty() const { return size_ == 0; }
    bool full() const { return size_ == kCapacity; }
    std::size_t size() const { return size_; }
    // Precondition: not full().
    void push(PacketBuf&& packet) {
        assert(!full());
        packets_[size_++] = std::move(packet);
    }
    void clear() {
        for (std::size_t i = 0; i < size_; ++i)
            packets_[i] = PacketBuf();
        size_ = 0;
    }
    PacketBuf& operator[](std::size_t i) { return packets_[i]; }
    const PacketBuf& operator[](std::size_t i) const { return packets_[i]; }
    // Packets that were moved out stay as empty handles until the batch goes.
    PacketBuf* begin() { return packets_.data(); }
    PacketBuf* end() { return packets_.data() + size_; }

private:
    void take(PacketBatch& other) {
        now_ = other.now_;
        size_ = std::exchange(other.size_, 0);
        for (std::size_t i = 0; i < size_; ++i)
            packets_[i] = std::move(other.packets_[i]);
    }

    TimePoint now_{};
    std::size_t size_ = 0;
    std::array<PacketBuf, kCapacity> packets_;  // in place: a batch costs no allocation
};

}  // namespace selvage::packet
