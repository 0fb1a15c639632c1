// Bytes in order, in chunks that are taken when needed and given back when empty, so that an idle
// connection holds none and a busy one up to its buffer limit.
//
// A queue is read at its front and written at its end; a receive queue is also written beyond its
// end, where data that arrived out of order waits for the gap to be filled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"

namespace selvage::netstack {

// All chunks of one stack. Bounded: when it is empty, received data is dropped unacknowledged (the
// peer sends it again) and writers wait.
class ChunkPool {
public:
    // Small enough for ten thousand slow connections, large enough that pieces are rare.
    static constexpr std::size_t kChunkBytes = 8192;
    // Kept for reuse when free; more than that goes back to the heap after a burst.
    static constexpr std::size_t kKeptChunks = 1024;

    struct Chunk {
        std::uint8_t bytes[kChunkBytes];
    };

    explicit ChunkPool(std::size_t limit_bytes) : limit_(limit_bytes / kChunkBytes) {}

    std::unique_ptr<Chunk> take();  // nullptr at the limit
    void give(std::unique_ptr<Chunk> chunk);

    std::size_t in_use() const { return in_use_; }
    std::size_t kept_bytes() const { return free_.size() * kChunkBytes; }
    std::size_t limit() const { return limit_; }
    std::uint64_t exhausted_count() const { return exhausted_; }

private:
    std::size_t limit_;
    std::size_t in_use_ = 0;
    std::uint64_t exhausted_ = 0;
    std::vector<std::unique_ptr<Chunk>> free_;
};

class ByteQueue {
public:
    explicit ByteQueue(ChunkPool& pool) : pool_(pool) {}
    ByteQueue(const ByteQueue&) = delete;
    ByteQueue& operator=(const ByteQueue&) = delete;
    ~ByteQueue() { clear(); }

    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }

    // Appends as much as chunks are to be had for, and says how much.
    std::size_t append(ByteView bytes);
    // Writes `offset` bytes behind the front, possibly beyond the end, without making the queue
    // longer. False when there was no chunk; then nothing useful was written.
    [[nodiscard]] bool write_at(std::size_t offset, ByteView bytes);
    // Makes `count` bytes that write_at() has put behind the end part of the queue.
    void extend(std::size_t count) { size_ += count; }

    // Copies bytes from `offset` behind the front. Precondition: offset + out.size() <= size().
    void copy_out(std::size_t offset, MutableByteView out) const;
    // Precondition: count <= size().
    void drop_front(std::size_t count);
    // Moves up to out.size() bytes out of the front.
    std::size_t read(MutableByteView out);
    void clear();

private:
    using ChunkPtr = std::unique_ptr<ChunkPool::Chunk>;
    ChunkPtr& chunk_at(std::size_t index) { return chunks_[first_ + index]; }
    const ChunkPtr& chunk_at(std::size_t index) const { return chunks_[first_ + index]; }
    void drop_chunk();

    ChunkPool& pool_;
    std::vector<ChunkPtr> chunks_;  // [first_, end) are live; a live one may be null: a hole
    std::size_t first_ = 0;
    std::size_t skip_ = 0;  // bytes of the first chunk that are already gone
    std::size_t size_ = 0;
    std::size_t written_ = 0;  // end of what write_at() has put, from the front; at least size_
};

}  // namespace selvage::netstack
