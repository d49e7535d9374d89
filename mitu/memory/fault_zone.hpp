#pragma once
// Fault zones: stretches of work whose failure costs one owner of memory, and nobody else.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

namespace mitu::memory {

/// What went wrong inside a zone.
enum class ZoneFault : std::uint8_t {
    budget_spent,  // the owner asked for more memory than it may have
    no_memory,     // the system, or the pool, has none
    exception,     // something was thrown
    bad_access,    // SIGSEGV or SIGBUS: a guard page, an address that is nothing
    double_free,   // a block was given back that was not out
};
inline constexpr std::size_t zone_fault_count =
    static_cast<std::size_t>(ZoneFault::double_free) + 1;

/// The enumerator's own name.
[[nodiscard]] constexpr std::string_view to_text(ZoneFault fault) noexcept {
    constexpr std::array<std::string_view, zone_fault_count> texts{
        "budget_spent", "no_memory", "exception", "bad_access", "double_free"};
    return texts[static_cast<std::size_t>(fault)];
}

/// Whether the owner's memory is as its last finished step left it. After the others a stray write
/// may have been what broke it, and nothing in it is to be believed.
[[nodiscard]] constexpr bool leaves_memory_sound(ZoneFault fault) noexcept {
    return fault == ZoneFault::budget_spent || fault == ZoneFault::no_memory ||
           fault == ZoneFault::exception;
}

namespace detail {
struct Landing;
extern thread_local constinit Landing* active_landing;
/// Sets it for whatever comes behind in the program, also as a signal handler sees it: else the
/// compiler may drop the store, or move it past accesses that fault.
inline void set_active_landing(Landing* landing) noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    active_landing = landing;
    std::atomic_signal_fence(std::memory_order_seq_cst);
}
[[nodiscard]] std::optional<ZoneFault> run_in_zone(void (*call)(void*), void* context) noexcept;
}  // namespace detail

/// Runs `body` so that a fault in it ends the body and nothing more.
/// Shape      nullopt: it ran to its end. Else it stopped somewhere, and no frame of it was
///            unwound: whatever it holds on its stack must need no destructor.
/// Threading  any thread; zones do not nest.
/// Cost       some nanoseconds: a dozen registers are kept.
template <class Body>
[[nodiscard]] std::optional<ZoneFault> in_fault_zone(Body&& body) noexcept {
    using Kind = std::remove_reference_t<Body>;
    return detail::run_in_zone([](void* context) { (*static_cast<Kind*>(context))(); },
                               const_cast<std::remove_const_t<Kind>*>(&body));
}

/// Whether this thread is inside a zone that nobody has paused.
[[nodiscard]] inline bool is_in_fault_zone() noexcept { return detail::active_landing != nullptr; }

/// Leaves the zone with `fault`. Outside of one it stops the process, as a broken invariant does.
[[noreturn]] void raise_fault(ZoneFault fault, const char* what) noexcept;

/// For the handler of SIGSEGV and SIGBUS: leaves the zone that was hit. Returns if there is none.
/// The handler runs on a stack of its own (SA_ONSTACK) and has put the signal mask back to its
/// context's (uc_sigmask) before: ThreadSanitizer blocks all signals in handlers, and nobody
/// returns.
void leave_zone_after_bad_access() noexcept;

/// While it lives, what is done is not the zone's: it writes what others share, and a fault in it
/// stops the process.
class ZonePause {
public:
    ZonePause() noexcept : landing_{detail::active_landing} { detail::set_active_landing(nullptr); }
    ~ZonePause() { detail::set_active_landing(landing_); }
    ZonePause(const ZonePause&) = delete;
    ZonePause& operator=(const ZonePause&) = delete;

private:
    detail::Landing* landing_;
};

}  // namespace mitu::memory
