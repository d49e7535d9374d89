#include "mitu/memory/fault_zone.hpp"

#include <csetjmp>
#include <exception>
#include <new>

#include "mitu/base/check.hpp"

namespace mitu::memory {
namespace detail {

/// Where a zone is left to, on the stack of whoever entered it.
struct Landing {
    std::jmp_buf place;
    volatile ZoneFault fault = ZoneFault::exception;
};

thread_local constinit Landing* active_landing = nullptr;

// Nothing in this frame changes between setjmp and longjmp but the landing itself, so that what the
// standard leaves undefined does not come up; the signal mask is not kept (the handler leaves the
// signal open, SA_NODEFER), which is what makes it cheap.
std::optional<ZoneFault> run_in_zone(void (*call)(void*), void* context) noexcept {
    MITU_CHECK(active_landing == nullptr);
    Landing landing;
    if (_setjmp(landing.place) != 0) return landing.fault;
    set_active_landing(&landing);
    try {
        call(context);
    } catch (const std::bad_alloc&) {
        set_active_landing(nullptr);
        return ZoneFault::no_memory;
    } catch (...) {
        set_active_landing(nullptr);
        return ZoneFault::exception;
    }
    set_active_landing(nullptr);
    return std::nullopt;
}

namespace {

[[noreturn]] void leave(Landing& landing, ZoneFault fault) noexcept {
    landing.fault = fault;
    set_active_landing(nullptr);
    std::longjmp(landing.place, 1);
}

}  // namespace
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
