#pragma once
// What another process has used so far: CPU time and memory.

#include <cstdint>
#include <optional>

#include "mitu/base/time.hpp"

namespace mitu::bench {

/// Time on the monotonic clock of the machine.
[[nodiscard]] Instant monotonic_now() noexcept;

/// CPU time of this process, user and system, all threads.
[[nodiscard]] Duration own_cpu() noexcept;

/// CPU time of process `pid`, user and system, all its threads, alive and ended; not its children.
/// Shape   nullopt: there is no such process, or it may not be asked.
/// Units   nanoseconds from the scheduler, not ticks, so a window of a second is exact to 1e-6.
[[nodiscard]] std::optional<Duration> cpu_of(int pid) noexcept;

/// Proportional set size of process `pid` without mapped files, in bytes. Files (code, libraries)
/// are left out because their share moves when another process that maps them starts or ends;
/// kernel memory (socket buffers) was never in it.
/// Cost  the kernel walks the page tables: milliseconds.
[[nodiscard]] std::optional<std::uint64_t> pss_bytes_of(int pid);

/// Raises the soft limit of open files to the hard one; returns what may be open.
std::uint64_t raise_open_files_max() noexcept;

/// Asks the run for an end: what is measured by time ends now, and the report follows. For a
/// signal.
void request_end() noexcept;
[[nodiscard]] bool is_end_requested() noexcept;

}  // namespace mitu::bench
