#include "bench/process_sample.hpp"

#include <sys/resource.h>
#include <time.h>

#include <atomic>
#include <fstream>
#include <limits>
#include <string>

namespace mitu::bench {
namespace {

std::atomic<bool> end_requested{false};

Duration to_duration(const timespec& time) noexcept {
    return Duration::seconds(time.tv_sec) + Duration::nanoseconds(time.tv_nsec);
}

}  // namespace

void request_end() noexcept { end_requested.store(true, std::memory_order_relaxed); }
bool is_end_requested() noexcept { return end_requested.load(std::memory_order_relaxed); }

Instant monotonic_now() noexcept {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return Instant::from_ns(to_duration(time).count_ns());
}

Duration own_cpu() noexcept {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return to_duration(time);
}

std::optional<Duration> cpu_of(int pid) noexcept {
    clockid_t clock{};
    timespec time{};
    if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0) return std::nullopt;
    if (clock_gettime(clock, &time) != 0) return std::nullopt;
    return to_duration(time);
}

std::optional<std::uint64_t> pss_bytes_of(int pid) {
    if (pid <= 0) return std::nullopt;
    std::ifstream rollup{"/proc/" + std::to_string(pid) + "/smaps_rollup"};
    std::string word;
    std::optional<std::uint64_t> all_kib;
    std::uint64_t files_kib = 0;  // told by Linux 5.9 and later
    while (rollup >> word) {
        std::uint64_t kib = 0;
        if (word == "Pss:" && rollup >> kib) all_kib = kib;
        if (word == "Pss_File:" && rollup >> kib) files_kib = kib;
        rollup.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    }
    if (!all_kib) return std::nullopt;
    return (*all_kib - files_kib) * 1024;
}

std::uint64_t raise_open_files_max() noexcept {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    if (limit.rlim_cur < limit.rlim_max) {
        const rlimit raised{.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    return limit.rlim_cur;
}

}  // namespace mitu::bench
