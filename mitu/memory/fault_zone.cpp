#include "mitu/memory/fault_zone.hpp"

#include <csetjmp>
#include <exception>
#include <new>

#include "mitu/base/check.hpp"
#include "mitu/memory/poison.hpp"

namespace mitu::memory {
namespace detail {

// The compiler's own jump keeps three registers and lets the frame keep the rest, where setjmp
// keeps eight and hides some of them. Sanitizers know only the library's.
#if defined(__x86_64__) && !defined(MITU_HAS_ASAN) && !defined(MITU_HAS_TSAN)
#define MITU_BUILTIN_JUMP 1
#endif

/// Where a zone is left to, on the stack of whoever entered it.
struct Landing {
#ifdef MITU_BUILTIN_JUMP
    void* place[5];
#else
    std::jmp_buf place;
#endif
    volatile ZoneFault fault = ZoneFault::exception;
};

thread_local constinit Landing* active_landing = nullptr;

namespace {

[[noreturn]] void leave(Landing& landing, ZoneFault fault) noexcept {
    landing.fault = fault;
    set_active_landing(nullptr);
#ifdef MITU_BUILTIN_JUMP
    __builtin_longjmp(landing.place, 1);
#else
    std::longjmp(landing.place, 1);
#endif
}

[[gnu::noinline]] std::optional<ZoneFault> call_and_catch(void (*call)(void*),
                                                          void* context) noexcept {
    try {
        call(context);
    } catch (const std::bad_alloc&) {
        return ZoneFault::no_memory;
    } catch (...) {
        return ZoneFault::exception;
    }
    return std::nullopt;
}

}  // namespace

// Nothing in this frame changes between setjmp and longjmp but the landing itself, so that what the
// standard leaves undefined does not come up; the signal mask is not kept (the handler leaves the
// signal open, SA_NODEFER), which is what makes it cheap.
std::optional<ZoneFault> run_in_zone(void (*call)(void*), void* context) noexcept {
    MITU_CHECK(active_landing == nullptr);
    Landing landing;
#ifdef MITU_BUILTIN_JUMP
    if (__builtin_setjmp(landing.place) != 0) return landing.fault;
#else
    if (_setjmp(landing.place) != 0) return landing.fault;
#endif
    set_active_landing(&landing);
    const std::optional<ZoneFault> fault = call_and_catch(call, context);
    set_active_landing(nullptr);
    return fault;
}

}  // namespace detail

void raise_fault(ZoneFault fault, const char* what) noexcept {
    if (detail::active_landing != nullptr) detail::leave(*detail::active_landing, fault);
    // Texts of faults are literals, and end with a zero.
    const char* const text = to_text(fault).begin();
    check_failed(__FILE__, __LINE__, text, what);
}

void leave_zone_after_bad_access() noexcept {
    if (detail::active_landing != nullptr) {
        detail::leave(*detail::active_landing, ZoneFault::bad_access);
    }
}

}  // namespace mitu::memory
