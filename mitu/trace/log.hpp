#pragma once
// Structured logs: one event, one line.
//   log(Level::info, "listening", {{"address", address}, {"shards", shards}});

#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "mitu/ports/clock.hpp"

namespace mitu::trace {

enum class Level : std::uint8_t { debug, info, warn, error, off };

enum class LogFormat : std::uint8_t {
    human,   // 12:34:56.789 warn  accept_paused reason="no file left"
    logfmt,  // time=2024-05-01T12:34:56.789Z level=warn event=accept_paused reason="no file left"
    json,    // {"time":"2024-05-01T12:34:56.789Z","level":"warn","event":"accept_paused",...}
};

/// One key and its value. Borrows text until the call that it is given to returns.
struct LogField {
    using Value = std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool>;

    LogField(std::string_view field_key, std::string_view text) : key{field_key}, value{text} {}
    LogField(std::string_view field_key, const char* text)
        : key{field_key}, value{std::string_view{text}} {}
    LogField(std::string_view field_key, const std::string& text)
        : key{field_key}, value{std::string_view{text}} {}
    template <class Number>
        requires std::is_arithmetic_v<Number>
    LogField(std::string_view field_key, Number number) : key{field_key}, value{to_value(number)} {}

    std::string_view key;
    Value value;

private:
    template <class Number>
    static Value to_value(Number number) {
        if constexpr (std::same_as<Number, bool>) return number;
        if constexpr (std::floating_point<Number>) return static_cast<double>(number);
        if constexpr (std::signed_integral<Number>) return static_cast<std::int64_t>(number);
        return static_cast<std::uint64_t>(number);
    }
};

struct LogOptions {
    Level level = Level::info;
    LogFormat format = LogFormat::human;
    /// Stamps lines and refills the rate limit; outlives the logging. nullptr: neither is done.
    const ports::Clock* clock = nullptr;
    std::uint32_t lines_per_event_and_second_max = 20;
    /// Where lines go, without their line end; empty: stderr. Called by one thread at a time.
    std::function<void(Level, std::string_view line)> write_line;
};

/// Replaces how this process logs. Until then: warnings and errors, human, to stderr.
/// Threading  any thread.
void configure_log(LogOptions options);

/// text: human on a terminal, logfmt otherwise. nullopt: neither text nor json.
[[nodiscard]] std::optional<LogFormat> parse_log_format(std::string_view text);
/// debug, info, warn, error, off.
[[nodiscard]] std::optional<Level> parse_level(std::string_view text);

namespace log_detail {
extern std::atomic<Level> level;
void write(Level level, std::string_view event, std::initializer_list<LogField> fields);
}  // namespace log_detail

/// For fields that are costly to compute.
[[nodiscard]] inline bool log_enabled(Level level) noexcept {
    return level >= log_detail::level.load(std::memory_order_relaxed);
}

/// `event` is a constant in snake_case: it is what people search for and what the rate limit
/// counts. After lines_per_event_and_second_max, lines of that event are dropped until the second
/// is over; the next one says how many (suppressed=N).
/// Threading  any thread.
/// Cost       filtered out: a relaxed load and building the fields. Else a mutex and a write(2).
inline void log(Level level, std::string_view event, std::initializer_list<LogField> fields = {}) {
    if (log_enabled(level)) log_detail::write(level, event, fields);
}

/// Says how many lines were dropped of events that did not come again, and empties buffers.
void flush_log();

}  // namespace mitu::trace
