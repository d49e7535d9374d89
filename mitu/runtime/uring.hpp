#pragma once
// The io_uring instance of one shard: submission and completion queue, and the buffers that the
// kernel fills by itself. What the operations mean is known in uring_network.
//
// Source  io_uring_setup(2), io_uring_enter(2), io_uring_register(2); Linux 6.1 for deferred task
//         work (IORING_SETUP_DEFER_TASKRUN), which also has buffer rings.

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/base/result.hpp"

namespace mitu::runtime {

struct UringSizes {
    std::uint32_t submissions = 4'096;   // before a submission of its own is needed
    std::uint32_t completions = 16'384;  // what does not fit, the kernel keeps
    std::uint32_t buffers = 256;         // a power of two, at most 32'768
    std::uint32_t buffer_bytes = 16'384;
};

/// Threading  made on any thread; all calls from the one that calls enter() first.
class Uring {
public:
    /// Errors  what the kernel refused, as a sentence.
    [[nodiscard]] static Result<std::unique_ptr<Uring>, std::string> create(
        const UringSizes& sizes);
    ~Uring();
    Uring(const Uring&) = delete;
    Uring& operator=(const Uring&) = delete;

    /// An entry to fill, which goes to the kernel with the next enter(), in this order.
    [[nodiscard]] io_uring_sqe& next();
    /// Whether the kernel has taken all entries. Until then they name descriptors, not files: close
    /// none of them.
    [[nodiscard]] bool is_submitted() const noexcept { return io_uring_sq_ready(&ring_) == 0; }

    enum class Wait : std::uint8_t { no, until_timeout, for_ever };
    /// Submits, and waits for at least one completion if told to. One system call, or none when
    /// there is nothing to submit, to wait for or to fetch.
    void enter(Wait wait, __kernel_timespec timeout);

    /// Calls `on_completion(tag, result, flags)` for each completion that is there.
    template <class OnCompletion>
    void reap(const OnCompletion& on_completion) {
        unsigned head = 0;
        unsigned count = 0;
        io_uring_cqe* cqe = nullptr;
        io_uring_for_each_cqe(&ring_, head, cqe) {
            on_completion(io_uring_cqe_get_data64(cqe), cqe->res, cqe->flags);
            ++count;
        }
        io_uring_cq_advance(&ring_, count);
    }

    // --- buffers of receives; group 0 ---

    static constexpr std::uint16_t buffer_group = 0;
    [[nodiscard]] static std::uint16_t buffer_of(std::uint32_t flags) noexcept {
        return static_cast<std::uint16_t>(flags >> IORING_CQE_BUFFER_SHIFT);
    }
    [[nodiscard]] std::size_t buffer_bytes() const noexcept { return sizes_.buffer_bytes; }
    [[nodiscard]] ByteView buffer(std::uint16_t id, std::size_t size) const noexcept;
    /// The kernel may fill it again.
    void give_back(std::uint16_t id) noexcept;

private:
    explicit Uring(const UringSizes& sizes) : sizes_{sizes} {}
    [[nodiscard]] std::string set_up();

    const UringSizes sizes_;
    io_uring ring_{};
    bool has_ring_ = false;
    bool is_enabled_ = false;
    void* memory_ = nullptr;  // the buffer ring's entries, then the buffers
    std::size_t memory_bytes_ = 0;
    io_uring_buf_ring* buffer_ring_ = nullptr;
    std::uint8_t* buffers_ = nullptr;
};

}  // namespace mitu::runtime
