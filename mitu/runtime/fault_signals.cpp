#include "mitu/runtime/fault_signals.hpp"

#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <string_view>

#include "mitu/base/check.hpp"
#include "mitu/memory/fault_zone.hpp"

namespace mitu::runtime {
namespace {

constexpr std::size_t stack_bytes = std::size_t{64} << 10;
constexpr std::array<int, 2> fault_signals{SIGSEGV, SIGBUS};

struct sigaction before_us[2];  // what held, by the order of fault_signals

/// Only what may be called in a handler.
void say(std::string_view text) noexcept {
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

void say_address(const void* address) noexcept {
    std::array<char, 18> text{'0', 'x'};
    auto value = reinterpret_cast<std::uintptr_t>(address);
    for (std::size_t i = text.size(); i-- > 2; value >>= 4)
        text[i] = "0123456789abcdef"[value & 15];
    say({text.data(), text.size()});
}

void on_bad_access(int signal, siginfo_t* info, void* context) {
    // Positive codes are the kernel's own: the access of this very thread.
    if (info->si_code > 0 && memory::is_in_fault_zone()) {
        // The jump does not bring the mask back, and ThreadSanitizer blocks all signals in handlers
        // whatever NODEFER says.
        pthread_sigmask(SIG_SETMASK, &static_cast<ucontext_t*>(context)->uc_sigmask, nullptr);
        memory::leave_zone_after_bad_access();
    }
    say(signal == SIGSEGV ? "mitu: SIGSEGV at " : "mitu: SIGBUS at ");
    say_address(info->si_addr);
    say(", outside of any fault zone: the process stops\n");
    // The access is made again, and meets whoever was there before us.
    sigaction(signal, &before_us[signal == SIGSEGV ? 0 : 1], nullptr);
    if (info->si_code <= 0) raise(signal);
}

}  // namespace

void install_fault_signals() {
    for (std::size_t i = 0; i < fault_signals.size(); ++i) {
        struct sigaction action{};
        action.sa_sigaction = on_bad_access;
        // NODEFER: a zone is left by a jump, and the next fault comes like the first.
        action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
        sigemptyset(&action.sa_mask);
        MITU_CHECK(sigaction(fault_signals[i], &action, &before_us[i]) == 0);
    }
}

FaultStack::FaultStack() : memory_{std::make_unique_for_overwrite<std::byte[]>(stack_bytes)} {
    stack_t stack{};
    stack.ss_sp = memory_.get();
    stack.ss_size = stack_bytes;
    MITU_CHECK(sigaltstack(&stack, nullptr) == 0);
}

FaultStack::~FaultStack() {
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
}

}  // namespace mitu::runtime
