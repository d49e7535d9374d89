#pragma once
// Where another thread of this process is just now, for the log.

#include <sys/types.h>

#include <string>
#include <vector>

#include "mitu/base/time.hpp"

namespace mitu::runtime {

/// From now on threads can be asked. Takes a signal (SIGRTMIN + 4) for it.
/// Threading  once, before there are threads.
void install_thread_trace();

/// The calling thread's number, as the kernel and debuggers have it.
[[nodiscard]] pid_t own_thread_number() noexcept;

/// Its frames, the innermost first: "mitud+0x1a2b3c", for `addr2line -Cfie mitud 0x1a2b3c`.
/// The thread writes them itself, in a signal handler, into memory that is there already: nothing
/// is allocated and no lock taken, so that it works wherever that thread hangs in our own code.
/// Shape      empty: it did not answer within `patience`: it hangs in the kernel, or is gone.
/// Threading  one caller at a time; not about itself.
[[nodiscard]] std::vector<std::string> trace_thread(pid_t thread, Duration patience);

}  // namespace mitu::runtime
