#pragma once
// A store as lines of JSON: to move it, to look into it, to mend it by hand.
//
//     {"mitu_store": 3}
//     {"family": "sessions", "key": "61636d65006431", "value": "07...", "about": "acme/d1"}
//
// Keys and values are hexadecimal, so that nothing is lost; `about` is for people, and is not read
// back.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/base/result.hpp"
#include "mitu/store/engine.hpp"

namespace mitu::store {

/// Calls `put_line` with each line, without its end; it says whether to go on.
/// Shape   the number of rows.
/// Errors  as reading.
[[nodiscard]] Result<std::uint64_t, Error> export_lines(
    Engine& engine, const std::function<bool(std::string_view)>& put_line);

struct ImportProblem {
    std::uint64_t line = 0;  // 0: not of a line
    std::string what;        // which value, what to do
};

/// Writes what `next_line` gives, until it gives nothing, into a store that must be empty. It is on
/// the device when this returns.
/// Errors  the first line that is wrong; what came before it may be written.
[[nodiscard]] Result<std::uint64_t, ImportProblem> import_lines(
    Engine& engine, const std::function<std::optional<std::string>()>& next_line);

/// What a line of a row says.
struct ImportedRow {
    Family family = Family::meta;
    Bytes key;
    Bytes value;
};
/// Errors  what is wrong with it.
[[nodiscard]] Result<ImportedRow, std::string> parse_line(std::string_view line);

}  // namespace mitu::store
