#pragma once
// OutputBatch: what one connection is sent in one turn, gathered for a single write.

#include <cstdint>
#include <span>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/base/check.hpp"
#include "mitu/broker/message_store.hpp"
#include "mitu/memory/fault_zone.hpp"

namespace mitu::broker {

/// Small packets are copied together, large payloads are referred to where they lie. One batch
/// serves all connections of a shard, one after the other.
/// Threading  shard-local.
class OutputBatch {
public:
    OutputBatch(MessageStore& messages, std::uint32_t batch_bytes_max,
                std::uint32_t gather_bytes_min)
        : messages_{messages},
          batch_bytes_max_{batch_bytes_max},
          gather_bytes_min_{gather_bytes_min} {
        scratch_.resize(batch_bytes_max + header_bytes_max);
    }

    /// Starts anew; what was held for the last connection is released.
    void clear() noexcept {
        for (const MessageHandle handle : held_) messages_.release(handle);
        held_.clear();
        parts_.clear();
        scratch_used_ = 0;
        run_begin_ = 0;
        total_bytes_ = 0;
        if (const std::size_t usual = batch_bytes_max_ + header_bytes_max;
            scratch_.size() > usual) {
            scratch_.resize(usual);
            scratch_.shrink_to_fit();
        }
    }

    /// Whether another packet may be begun.
    [[nodiscard]] bool has_room() const noexcept {
        return total_bytes_ < batch_bytes_max_ && scratch_used_ < batch_bytes_max_;
    }

    /// Borrows bytes that stay where they are until the write (the connection's answers).
    void lend(ByteView bytes) {
        if (bytes.empty()) return;
        end_run();
        parts_.push_back(bytes);
        total_bytes_ += bytes.size();
    }

    /// Copies a small packet in. Only after has_room().
    void copy(ByteView bytes) {
        const MutableByteView room = header(static_cast<std::uint32_t>(bytes.size()));
        MITU_CHECK(room.size() == bytes.size());
        std::memcpy(room.data(), bytes.data(), bytes.size());
        commit(static_cast<std::uint32_t>(bytes.size()));
    }

    /// Room for a packet's header; its true size is told to commit(). Only after has_room().
    /// Shape  empty: not in this batch any more; the next one has room.
    [[nodiscard]] MutableByteView header(std::uint32_t size_bytes) {
        if (size_bytes > scratch_.size() - scratch_used_) {
            if (scratch_used_ != 0) return {};
            const memory::ZonePause pause;
            scratch_.resize(size_bytes);  // one huge header; clear() gives the memory back
        }
        return {scratch_.data() + scratch_used_, size_bytes};
    }
    void commit(std::uint32_t size_bytes) noexcept {
        scratch_used_ += size_bytes;
        total_bytes_ += size_bytes;
    }

    /// Appends the payload of `message`: copied if small, else gathered, and then `message` is
    /// kept alive until clear().
    void payload(MessageHandle message, ByteView bytes) {
        if (bytes.size() < gather_bytes_min_ && bytes.size() <= scratch_.size() - scratch_used_) {
            if (!bytes.empty()) {
                std::memcpy(scratch_.data() + scratch_used_, bytes.data(), bytes.size());
            }
            commit(static_cast<std::uint32_t>(bytes.size()));
            return;
        }
        const memory::ZonePause pause;  // from here on it is not the session's own
        messages_.retain(message);
        held_.push_back(message);
        end_run();
        parts_.push_back(bytes);
        total_bytes_ += bytes.size();
    }

    /// What is to be written, in order.
    [[nodiscard]] std::span<const ByteView> parts() {
        end_run();
        return parts_;
    }
    [[nodiscard]] std::size_t total_bytes() const noexcept { return total_bytes_; }

    /// Copies what a write of `written` bytes has left over to the end of `out`.
    void copy_rest(std::size_t written, Bytes& out) const {
        for (const ByteView part : parts_) {
            if (written >= part.size()) {
                written -= part.size();
                continue;
            }
            out.insert(out.end(), part.begin() + static_cast<std::ptrdiff_t>(written), part.end());
            written = 0;
        }
    }

private:
    /// Usual headers are small; topic, response topic and the like may have 64 KiB each.
    static constexpr std::uint32_t header_bytes_max = 256u << 10;

    void end_run() {
        if (scratch_used_ == run_begin_) return;
        parts_.emplace_back(scratch_.data() + run_begin_, scratch_used_ - run_begin_);
        run_begin_ = scratch_used_;
    }

    MessageStore& messages_;
    std::uint32_t batch_bytes_max_;
    std::uint32_t gather_bytes_min_;
    Bytes scratch_;
    std::size_t scratch_used_ = 0;
    std::size_t run_begin_ = 0;
    std::size_t total_bytes_ = 0;
    std::vector<ByteView> parts_;
    std::vector<MessageHandle> held_;
};

}  // namespace mitu::broker
