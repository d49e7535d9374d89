#include "mitu/runtime/clock.hpp"

#include <sys/random.h>

#include <cerrno>
#include <ctime>

#include "mitu/base/check.hpp"

namespace mitu::runtime {
namespace {

std::int64_t read_ns(clockid_t id) noexcept {
    timespec time{};
    MITU_CHECK(clock_gettime(id, &time) == 0);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// Taken before main(), so that every instant of this process is at or after zero. The function
// covers a clock that is read by another static object's constructor.
std::int64_t process_start_ns() noexcept {
    static const std::int64_t start_ns = read_ns(CLOCK_MONOTONIC);
    return start_ns;
}
[[maybe_unused]] const std::int64_t taken_at_start = process_start_ns();

}  // namespace

Instant SystemClock::now() const noexcept {
    const std::int64_t start_ns = process_start_ns();
    return Instant::from_ns(read_ns(CLOCK_MONOTONIC) - start_ns);
}

WallTime SystemClock::wall() const noexcept { return {read_ns(CLOCK_REALTIME) / 1'000'000}; }

std::string random_bytes(std::size_t count) {
    std::string bytes(count, '\0');
    for (std::size_t done = 0; done < count;) {
        const ssize_t got = getrandom(bytes.data() + done, count - done, 0);
        MITU_CHECK(got > 0 || errno == EINTR);
        if (got > 0) done += static_cast<std::size_t>(got);
    }
    return bytes;
}

std::uint64_t SystemEntropy::next() noexcept {
    if (left_ == 0) {
        ssize_t got = 0;
        do {
            // 256 bytes or less are never cut short once the kernel's pool is ready.
            got = getrandom(numbers_.data(), sizeof numbers_, 0);
        } while (got < 0 && errno == EINTR);
        MITU_CHECK(got == static_cast<ssize_t>(sizeof numbers_));
        left_ = numbers_.size();
    }
    return numbers_[--left_];
}

}  // namespace mitu::runtime
