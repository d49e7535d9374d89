#pragma once
// MITU_CHECK: a broken invariant is our own mistake; it stops the process, in release too.
// Nothing that comes from a socket, a disk or an API may reach a CHECK.

namespace mitu {

/// Prints file, line and the condition to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const char* detail) noexcept;

}  // namespace mitu

#define MITU_CHECK(condition) \
    ((condition) ? static_cast<void>(0) : ::mitu::check_failed(__FILE__, __LINE__, #condition, ""))

#define MITU_CHECK_MSG(condition, detail) \
    ((condition) ? static_cast<void>(0)   \
                 : ::mitu::check_failed(__FILE__, __LINE__, #condition, detail))

// Costly audits run in debug and in simulation builds only.
#ifdef MITU_AUDITS
#define MITU_AUDIT(condition) MITU_CHECK(condition)
#else
#define MITU_AUDIT(condition) static_cast<void>(sizeof(condition))
#endif
