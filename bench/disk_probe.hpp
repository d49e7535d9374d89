#pragma once
// What one write and fdatasync takes on the disk that a broker writes to, nothing else going on.

#include <cstdint>
#include <string>

#include "bench/histogram.hpp"
#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"

namespace mitu::bench {

/// Appends 4 KiB to a file in `folder` and calls fdatasync, again and again for `duration`; then
/// the file is removed. Errors  a sentence, where the folder cannot be written to.
[[nodiscard]] Result<void, std::string> probe_disk(const std::string& folder, Duration duration,
                                                   LatencyHistogram& latency);

/// Syncs of a broker that has mitu-count-syncs.so loaded; 0 before its first.
[[nodiscard]] std::uint64_t syncs_in(const std::string& counts_file);

}  // namespace mitu::bench
