#pragma once
// One log line as text, without a line end. Pure.

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "mitu/trace/log.hpp"

namespace mitu::trace {

/// Shape  control characters, quotes and bytes that are not UTF-8 are escaped, so that whatever a
///        peer sends stays on one line and cannot forge another.
[[nodiscard]] std::string format_log_line(LogFormat format, std::optional<WallTime> time,
                                          Level level, std::string_view event,
                                          std::span<const LogField> fields,
                                          std::uint64_t suppressed);

}  // namespace mitu::trace
