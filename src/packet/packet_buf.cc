// The pool behind PacketBuf.
#include "packet/packet_buf.h"

namespace selvage::packet {

void PacketBuf::release() noexcept {
    if (block_ == nullptr) return;
    block_->pool->free_.push_back(block_);  // never reallocates: capacity grows with made_
    block_ = nullptr;
}

PacketBuf PacketBuf::clone() const {
    PacketBuf out = block_->pool->take();
    if (!out) return out;
    out.block_->begin = block_->begin;
    out.block_->end = block_->end;
    out.block_->meta = block_->meta;
    std::memcpy(out.data(), data(), size());
    return out;
}

PacketPool::~PacketPool() {
    assert(in_use() == 0);
}

PacketBuf PacketPool::take() {
    if (free_.empty()) {
        if (made_.size() >= limit_) {
            ++exhausted_;
            return {};
        }
        made_.push_back(std::make_unique_for_overwrite<PacketBuf::Block>());
        made_.back()->pool = this;
        free_.reserve(made_.capacity());
        free_.push_back(made_.back().get());
    }
    PacketBuf::Block* block = free_.back();
    free_.pop_back();
    block->meta = {};
    block->begin = block->end = kHeadroom;
    return PacketBuf(block);
}

PacketBuf PacketPool::copy(ByteView bytes) {
    if (bytes.size() > kBlockBytes - kHeadroom) return {};
    PacketBuf out = take();
    if (out && !out.append(bytes)) return {};
    return out;
}

}  // namespace selvage::packet
