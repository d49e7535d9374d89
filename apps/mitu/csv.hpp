#pragma once
// Comma-separated values as RFC 4180 has them.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/result.hpp"

namespace mitu::cli {

/// Splits a text into records, and a record into fields.
/// Shape      lines end with LF or CRLF; a field in quotes may hold commas, line ends, and quotes
///            written twice. Empty lines are skipped.
/// Lifetime   borrows the text.
class CsvReader {
public:
    explicit CsvReader(std::string_view text) noexcept;

    /// Moves to the next record and fills `fields`; false: the text has ended, or error() says why
    /// not.
    bool next(std::vector<std::string>& fields);
    /// Where the record that next() gave begins in the text, and the line it is on.
    [[nodiscard]] std::size_t record_offset() const noexcept { return record_offset_; }
    [[nodiscard]] std::uint32_t line() const noexcept { return record_line_; }
    /// Empty: none. Names the line.
    [[nodiscard]] const std::string& error() const noexcept { return error_; }

private:
    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t record_offset_ = 0;
    std::uint32_t line_ = 1;
    std::uint32_t record_line_ = 1;
    std::string error_;
};

/// Errors  a text for people, without the path.
[[nodiscard]] Result<std::string, std::string> read_file(const std::string& path);

}  // namespace mitu::cli
