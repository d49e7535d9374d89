// Who is refused has a cause, by a bound of its own tenant or of the server, and it is recorded.

#include <fmt/format.h>

#include <algorithm>

#include "sim/checkers/attendance.hpp"
#include "sim/checkers/checkers.hpp"

namespace mitu::sim {
namespace {

using admission::Limit;
using admission::Quota;
using admission::Scope;
using admission::TenantLimits;
using mqtt::ReasonCode;

// How much later than its CONNECT a client may be judged: a password that takes its time.
constexpr Duration login_time_max = Duration::seconds(2);

/// Nobody is refused without a cause: what a tenant may have, and what is kept for it, it gets,
/// whatever the others do; and the server knows afterwards why it refused.
class RefusedForACause final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_read(const ConnectionRecord& c, const Sighting& s) override {
        const auto* const p = s.as<mqtt::Connect>();
        if (p == nullptr) return;
        const ClientKey key = client_key(p->user_name.value_or(""), p->client_id);
        attendance_.note(key.tenant, c, s.at);
        comes_[key].note(s.at);
        const std::string password{as_text(p->password.value_or(ByteView{}))};
        if (key.tenant != "default" && password != key.client_id) guesses_.insert(c.serial);
    }
    void on_written(const ConnectionRecord& c, const Sighting& s) override {
        const auto* const p = s.as<mqtt::Connack>();
        if (p == nullptr) {
            if (const auto* suback = s.as<mqtt::Suback>()) judge_suback(c, *suback, s.at);
            return;
        }
        if (p->reason == ReasonCode::success) {
            takes_[c.key.tenant].note(s.at);
            return;
        }
        if (!c.has_connect || c.sent_garbage || world_.server_is_stopping()) return;
        const auto attempt = find(c, s);
        if (!attempt) {
            broken(fmt::format("{}: refused ({}), and nothing tells why", describe(c),
                               mqtt::to_text(p->reason)));
            return;
        }
        if (const bool is_v5 = c.version == mqtt::ProtocolVersion::v5;
            is_v5 && static_cast<std::uint8_t>(p->reason) != attempt->reason) {
            broken(fmt::format("{}: told {}, recorded as {}", describe(c), mqtt::to_text(p->reason),
                               mqtt::to_text(ReasonCode{attempt->reason})));
        }
        if (has_cause(c, *attempt, s.at)) return;
        broken(fmt::format("{}: refused without a cause: {} {}", describe(c),
                           mqtt::to_text(ReasonCode{attempt->reason}), attempt->text));
    }
    /// Gone before CONNACK: it may have come in, and have taken of the rate.
    void on_closed(const ConnectionRecord& c, bool /*by_broker*/, Instant at) override {
        if (c.has_connect && c.session == nullptr && !c.is_refused) takes_[c.key.tenant].note(at);
    }

    void on_session_broke(const SessionBreak& one) override { broke_[one.key] = one.at; }

private:
    [[nodiscard]] std::optional<admission::RefusedAttempt> find(const ConnectionRecord& c,
                                                                const Sighting& s) const {
        const auto tenant = world_.catalog().find_tenant(c.key.tenant);
        std::optional<admission::RefusedAttempt> found;
        auto& server = world_.server();
        for (std::uint16_t i = 0; i < server.shard_count(); ++i) {
            const auto& attempts = server.shard(i).refused_attempts();
            for (const TenantId id : {tenant_default, tenant.value_or(tenant_default)}) {
                for (const auto& one : attempts.of_client(id, c.key.client_id)) {
                    // What was decided before a shard stalled is written afterwards.
                    const bool is_now = one.last + world_.stall_slack() >= s.at;
                    if (!is_now && !s.may_have_waited) continue;
                    if (!found || one.last > found->last) found = one;
                }
            }
        }
        return found;
    }

    [[nodiscard]] bool has_cause(const ConnectionRecord& c,
                                 const admission::RefusedAttempt& attempt, Instant now) {
        if (!attempt.has_bound) return has_other_cause(c, ReasonCode{attempt.reason}, now);
        const Authority& authority = world_.authority();
        switch (attempt.bound.limit) {
            case Limit::ban:
                return authority.is_banned(c.key, c.connect_read_at, now, false) ||
                       flaps(c.key, now);
            case Limit::flapping:
                takes_[c.key.tenant].note(now);
                return flaps(c.key, now);
            case Limit::memory:
                return authority.was_on_since(admission::SheddingStep::refuse_new_connections,
                                              c.connect_read_at);
            case Limit::connections:
                takes_[c.key.tenant].note(now);
                return attempt.bound.scope == Scope::tenant   ? tenant_is_full(c)
                       : attempt.bound.scope == Scope::server ? server_is_full(c)
                                                              : false;
            case Limit::connect_rate:
                return attempt.bound.scope == Scope::tenant && rate_is_spent(c, now);
            default:
                return false;  // nothing else is bounded here
        }
    }
    [[nodiscard]] bool has_other_cause(const ConnectionRecord& c, ReasonCode reason,
                                       Instant now) const {
        switch (reason) {
            case ReasonCode::bad_user_name_or_password:
                return guesses_.contains(c.serial);
            case ReasonCode::implementation_specific_error:
                return breaks(c.key, now);
            case ReasonCode::quota_exceeded:
                // Its will, or what the session needs, found no memory.
                return c.will != 0 || breaks(c.key, now) || world_.sessions_may_lack_memory();
            case ReasonCode::packet_too_large:
                return c.maximum_packet_size != 0;
            default:
                return false;
        }
    }

    /// Its session broke while it was made.
    [[nodiscard]] bool breaks(const ClientKey& key, Instant now) const {
        const auto found = broke_.find(key);
        return found != broke_.end() && now - found->second <= login_time_max;
    }
    [[nodiscard]] const Ordered<TenantLimits>& limits_of(const std::string& tenant) const {
        return world_.authority().limits.at(tenant);
    }
    [[nodiscard]] bool tenant_is_full(const ConnectionRecord& c) const {
        const std::uint64_t others =
            attendance_.possible(c.key.tenant, c, before(c.connect_read_at, login_time_max));
        return limits_of(c.key.tenant).any_since(c.connect_read_at, [&](TenantLimits one) {
            return others >= one[Quota::connections].maximum;
        });
    }
    /// A tenant that has less than is kept for it always finds a place.
    [[nodiscard]] bool server_is_full(const ConnectionRecord& c) const {
        const Instant since = before(c.connect_read_at, login_time_max);
        const auto kept_for = [&](const std::string& tenant) {
            return TenantLimits{limits_of(tenant).now()}[Quota::connections].reserved;
        };
        const std::uint64_t own = attendance_.possible(c.key.tenant, c, since);
        if (own < kept_for(c.key.tenant)) return false;
        std::uint64_t taken = own;
        for (const auto& [tenant, limits] : world_.authority().limits) {
            if (tenant == c.key.tenant) continue;
            taken += std::max(attendance_.possible(tenant, c, since), kept_for(tenant));
        }
        return world_.authority().connections_max.any_since(
            c.connect_read_at, [&](std::uint64_t maximum) { return taken >= maximum; });
    }
    /// All that its tenant may have taken is as much as there was: nothing went to others.
    [[nodiscard]] bool rate_is_spent(const ConnectionRecord& c, Instant now) {
        const RateLog& log = takes_[c.key.tenant];
        return limits_of(c.key.tenant).any_since(c.connect_read_at, [&](const TenantLimits& one) {
            if (!one.connect_rate.is_limited()) return false;
            // One that may have had no room before is let in when it has; a change counts anew.
            constexpr double extra = -1;
            return log.excess(one.connect_rate, now, Instant{}, extra,
                              Duration{} - login_time_max) >= -0.001;
        });
    }
    [[nodiscard]] bool flaps(const ClientKey& key, Instant now) {
        const auto& options = world_.authority().flapping;
        if (options.connects_max == 0) return false;
        // Evenly emptied over the window; and the ban lasts.
        const double per_second = options.connects_max / options.window.as_seconds();
        const auto until = flaps_until_.find(key);
        if (until != flaps_until_.end() && now <= until->second) return true;
        // Two that came apart may have been judged together.
        const double most =
            comes_[key].most_at_once(per_second, now) + per_second * login_time_max.as_seconds();
        if (most <= options.connects_max) return false;
        flaps_until_[key] = now + options.ban;
        return true;
    }
    /// A subscription is refused for want of room only if its tenant has too many.
    void judge_suback(const ConnectionRecord& c, const mqtt::Suback& suback, Instant now) {
        const bool is_short = std::any_of(
            suback.reasons.begin(), suback.reasons.end(),
            [](std::uint8_t reason) { return ReasonCode{reason} == ReasonCode::quota_exceeded; });
        if (!is_short || world_.sessions_may_lack_memory()) return;
        if (world_.keeping().was_short_between(before(now, login_time_max), now)) return;
        std::uint64_t possible = 0;
        for (const auto& session : model_.sessions()) {
            if (session->key.tenant != c.key.tenant) continue;
            if (session->has_ended && now - session->ended_at > login_time_max) continue;
            possible += session->subscriptions.size();
        }
        const auto& all = world_.authority().limits;
        const auto limits = all.find(c.key.tenant);
        // The one that is refused is counted too.
        const bool has_cause =
            limits != all.end() &&
            limits->second.any_since(before(now, login_time_max), [&](TenantLimits one) {
                return possible > one[Quota::subscriptions].maximum;
            });
        if (has_cause) return;
        broken(fmt::format("{}: a subscription is refused, and its tenant has {} at most",
                           describe(c), possible));
    }

    /// A bucket that runs out evenly.
    class Bucket {
    public:
        void note(Instant at) { times_.push_back(at); }
        [[nodiscard]] double most_at_once(double per_second, Instant now) const {
            double level = 0;
            double most = 0;
            Instant last;
            for (const Instant at : times_) {
                if (at > now) break;
                level = std::max(0.0, level - per_second * (at - last).as_seconds()) + 1;
                last = at;
                most = std::max(most, level);
            }
            return most;
        }

    private:
        std::vector<Instant> times_;
    };

    Attendance attendance_;
    std::map<ClientKey, Bucket> comes_;
    std::map<ClientKey, Instant> flaps_until_;
    std::map<ClientKey, Instant> broke_;
    std::map<std::string, RateLog> takes_;  // of the connect rate, by tenant
    std::set<ConnectionSerial> guesses_;
};

/// Who tries again and again gets in: refusals for the pace of its tenant alone come to an end.
class NobodyStarves final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_written(const ConnectionRecord& c, const Sighting& s) override {
        const auto* const p = s.as<mqtt::Connack>();
        if (p == nullptr || !c.has_connect) return;
        if (p->reason != ReasonCode::connection_rate_exceeded) {
            refused_.erase(c.key);
            return;
        }
        // Those before it were served; after so many it would be chance of one in a billion.
        Refused& refused = refused_[c.key];
        if (refused.count++ == 0) refused.since = s.at;
        constexpr std::uint32_t enough = 60;
        constexpr Duration long_time = Duration::seconds(120);
        if (refused.count < enough || s.at - refused.since < long_time) return;
        broken(fmt::format("{}: refused {} times in {} s for the pace of its tenant", describe(c),
                           refused.count, (s.at - refused.since).count_s()));
    }

private:
    struct Refused {
        Instant since;
        std::uint32_t count = 0;
    };
    std::map<ClientKey, Refused> refused_;
};

/// When the world is quiet, each tenant has taken what it has, of its own quota.
class QuotasAreCounted final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void at_end(Instant /*now*/) override {
        if (!world_.server_is_up() || world_.server().admission() == nullptr) return;
        std::map<std::string, std::uint64_t> connections;
        for (const auto& [serial, c] : model_.connections()) {
            if (c.is_open && c.session != nullptr) ++connections[c.key.tenant];
        }
        for (const auto& [tenant, limits] : world_.authority().limits) {
            const auto id = world_.catalog().find_tenant(tenant);
            const std::uint64_t taken =
                world_.server().admission()->ledger.tenant(*id).used(Quota::connections);
            if (taken == connections[tenant]) continue;
            broken(fmt::format("tenant {} has {} connections, and {} are taken of its quota",
                               tenant, connections[tenant], taken));
        }
    }
};

}  // namespace

std::unique_ptr<Checker> check_refused_for_a_cause(World& world, Model& model) {
    return std::make_unique<RefusedForACause>("refused_for_a_cause", world, model);
}
std::unique_ptr<Checker> check_nobody_starves(World& world, Model& model) {
    return std::make_unique<NobodyStarves>("nobody_starves", world, model);
}
std::unique_ptr<Checker> check_quotas_are_counted(World& world, Model& model) {
    return std::make_unique<QuotasAreCounted>("quotas_are_counted", world, model);
}

}  // namespace mitu::sim
