#include "mitu/trace/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <utility>

#include "mitu/base/mutex.hpp"
#include "mitu/trace/log_line.hpp"

namespace mitu::trace {
namespace {

// Event names are constants of the program; the bound only keeps a mistake from growing.
constexpr std::size_t events_max = 1'024;

spdlog::level::level_enum to_spdlog(Level level) {
    switch (level) {
        case Level::debug:
            return spdlog::level::debug;
        case Level::info:
            return spdlog::level::info;
        case Level::warn:
            return spdlog::level::warn;
        case Level::error:
            return spdlog::level::err;
        case Level::off:
            break;
    }
    return spdlog::level::off;
}

/// The one log of this process.
class Log {
public:
    Log() : stderr_{"mitu", std::make_shared<spdlog::sinks::stderr_color_sink_st>()} {
        stderr_.set_level(spdlog::level::trace);
        stderr_.flush_on(spdlog::level::warn);
        stderr_.set_pattern("%v");
    }

    void configure(LogOptions options) {
        const MutexLock lock{mutex_};
        options_ = std::move(options);
        events_.clear();
        // People at a terminal get their lines tinted by level.
        stderr_.set_pattern(options_.format == LogFormat::human ? "%^%v%$" : "%v");
    }

    void write(Level level, std::string_view event, std::span<const LogField> fields) {
        const MutexLock lock{mutex_};
        std::uint64_t suppressed = 0;
        if (options_.clock != nullptr && !may_pass(event, level, suppressed)) return;
        write_line(level, event, fields, suppressed);
    }

    void flush() {
        const MutexLock lock{mutex_};
        for (auto& [event, rate] : events_) {
            const std::uint64_t suppressed = std::exchange(rate.suppressed, 0);
            if (suppressed > 0) write_line(rate.level, event, {}, suppressed);
        }
        stderr_.flush();
    }

private:
    struct Rate {
        Instant second_began;
        std::uint32_t lines = 0;
        std::uint64_t suppressed = 0;
        Level level = Level::info;
    };

    bool may_pass(std::string_view event, Level level, std::uint64_t& suppressed)
        MITU_REQUIRES(mutex_) {
        auto found = events_.find(event);
        const Instant now = options_.clock->now();
        if (found == events_.end()) {
            if (events_.size() >= events_max) return true;
            found = events_.emplace(event, Rate{now, 0, 0, level}).first;
        }
        Rate& rate = found->second;
        rate.level = level;
        if (now - rate.second_began >= Duration::seconds(1)) {
            rate.second_began = now;
            rate.lines = 0;
        }
        if (rate.lines >= options_.lines_per_event_and_second_max) {
            ++rate.suppressed;
            return false;
        }
        ++rate.lines;
        suppressed = std::exchange(rate.suppressed, 0);
        return true;
    }

    void write_line(Level level, std::string_view event, std::span<const LogField> fields,
                    std::uint64_t suppressed) MITU_REQUIRES(mutex_) {
        std::optional<WallTime> time;
        if (options_.clock != nullptr) time = options_.clock->wall();
        const std::string line =
            format_log_line(options_.format, time, level, event, fields, suppressed);
        if (options_.write_line) {
            options_.write_line(level, line);
        } else {
            stderr_.log(to_spdlog(level), spdlog::string_view_t{line.data(), line.size()});
        }
    }

    Mutex mutex_;
    LogOptions options_ MITU_GUARDED_BY(mutex_);
    std::map<std::string, Rate, std::less<>> events_ MITU_GUARDED_BY(mutex_);
    spdlog::logger stderr_ MITU_GUARDED_BY(mutex_);
};

// Never destroyed: threads that outlive main() may still log.
Log& the_log() {
    static Log* const log = new Log;
    return *log;
}

}  // namespace

namespace log_detail {

std::atomic<Level> level{Level::warn};

void write(Level line_level, std::string_view event, std::initializer_list<LogField> fields) {
    the_log().write(line_level, event, {fields.begin(), fields.size()});
}

}  // namespace log_detail

void configure_log(LogOptions options) {
    const Level level = options.level;
    the_log().configure(std::move(options));
    log_detail::level.store(level, std::memory_order_relaxed);
}

void flush_log() { the_log().flush(); }

std::optional<LogFormat> parse_log_format(std::string_view text) {
    if (text == "json") return LogFormat::json;
    if (text != "text") return std::nullopt;
    return ::isatty(STDERR_FILENO) == 1 ? LogFormat::human : LogFormat::logfmt;
}

std::optional<Level> parse_level(std::string_view text) {
    if (text == "debug") return Level::debug;
    if (text == "info") return Level::info;
    if (text == "warn") return Level::warn;
    if (text == "error") return Level::error;
    if (text == "off") return Level::off;
    return std::nullopt;
}

}  // namespace mitu::trace
