#include "apps/mitu/simulation/replay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "apps/mitu/csv.hpp"

namespace mitu::cli {

namespace {

std::string json_text(const std::string& text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

bool is_time_name(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    static constexpr std::array<std::string_view, 5> names{"time", "timestamp", "ts", "unix",
                                                           "epoch"};
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// Days from 1970-01-01 in the Gregorian calendar.
/// Source  H. Hinnant, "chrono-compatible low-level date algorithms".
std::int64_t days_from_civil(std::int64_t year, unsigned month, unsigned day) noexcept {
    year -= month <= 2 ? 1 : 0;
    const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
    const auto year_of_era = static_cast<unsigned>(year - era * 400);
    const unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    const unsigned day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146'097 + static_cast<std::int64_t>(day_of_era) - 719'468;
}

}  // namespace

bool is_json_number(std::string_view text) noexcept {
    std::size_t at = 0;
    const auto digits = [&] {
        const std::size_t from = at;
        while (at < text.size() && is_digit(text[at])) ++at;
        return at - from;
    };
    if (at < text.size() && text[at] == '-') ++at;
    const std::size_t whole_from = at;
    const std::size_t whole = digits();
    if (whole == 0 || (whole > 1 && text[whole_from] == '0')) return false;
    if (at < text.size() && text[at] == '.') {
        ++at;
        if (digits() == 0) return false;
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        ++at;
        if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
        if (digits() == 0) return false;
    }
    return at == text.size();
}

std::optional<double> parse_time(std::string_view text) noexcept {
    // YYYY-MM-DD HH:MM:SS, then fractions of a second and Z if they are there.
    constexpr std::string_view form = "0000-00-00 00:00:00";
    if (text.size() < form.size()) return std::nullopt;
    for (std::size_t i = 0; i < form.size(); ++i) {
        const bool fits = form[i] == '0'   ? is_digit(text[i])
                          : form[i] == ' ' ? text[i] == ' ' || text[i] == 'T'
                                           : text[i] == form[i];
        if (!fits) return std::nullopt;
    }
    const auto number = [&](std::size_t at, std::size_t count) {
        unsigned value = 0;
        for (std::size_t i = at; i < at + count; ++i) {
            value = value * 10 + static_cast<unsigned>(text[i] - '0');
        }
        return value;
    };
    const unsigned month = number(5, 2);
    const unsigned day = number(8, 2);
    const unsigned hour = number(11, 2);
    const unsigned minute = number(14, 2);
    const unsigned second = number(17, 2);
    if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) {
        return std::nullopt;
    }
    std::string_view rest = text.substr(form.size());
    if (rest.ends_with('Z')) rest.remove_suffix(1);
    double fraction = 0;
    if (!rest.empty()) {
        if (rest[0] != '.') return std::nullopt;
        const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), fraction);
        if (error != std::errc{} || end != rest.data() + rest.size()) return std::nullopt;
    }
    const std::int64_t days = days_from_civil(number(0, 4), month, day);
    const std::int64_t clock_s = (std::int64_t{hour} * 60 + minute) * 60 + second;
    return static_cast<double>(days * 86'400 + clock_s) + fraction;
}

Result<Replay, std::string> Replay::create(std::string text) {
    Replay replay;
    replay.text_ = std::move(text);
    CsvReader reader{replay.text_};
    std::vector<std::string> fields;
    if (!reader.next(replay.columns_)) {
        return std::unexpected(reader.error().empty() ? "the file is empty" : reader.error());
    }
    for (const std::string& column : replay.columns_) {
        replay.keys_.push_back(json_text(column) + ":");
    }
    const std::size_t columns = replay.columns_.size();
    while (reader.next(fields)) {
        if (replay.offsets_.empty()) replay.has_label_ = fields.size() == columns + 1;
        const std::size_t expected = columns + (replay.has_label_ ? 1 : 0);
        if (fields.size() != expected) {
            return std::unexpected(fmt::format("line {}: {} fields where there should be {}",
                                               reader.line(), fields.size(), expected));
        }
        if (replay.offsets_.empty()) {
            for (std::size_t i = 0; i < columns && replay.time_column_.empty(); ++i) {
                const std::string& value = fields[i + (replay.has_label_ ? 1 : 0)];
                const bool is_time = parse_time(value).has_value() ||
                                     (is_time_name(replay.columns_[i]) && is_json_number(value));
                if (!is_time) continue;
                replay.time_column_ = replay.columns_[i];
                replay.time_field_ = i + (replay.has_label_ ? 1 : 0);
            }
        }
        replay.offsets_.push_back(reader.record_offset());
    }
    if (!reader.error().empty()) return std::unexpected(reader.error());
    if (replay.offsets_.empty()) return std::unexpected("it has a header and no rows");
    return replay;
}

std::vector<std::string> Replay::fields_of(std::uint64_t row) const {
    CsvReader reader{std::string_view{text_}.substr(offsets_[static_cast<std::size_t>(row - 1)])};
    std::vector<std::string> fields;
    reader.next(fields);
    return fields;
}

std::string Replay::payload(std::uint64_t row) const {
    const std::vector<std::string> fields = fields_of(row);
    const std::size_t first = has_label_ ? 1 : 0;
    std::string json = fmt::format("{{\"row\":{}", row);
    if (has_label_ && fields[0] != std::to_string(row)) {
        json += ",\"row_label\":" + json_text(fields[0]);
    }
    for (std::size_t i = 0; i < keys_.size(); ++i) {
        const std::string& value = fields[i + first];
        json += ',';
        json += keys_[i];
        json += is_json_number(value) ? value : json_text(value);
    }
    json += '}';
    return json;
}

Result<std::vector<double>, std::string> Replay::times_s() const {
    if (time_column_.empty()) {
        return std::unexpected(
            "no column holds times such as 2015-02-04 17:51:00; use --rate instead of --speedup");
    }
    std::vector<double> times;
    times.reserve(offsets_.size());
    double first = 0;
    for (std::uint64_t row = 1; row <= row_count(); ++row) {
        const std::string value = fields_of(row)[time_field_];
        std::optional<double> time = parse_time(value);
        double number = 0;
        if (!time && is_json_number(value) &&
            std::from_chars(value.data(), value.data() + value.size(), number).ec == std::errc{}) {
            time = number;
        }
        if (!time) {
            return std::unexpected(
                fmt::format("row {}: {} is \"{}\", which is no time", row, time_column_, value));
        }
        if (row == 1) first = *time;
        times.push_back(std::max(times.empty() ? 0.0 : times.back(), *time - first));
    }
    return times;
}

}  // namespace mitu::cli
