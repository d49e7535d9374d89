#include "mitu/runtime/uring.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "mitu/base/check.hpp"

namespace mitu::runtime {

Result<std::unique_ptr<Uring>, std::string> Uring::create(const UringSizes& sizes) {
    std::unique_ptr<Uring> uring{new Uring{sizes}};
    if (std::string problem = uring->set_up(); !problem.empty()) return std::unexpected(problem);
    return uring;
}

std::string Uring::set_up() {
    const auto refuse = [](const char* what, int error) {
        return std::string{what} + ": " + std::generic_category().message(error);
    };
    io_uring_params params{};
    // Disabled until the first enter(): the thread that enables it is the only one that may submit.
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                   IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE |
                   IORING_SETUP_SUBMIT_ALL;
    params.cq_entries = sizes_.completions;
    if (const int result = io_uring_queue_init_params(sizes_.submissions, &ring_, &params);
        result < 0) {
        return refuse(
            "io_uring is not there (Linux 6.1 or newer, and allowed by "
            "kernel.io_uring_disabled and seccomp)",
            -result);
    }
    has_ring_ = true;

    const std::size_t entries_bytes = sizes_.buffers * sizeof(io_uring_buf);
    const std::size_t page = 4'096;
    const std::size_t entries_room = (entries_bytes + page - 1) / page * page;
    memory_bytes_ = entries_room + std::size_t{sizes_.buffers} * sizes_.buffer_bytes;
    void* const memory =
        mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return refuse("no memory for receive buffers", errno);
    memory_ = memory;
    buffer_ring_ = static_cast<io_uring_buf_ring*>(memory_);
    buffers_ = static_cast<std::uint8_t*>(memory_) + entries_room;

    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uintptr_t>(buffer_ring_);
    registration.ring_entries = sizes_.buffers;
    registration.bgid = buffer_group;
    if (const int result = io_uring_register_buf_ring(&ring_, &registration, 0); result < 0) {
        return refuse("io_uring takes no buffer ring", -result);
    }
    io_uring_buf_ring_init(buffer_ring_);
    for (std::uint32_t i = 0; i < sizes_.buffers; ++i) give_back(static_cast<std::uint16_t>(i));
    return {};
}

Uring::~Uring() {
    if (has_ring_) io_uring_queue_exit(&ring_);
    if (memory_ != nullptr) munmap(memory_, memory_bytes_);
}

io_uring_sqe& Uring::next() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    // The kernel takes nothing only while it has no memory for requests; that passes, or nothing
    // does.
    for (int tries = 0; sqe == nullptr && tries < 1'000; ++tries) {
        enter(Wait::no, {});
        sqe = io_uring_get_sqe(&ring_);
    }
    MITU_CHECK(sqe != nullptr);
    return *sqe;
}

void Uring::enter(Wait wait, __kernel_timespec timeout) {
    if (!is_enabled_) {
        // liburing 2.3 declares a function for this and does not export it.
        MITU_CHECK(syscall(SYS_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS,
                           nullptr, 0) == 0);
        is_enabled_ = true;
    }
    int result = 0;
    if (wait == Wait::for_ever) {
        result = io_uring_submit_and_wait(&ring_, 1);
    } else if (wait == Wait::until_timeout) {
        io_uring_cqe* first = nullptr;
        result = io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
    } else if (io_uring_sq_ready(&ring_) != 0) {
        result = io_uring_submit_and_get_events(&ring_);
    } else if ((*ring_.sq.kflags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0) {
        result = io_uring_get_events(&ring_);
    }
    // EBUSY, EAGAIN: the kernel has completions for us first; what was not submitted stays queued.
    MITU_CHECK(result >= 0 || result == -ETIME || result == -EINTR || result == -EBUSY ||
               result == -EAGAIN);
}

ByteView Uring::buffer(std::uint16_t id, std::size_t size) const noexcept {
    return {buffers_ + std::size_t{id} * sizes_.buffer_bytes, size};
}

void Uring::give_back(std::uint16_t id) noexcept {
    io_uring_buf_ring_add(buffer_ring_, buffers_ + std::size_t{id} * sizes_.buffer_bytes,
                          sizes_.buffer_bytes, id, io_uring_buf_ring_mask(sizes_.buffers), 0);
    io_uring_buf_ring_advance(buffer_ring_, 1);
}

}  // namespace mitu::runtime
