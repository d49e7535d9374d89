#include "mitu/trace/log_line.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cmath>
#include <iterator>

namespace mitu::trace {
namespace {

constexpr std::array<std::string_view, 5> level_names{"debug", "info", "warn", "error", "off"};

std::string_view name_of(Level level) { return level_names[static_cast<std::size_t>(level)]; }

// How many bytes of well-formed UTF-8 (Unicode 15, table 3-7) stand at `at`; 0: none.
std::size_t utf8_length(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) {
        return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
    };
    const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
    const unsigned first = byte(0);
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        const bool in_range =
            !(first == 0xE0 && byte(1) < 0xA0) && !(first == 0xED && byte(1) > 0x9F);
        return in_range && continues(1) && continues(2) ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const bool in_range =
            !(first == 0xF0 && byte(1) < 0x90) && !(first == 0xF4 && byte(1) > 0x8F);
        return in_range && continues(1) && continues(2) && continues(3) ? 4 : 0;
    }
    return 0;
}

// Inside quotes, in JSON's way; people read it as well.
void append_quoted(std::string& line, std::string_view text) {
    line += '"';
    for (std::size_t i = 0; i < text.size();) {
        const auto c = static_cast<unsigned char>(text[i]);
        const std::size_t length = utf8_length(text, i);
        if (c == '"' || c == '\\') {
            line += '\\';
            line += text[i++];
        } else if (c == '\n') {
            line += "\\n";
            ++i;
        } else if (c < 0x20 || c == 0x7F) {
            fmt::format_to(std::back_inserter(line), "\\u{:04x}", c);
            ++i;
        } else if (length == 0) {
            line += "\\ufffd";
            ++i;
        } else {
            line += text.substr(i, length);
            i += length;
        }
    }
    line += '"';
}

bool is_plain_word(std::string_view text) {
    for (const char c : text) {
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7F) return false;
    }
    return !text.empty();
}

void append_value(std::string& line, const LogField::Value& value, bool quote_always) {
    if (const auto* const text = std::get_if<std::string_view>(&value)) {
        if (!quote_always && is_plain_word(*text)) {
            line += *text;
        } else {
            append_quoted(line, *text);
        }
        return;
    }
    const auto out = std::back_inserter(line);
    if (const auto* const number = std::get_if<double>(&value)) {
        // JSON knows no infinity.
        std::isfinite(*number) ? fmt::format_to(out, "{:.6g}", *number)
                               : fmt::format_to(out, "null");
    } else if (const auto* const i = std::get_if<std::int64_t>(&value)) {
        fmt::format_to(out, "{}", *i);
    } else if (const auto* const u = std::get_if<std::uint64_t>(&value)) {
        fmt::format_to(out, "{}", *u);
    } else {
        line += std::get<bool>(value) ? "true" : "false";
    }
}

std::string format_time(WallTime time, bool with_date) {
    using namespace std::chrono;
    const sys_time<milliseconds> point{milliseconds{time.unix_ms}};
    const auto day = floor<days>(point);
    const hh_mm_ss clock{point - day};
    std::string time_of_day =
        fmt::format("{:02}:{:02}:{:02}.{:03}", clock.hours().count(), clock.minutes().count(),
                    clock.seconds().count(), clock.subseconds().count());
    if (!with_date) return time_of_day;
    const year_month_day date{day};
    return fmt::format("{:04}-{:02}-{:02}T{}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       time_of_day);
}

std::string format_json(std::optional<WallTime> time, Level level, std::string_view event,
                        std::span<const LogField> fields, std::uint64_t suppressed) {
    std::string line = "{";
    if (time) line += fmt::format("\"time\":\"{}\",", format_time(*time, true));
    line += fmt::format("\"level\":\"{}\",\"event\":", name_of(level));
    append_quoted(line, event);
    for (const LogField& field : fields) {
        line += ',';
        append_quoted(line, field.key);
        line += ':';
        append_value(line, field.value, true);
    }
    if (suppressed > 0) line += fmt::format(",\"suppressed\":{}", suppressed);
    line += '}';
    return line;
}

}  // namespace

std::string format_log_line(LogFormat format, std::optional<WallTime> time, Level level,
                            std::string_view event, std::span<const LogField> fields,
                            std::uint64_t suppressed) {
    if (format == LogFormat::json) return format_json(time, level, event, fields, suppressed);
    std::string line;
    if (format == LogFormat::logfmt) {
        if (time) line += fmt::format("time={} ", format_time(*time, true));
        line += fmt::format("level={} event=", name_of(level));
    } else {
        if (time) line += format_time(*time, false) + ' ';
        line += fmt::format("{:<5} ", name_of(level));
    }
    append_value(line, event, false);
    for (const LogField& field : fields) {
        line += ' ';
        line += field.key;
        line += '=';
        append_value(line, field.value, false);
    }
    if (suppressed > 0) line += fmt::format(" suppressed={}", suppressed);
    return line;
}

}  // namespace mitu::trace
