#pragma once
// Telemetry from a file: any CSV with a header.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/result.hpp"

namespace mitu::cli {

/// Keeps the file as it is and makes a payload of a row when it is asked for.
/// Shape  rows are numbered from 1, the header not counted. If rows have one field more than the
///        header (as R writes them), their first field is a label and no column.
/// Cost   the bytes of the file, and 8 for each row.
class Replay {
public:
    /// Errors  a text for people that names the line.
    [[nodiscard]] static Result<Replay, std::string> create(std::string text);

    [[nodiscard]] std::uint64_t row_count() const noexcept { return offsets_.size(); }

    /// {"row":7,"COLUMN":VALUE,...}: a value that is a JSON number is written as it stands in the
    /// file, anything else as text. A label that is not the row's number is kept as "row_label".
    [[nodiscard]] std::string payload(std::uint64_t row) const;

    /// The first column that holds times (2015-02-04 17:51:00, with T or blank, taken as UTC; or
    /// Unix seconds under a name such as time, ts, timestamp). Empty: none does.
    [[nodiscard]] const std::string& time_column() const noexcept { return time_column_; }
    /// Seconds since the first row; never falls from one row to the next.
    /// Errors  a text for people: there is no column of times, or a row has none in it.
    [[nodiscard]] Result<std::vector<double>, std::string> times_s() const;

private:
    [[nodiscard]] std::vector<std::string> fields_of(std::uint64_t row) const;

    std::string text_;
    std::vector<std::string> columns_;
    std::vector<std::string> keys_;  // the columns, as JSON texts with a colon
    std::vector<std::uint64_t> offsets_;
    bool has_label_ = false;
    std::string time_column_;
    std::size_t time_field_ = 0;
};

/// As JSON has numbers: 1, -0.5, 2e3; not 01, +1, .5, 1., NaN.
[[nodiscard]] bool is_json_number(std::string_view text) noexcept;
/// Seconds since the Unix epoch.
[[nodiscard]] std::optional<double> parse_time(std::string_view text) noexcept;

}  // namespace mitu::cli
