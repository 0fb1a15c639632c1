// Chunk bookkeeping of ByteQueue.
#include "netstack/core/byte_queue.h"

#include <algorithm>
#include <cassert>

namespace selvage::netstack {

namespace {
constexpr std::size_t kChunk = ChunkPool::kChunkBytes;
// Places for chunks that an empty queue keeps; more go back to the heap, so that a connection that
// was busy once costs little when it is idle.
constexpr std::size_t kKeptPlaces = 16;
}  // namespace

std::unique_ptr<ChunkPool::Chunk> ChunkPool::take() {
    if (in_use_ >= limit_) {
        ++exhausted_;
        return nullptr;
    }
    ++in_use_;
    if (free_.empty()) return std::make_unique_for_overwrite<Chunk>();
    std::unique_ptr<Chunk> chunk = std::move(free_.back());
    free_.pop_back();
    return chunk;
}

void ChunkPool::give(std::unique_ptr<Chunk> chunk) {
    if (!chunk) return;
    --in_use_;
    if (free_.size() < kKeptChunks) free_.push_back(std::move(chunk));
}

std::size_t ByteQueue::append(ByteView bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const std::size_t room = kChunk - (skip_ + size_) % kChunk;
        const ByteView piece = bytes.subspan(done, std::min(room, bytes.size() - done));
        if (!write_at(size_, piece)) break;
        size_ += piece.size();
        done += piece.size();
    }
    return done;
}

bool ByteQueue::write_at(std::size_t offset, ByteView bytes) {
    std::size_t at = skip_ + offset;
    const std::size_t end = at + bytes.size();
    while ((chunks_.size() - first_) * kChunk < end)
        chunks_.emplace_back();
    while (!bytes.empty()) {
        ChunkPtr& chunk = chunk_at(at / kChunk);
        if (!chunk) chunk = pool_.take();
        if (!chunk) return false;
        const std::size_t within = at % kChunk;
        const std::size_t count = std::min(bytes.size(), kChunk - within);
        std::memcpy(chunk->bytes + within, bytes.data(), count);
        bytes = bytes.subspan(count);
        at += count;
        written_ = std::max(written_, at - skip_);
    }
    return true;
}

void ByteQueue::copy_out(std::size_t offset, MutableByteView out) const {
    assert(offset + out.size() <= size_);
    std::size_t at = skip_ + offset;
    while (!out.empty()) {
        const std::size_t within = at % kChunk;
        const std::size_t count = std::min(out.size(), kChunk - within);
        std::memcpy(out.data(), chunk_at(at / kChunk)->bytes + within, count);
        out = out.subspan(count);
        at += count;
    }
}

void ByteQueue::drop_chunk() {
    pool_.give(std::move(chunk_at(0)));
    ++first_;
    // Moving the pointers down once in a while keeps the vector from growing for ever.
    if (first_ * 2 > chunks_.size()) {
        chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(first_));
        first_ = 0;
    }
}

void ByteQueue::drop_front(std::size_t count) {
    assert(count <= size_);
    size_ -= count;
    written_ -= std::min(written_, count);
    skip_ += count;
    while (skip_ >= kChunk) {
        drop_chunk();
        skip_ -= kChunk;
    }
    if (size_ == 0 && written_ == 0) clear();
}

std::size_t ByteQueue::read(MutableByteView out) {
    const std::size_t count = std::min(out.size(), size_);
    copy_out(0, out.first(count));
    drop_front(count);
    return count;
}

void ByteQueue::clear() {
    for (; first_ < chunks_.size(); ++first_)
        pool_.give(std::move(chunks_[first_]));
    chunks_.clear();
    if (chunks_.capacity() > kKeptPlaces) chunks_ = std::vector<ChunkPtr>();
    first_ = skip_ = size_ = written_ = 0;
}

}  // namespace selvage::netstack
