#pragma once
// What this process may use and does use of its machine.

#include <cstddef>
#include <cstdint>
#include <string>

namespace mitu::runtime {

/// How many files may be open; a connection is one.
struct OpenFilesLimit {
    std::uint64_t soft = 0;  // what now holds
    std::uint64_t hard = 0;  // what the administrator allows
    std::uint64_t wanted = 0;
    [[nodiscard]] bool is_enough() const noexcept { return soft >= wanted; }
};

/// Raises the limit towards `wanted` as far as is allowed and tells how far that was. A limit that
/// is higher already stays.
OpenFilesLimit raise_open_files_limit(std::uint64_t wanted);

/// Memory of this process that lies in RAM now. 0: unknown.
[[nodiscard]] std::uint64_t resident_bytes();

/// Whether a debugger is attached to this process (its first thread).
[[nodiscard]] bool is_debugged();

/// Cores that this process may run on.
[[nodiscard]] std::size_t usable_cores();

/// Keeps the calling thread on the `index`-th of usable_cores(), counted round and round.
/// false: not allowed; the thread runs where the kernel likes.
bool pin_thread_to_core(std::size_t index) noexcept;

/// Names the calling thread for debuggers and `top -H`.
/// Shape  at most 15 bytes are kept.
void name_thread(const std::string& name) noexcept;

}  // namespace mitu::runtime
