#pragma once
// Attendance: whose connections have a place at the broker, as far as can be seen from outside.

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/model.hpp"

namespace mitu::sim {

class Attendance {
public:
    /// A CONNECT was read; the record may not have it yet.
    void note(const std::string& tenant, const ConnectionRecord& c, Instant now) {
        auto& all = by_tenant_[tenant];
        std::erase_if(all, [&](const ConnectionRecord* one) {
            return now - one->closed_at > Duration::seconds(60);
        });
        all.push_back(&c);
    }
    /// How many others may have had a place at some time since then.
    [[nodiscard]] std::uint64_t possible(const std::string& tenant, const ConnectionRecord& except,
                                         Instant since) const {
        return count(tenant, except,
                     [&](const ConnectionRecord& c) { return c.closed_at >= since; });
    }
    /// Whether another connection of the same client may have had a place at that moment.
    [[nodiscard]] bool takes_over(const ConnectionRecord& c, Instant at) const {
        return count(c.key.tenant, c, [&](const ConnectionRecord& other) {
                   return other.key == c.key && other.closed_at >= at;
               }) != 0;
    }
    /// How many others have one for certain.
    [[nodiscard]] std::uint64_t certain(const std::string& tenant, const ConnectionRecord& except,
                                        Instant now) const {
        return count(tenant, except, [&](const ConnectionRecord& c) {
            const bool is_silent = c.keep_alive_s != 0 &&
                                   now - c.last_read_at >=
                                       Duration::milliseconds(std::int64_t{c.keep_alive_s} * 1'500);
            return c.is_open && c.session != nullptr && c.session->connection == c.serial &&
                   !c.superseded_at && !c.client_goodbye && !c.server_goodbye && !c.is_lawless() &&
                   !c.is_held_up && !is_silent && now < c.valid_until;
        });
    }

private:
    template <class Is>
    [[nodiscard]] std::uint64_t count(const std::string& tenant, const ConnectionRecord& except,
                                      Is is) const {
        const auto found = by_tenant_.find(tenant);
        if (found == by_tenant_.end()) return 0;
        return static_cast<std::uint64_t>(
            std::count_if(found->second.begin(), found->second.end(),
                          [&](const ConnectionRecord* c) { return c != &except && is(*c); }));
    }
    std::map<std::string, std::vector<const ConnectionRecord*>> by_tenant_;
};

/// When something was taken from a rate.
class RateLog {
public:
    void note(Instant at) {
        if (times_.size() == kept) times_.erase(times_.begin(), times_.begin() + kept / 2);
        times_.push_back(at);
    }
    void clear() noexcept { times_.clear(); }
    /// By how many more than the rate allows, with `extra` tokens and so much time given, were
    /// taken in some stretch that ends now and begins at or after `since`. Below 0: it was kept.
    [[nodiscard]] double excess(const admission::Rate& rate, Instant now, Instant since,
                                double extra, Duration tolerance) const {
        double worst = -1e18;
        const auto count = times_.size();
        for (std::size_t i = count; i-- > 0;) {
            if (times_[i] < since) break;
            const double allowed =
                static_cast<double>(rate.capacity()) + extra +
                static_cast<double>(rate.rate()) * ((now - times_[i]) + tolerance).as_seconds();
            worst = std::max(worst, static_cast<double>(count - i) - allowed);
        }
        return worst;
    }

private:
    static constexpr std::ptrdiff_t kept = 512;
    std::vector<Instant> times_;
};

}  // namespace mitu::sim
