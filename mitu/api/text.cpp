#include "mitu/api/text.hpp"

#include <fmt/format.h>

#include <charconv>
#include <chrono>

namespace mitu::api {
namespace {

std::optional<int> read_number(std::string_view text, std::size_t at, std::size_t digits) {
    if (text.size() < at + digits) return std::nullopt;
    int value = 0;
    for (const char c : text.substr(at, digits)) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + (c - '0');
    }
    return value;
}

}  // namespace

std::string time_text(WallTime time) {
    using namespace std::chrono;
    const sys_time<milliseconds> at{milliseconds{time.unix_ms}};
    const auto day = floor<days>(at);
    const year_month_day date{day};
    const hh_mm_ss<milliseconds> clock{at - day};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", int(date.year()),
                       unsigned(date.month()), unsigned(date.day()), clock.hours().count(),
                       clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

std::optional<WallTime> parse_time(std::string_view text) {
    using namespace std::chrono;
    constexpr std::string_view form = "0000-00-00T00:00:00";
    if (text.size() < form.size() + 1 || !text.ends_with('Z')) return std::nullopt;
    for (const std::size_t at :
         {std::size_t{4}, std::size_t{7}, std::size_t{10}, std::size_t{13}, std::size_t{16}}) {
        if (text[at] != form[at]) return std::nullopt;
    }
    const auto year_number = read_number(text, 0, 4);
    const auto month_number = read_number(text, 5, 2);
    const auto day_number = read_number(text, 8, 2);
    const auto hour = read_number(text, 11, 2);
    const auto minute = read_number(text, 14, 2);
    const auto second = read_number(text, 17, 2);
    if (!year_number || !month_number || !day_number || !hour || !minute || !second) {
        return std::nullopt;
    }
    int millisecond = 0;
    const std::string_view rest = text.substr(form.size(), text.size() - form.size() - 1);
    if (!rest.empty()) {
        const auto number = read_number(rest, 1, 3);
        if (rest.size() != 4 || rest[0] != '.' || !number) return std::nullopt;
        millisecond = *number;
    }
    const year_month_day date{year{*year_number}, month{static_cast<unsigned>(*month_number)},
                              day{static_cast<unsigned>(*day_number)}};
    if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
    const auto at = sys_days{date} + hours{*hour} + minutes{*minute} + seconds{*second};
    return WallTime{duration_cast<milliseconds>(at.time_since_epoch()).count() + millisecond};
}

std::string make_cursor(const std::vector<std::uint32_t>& numbers) {
    std::string text = "c";
    for (const std::uint32_t number : numbers) text += fmt::format("{:x}.", number);
    text.pop_back();
    return text;
}

std::optional<std::vector<std::uint32_t>> read_cursor(std::string_view text, std::size_t count) {
    if (!text.starts_with('c')) return std::nullopt;
    text.remove_prefix(1);
    std::vector<std::uint32_t> numbers;
    while (numbers.size() < count) {
        const std::string_view one = text.substr(0, text.find('.'));
        std::uint32_t number = 0;
        const auto [end, error] = std::from_chars(one.data(), one.data() + one.size(), number, 16);
        if (error != std::errc{} || end != one.data() + one.size()) return std::nullopt;
        numbers.push_back(number);
        text.remove_prefix(one.size());
        const bool is_last = numbers.size() == count;
        if (is_last != text.empty()) return std::nullopt;
        if (!is_last) text.remove_prefix(1);
    }
    return numbers;
}

}  // namespace mitu::api
