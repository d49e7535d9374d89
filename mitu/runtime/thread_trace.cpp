#include "mitu/runtime/thread_trace.hpp"

#include <dlfcn.h>
#include <execinfo.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <string_view>
#include <thread>

#include "mitu/base/check.hpp"

namespace mitu::runtime {
namespace {

constexpr std::size_t frames_max = 64;
constexpr std::size_t own_frames = 2;  // the handler, and what the kernel returns through

int trace_signal() noexcept { return SIGRTMIN + 4; }

/// Written by the thread that is asked, read by the one that asks once `count` is not negative. A
/// late answer to an earlier question finds another thread in `asked`, and is none.
struct Answer {
    std::atomic<pid_t> asked{0};
    std::atomic<int> count{-1};
    std::array<void*, frames_max> frames{};
} answer;

void on_asked(int) {
    const int error = errno;
    if (answer.asked.load(std::memory_order_acquire) == own_thread_number()) {
        // glibc's unwinder finds its tables without a lock since 2.35.
        const int count = ::backtrace(answer.frames.data(), static_cast<int>(frames_max));
        answer.asked.store(0, std::memory_order_relaxed);
        answer.count.store(count, std::memory_order_release);
    }
    errno = error;
}

std::string describe(void* frame) {
    Dl_info info{};
    const auto address = reinterpret_cast<std::uintptr_t>(frame);
    if (::dladdr(frame, &info) == 0 || info.dli_fname == nullptr) {
        return fmt::format("{:#x}", address);
    }
    std::string_view file{info.dli_fname};
    if (const auto slash = file.rfind('/'); slash != file.npos) file.remove_prefix(slash + 1);
    const auto base = reinterpret_cast<std::uintptr_t>(info.dli_fbase);
    return fmt::format("{}+{:#x}", file, address - base);
}

}  // namespace

void install_thread_trace() {
    // The first backtrace() loads the unwinder, which a handler must not.
    std::array<void*, 1> none{};
    static_cast<void>(::backtrace(none.data(), 1));
    struct sigaction action{};
    action.sa_handler = on_asked;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    MITU_CHECK(::sigaction(trace_signal(), &action, nullptr) == 0);
}

pid_t own_thread_number() noexcept { return static_cast<pid_t>(::syscall(SYS_gettid)); }

std::vector<std::string> trace_thread(pid_t thread, Duration patience) {
    using std::chrono::nanoseconds;
    using std::chrono::steady_clock;
    answer.count.store(-1, std::memory_order_relaxed);
    answer.asked.store(thread, std::memory_order_release);
    if (::syscall(SYS_tgkill, ::getpid(), thread, trace_signal()) != 0) return {};
    const auto until = steady_clock::now() + nanoseconds{patience.count_ns()};
    int count = -1;
    while ((count = answer.count.load(std::memory_order_acquire)) < 0) {
        if (steady_clock::now() >= until) {
            // If it takes the question back, the thread has not begun to answer.
            pid_t still = thread;
            if (answer.asked.compare_exchange_strong(still, 0)) return {};
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    std::vector<std::string> lines;
    for (std::size_t i = own_frames; i < static_cast<std::size_t>(count); ++i) {
        lines.push_back(describe(answer.frames[i]));
    }
    return lines;
}

}  // namespace mitu::runtime
