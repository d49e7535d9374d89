#pragma once
// LoginLimiter: how often passwords may be tried, by address and by user.

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/base/time.hpp"

namespace mitu::api {

struct LoginLimits {
    std::int64_t burst_address = 10;
    Duration interval_address = Duration::seconds(6);
    std::int64_t burst_user = 20;  // more, so that one address alone cannot lock a user out
    Duration interval_user = Duration::seconds(3);
    std::size_t entries_max = 16'384;
};

/// So many failures a minute from one address, and as many at once; twice that for one user.
/// Shape  `per_minute` at least 1.
[[nodiscard]] inline LoginLimits login_limits(std::uint32_t per_minute) {
    constexpr std::int64_t minute_ns = 60'000'000'000;
    LoginLimits limits;
    limits.burst_address = per_minute;
    limits.interval_address = Duration::nanoseconds(minute_ns / per_minute);
    limits.burst_user = 2 * std::int64_t{per_minute};
    limits.interval_user = Duration::nanoseconds(minute_ns / (2 * std::int64_t{per_minute}));
    return limits;
}

/// A try is paid for before it is made, so that many at once gain nothing; who was right gets it
/// back. Pure.
class LoginLimiter {
public:
    explicit LoginLimiter(const LoginLimits& limits = {}) : limits_{limits} {}

    /// How long to wait; nullopt: go on.
    [[nodiscard]] std::optional<Duration> try_take(std::string_view network, std::string_view user,
                                                   Instant now) {
        const auto wait_address =
            wait(addresses_, network, limits_.burst_address, limits_.interval_address, now);
        const auto wait_user = wait(users_, user, limits_.burst_user, limits_.interval_user, now);
        if (wait_address || wait_user) {
            return std::max(wait_address.value_or(Duration{}), wait_user.value_or(Duration{}));
        }
        take(addresses_, network, limits_.interval_address, now);
        take(users_, user, limits_.interval_user, now);
        return std::nullopt;
    }
    void give_back(std::string_view network, std::string_view user) {
        give_back(addresses_, network, limits_.interval_address);
        give_back(users_, user, limits_.interval_user);
    }
    /// What was tried before still counts, at the price that it had.
    void set_limits(const LoginLimits& limits) { limits_ = limits; }
    [[nodiscard]] std::size_t entry_count() const { return addresses_.size() + users_.size(); }

private:
    /// When all tries will be paid back (GCRA).
    using Table = std::map<std::string, Instant, std::less<>>;

    static std::optional<Duration> wait(const Table& table, std::string_view name,
                                        std::int64_t burst, Duration interval, Instant now) {
        const auto found = table.find(name);
        const Instant due = found == table.end() ? now : std::max(found->second, now);
        const Duration over = due + interval - (now + interval * burst);
        if (over <= Duration{}) return std::nullopt;
        return over;
    }
    void take(Table& table, std::string_view name, Duration interval, Instant now) {
        if (const auto found = table.find(name); found != table.end()) {
            found->second = std::max(found->second, now) + interval;
            return;
        }
        if (table.size() >= limits_.entries_max) {
            std::erase_if(table, [&](const auto& entry) { return entry.second <= now; });
        }
        if (table.size() >= limits_.entries_max) table.erase(table.begin());
        table.emplace(name, now + interval);
    }
    static void give_back(Table& table, std::string_view name, Duration interval) {
        const auto found = table.find(name);
        if (found == table.end()) return;
        found->second = Instant::from_ns(found->second.since_start_ns() - interval.count_ns());
    }

    LoginLimits limits_;
    Table addresses_;
    Table users_;
};

}  // namespace mitu::api
