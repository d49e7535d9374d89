// What the operator has ordered holds: bans, quotas, rates, rights, the end of credentials.

#include <fmt/format.h>

#include <algorithm>

#include "mitu/mqtt/topic.hpp"
#include "sim/checkers/attendance.hpp"
#include "sim/checkers/checkers.hpp"

namespace mitu::sim {
namespace {

using admission::Quota;
using admission::TenantLimits;
using mqtt::ReasonCode;

/// CONNACK of a client that comes in, in the turn in which that was decided.
bool lets_in(const ConnectionRecord& c, const Sighting& s) {
    const auto* const connack = s.as<mqtt::Connack>();
    return connack != nullptr && connack->reason == ReasonCode::success && !s.may_have_waited &&
           !c.superseded_at;
}

const Ordered<TenantLimits>* limits_of(const World& world, const std::string& tenant) {
    const auto& all = world.authority().limits;
    const auto found = all.find(tenant);
    return found != all.end() ? &found->second : nullptr;
}

/// From the moment at which a ban is set, nobody whom it means comes in: not on a connection that
/// was there before either, nor with a login that was under way.
class BansHold final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_written(const ConnectionRecord& c, const Sighting& s) override {
        if (!lets_in(c, s)) return;
        // What was decided before a shard stalled is written afterwards.
        const Instant since = before(s.at, world_.stall_slack());
        if (!world_.authority().is_banned(c.key, since, s.at, true)) return;
        broken(fmt::format("{} is let in, and banned", describe(c)));
    }
};

/// No tenant gets more of what is bounded than it may have. Who has more since a quota was lowered
/// keeps it.
class QuotasHold final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_read(const ConnectionRecord& c, const Sighting& s) override {
        if (const auto* const p = s.as<mqtt::Connect>()) {
            attendance_.note(client_key(p->user_name.value_or(""), p->client_id).tenant, c, s.at);
        }
        if (const auto* const p = s.as<mqtt::Subscribe>()) {
            Asked& asked = asked_[{c.serial, p->packet_id}];
            asked = {s.at, s.step, {}};
            ByteView rest = p->filters.encoded;
            while (const auto entry = mqtt::SubscriptionList::next(rest)) {
                asked.filters.emplace_back(entry->filter);
            }
        }
    }
    void on_written(const ConnectionRecord& c, const Sighting& s) override {
        const auto* const limits = limits_of(world_, c.key.tenant);
        if (limits == nullptr) return;
        if (lets_in(c, s)) judge_connection(c, s, *limits);
        if (const auto* const p = s.as<mqtt::Suback>()) {
            const auto node = asked_.extract({c.serial, p->packet_id});
            if (!node.empty()) judge_subscriptions(c, s, *p, node.mapped(), *limits);
        }
    }

private:
    struct Asked {
        Instant at;
        std::uint64_t step = 0;
        std::vector<std::string> filters;
    };

    void judge_connection(const ConnectionRecord& c, const Sighting& s,
                          const Ordered<TenantLimits>& limits) {
        // A take-over needs no place of its own.
        if (attendance_.takes_over(c, s.at)) return;
        if (model_.may_have_unseen_session(c.key, c.serial)) return;
        if (world_.authority().was_on_since(admission::SheddingStep::disconnect_slowest,
                                            before(s.at, Duration::seconds(6)))) {
            return;
        }
        const std::uint64_t others = attendance_.certain(c.key.tenant, c, s.at);
        const bool is_over = limits.all_since(c.connect_read_at, [&](TenantLimits one) {
            return others >= one[Quota::connections].maximum;
        });
        if (!is_over) return;
        broken(fmt::format("{} is let in as number {} of its tenant", describe(c), others + 1));
    }
    void judge_subscriptions(const ConnectionRecord& c, const Sighting& s,
                             const mqtt::Suback& suback, const Asked& asked,
                             const Ordered<TenantLimits>& limits) {
        if (c.session == nullptr || c.superseded_at || s.may_have_waited) return;
        for (std::size_t i = 0; i < asked.filters.size() && i < suback.reasons.size(); ++i) {
            if (suback.reasons[i] >= 0x80) continue;
            const auto known = c.session->subscriptions.find(asked.filters[i]);
            // One that it asks for again it may have.
            if (known == c.session->subscriptions.end() || known->second.pending_count != 1 ||
                known->second.first_asked_step != asked.step) {
                continue;
            }
            const std::uint64_t count = certain_subscriptions(c.key.tenant, s.at);
            const bool is_over = limits.all_since(asked.at, [&](TenantLimits one) {
                return count >= one[Quota::subscriptions].maximum;
            });
            if (!is_over) continue;
            broken(fmt::format("{} gets {} as subscription {} of its tenant", describe(c),
                               asked.filters[i], count + 1));
        }
    }
    [[nodiscard]] std::uint64_t certain_subscriptions(const std::string& tenant,
                                                      Instant now) const {
        std::uint64_t count = 0;
        for (const auto& session : model_.sessions()) {
            if (session->has_ended || session->is_unsure || session->end_is_unsure ||
                session->key.tenant != tenant || session->ends_at <= now) {
                continue;
            }
            for (const auto& [filter, sub] : session->subscriptions) {
                if (sub.is_stable() && sub.pending_count == 0) ++count;
            }
        }
        return count;
    }

    Attendance attendance_;
    std::map<std::pair<ConnectionSerial, std::uint16_t>, Asked> asked_;
};

/// No tenant comes in, or is heard, faster than its rate by more than the burst.
class RatesHold final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_written(const ConnectionRecord& c, const Sighting& s) override {
        const auto* const limits = limits_of(world_, c.key.tenant);
        if (limits == nullptr || s.may_have_waited) return;
        if (limits->done() != since_[c.key.tenant]) {
            since_[c.key.tenant] = limits->done();
            comes_[c.key.tenant].clear();
            says_[c.key.tenant].clear();
        }
        if (lets_in(c, s)) judge_connect(c, s, limits->now().connect_rate);
        const bool is_answer = s.as<mqtt::Puback>() != nullptr || s.as<mqtt::Pubrec>() != nullptr;
        if (is_answer) judge_message(c, s, limits->now().message_rate, limits->done());
    }

private:
    void judge_connect(const ConnectionRecord& c, const Sighting& s, const admission::Rate& rate) {
        RateLog& log = comes_[c.key.tenant];
        log.note(s.at);
        if (!rate.is_limited() ||
            log.excess(rate, s.at, Instant{}, 0.001, world_.stall_slack()) < 0)
            return;
        broken(fmt::format("{} is let in, above {} in a second and {} at once", describe(c),
                           rate.per_second, rate.capacity()));
    }
    /// An answer shows that its message was taken in, at the latest: with what each shard may have
    /// taken ahead, the one message of each client that overdraws, and a second for the way.
    void judge_message(const ConnectionRecord& c, const Sighting& s, const admission::Rate& rate,
                       Instant since) {
        RateLog& log = says_[c.key.tenant];
        log.note(s.at);
        constexpr Duration way = Duration::seconds(1);
        const double shards = world_.server().shard_count();
        const double extra =
            shards * (1 + static_cast<double>(rate.capacity()) / 32) + clients_of(c.key.tenant);
        if (!rate.is_limited() || log.excess(rate, s.at, since + way, extra, way) < 0) return;
        broken(fmt::format("{} is answered, above {} messages in a second and {} at once",
                           describe(c), rate.per_second, rate.capacity()));
    }
    [[nodiscard]] double clients_of(const std::string& tenant) const {
        const auto& all = model_.sessions();
        return static_cast<double>(std::count_if(all.begin(), all.end(), [&](const auto& session) {
            return session->key.tenant == tenant && session->connection != 0;
        }));
    }

    std::map<std::string, Instant> since_;
    std::map<std::string, RateLog> comes_;
    std::map<std::string, RateLog> says_;
};

/// When a reload is done at every shard, nothing that it forbids is accepted, granted or delivered
/// any more; not from a queue either, nor to who logged in meanwhile.
class RightsHold final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_read(const ConnectionRecord& c, const Sighting& s) override {
        const auto* const p = s.as<mqtt::Subscribe>();
        if (p == nullptr) return;
        Asked& asked = asked_[{c.serial, p->packet_id}];
        asked = {s.at, {}};
        ByteView rest = p->filters.encoded;
        while (const auto entry = mqtt::SubscriptionList::next(rest)) {
            const auto shared = mqtt::parse_shared(entry->filter);
            asked.filters.emplace_back(shared ? shared->filter : entry->filter);
        }
    }
    void on_written(const ConnectionRecord& c, const Sighting& s) override {
        if (const auto* p = s.as<mqtt::Puback>()) accepted(c, c.puback_due, p->reason);
        if (const auto* p = s.as<mqtt::Pubrec>()) accepted(c, c.pubrec_due, p->reason);
        const auto* const p = s.as<mqtt::Suback>();
        if (p == nullptr) return;
        const auto node = asked_.extract({c.serial, p->packet_id});
        if (node.empty()) return;
        const auto& filters = node.mapped().filters;
        for (std::size_t i = 0; i < filters.size() && i < p->reasons.size(); ++i) {
            if (p->reasons[i] >= 0x80) continue;
            const bool is_taken = world_.authority().rights.all_since(
                node.mapped().at,
                [&](Rights rights) { return takes_subscription(c.key, filters[i], rights); });
            if (is_taken) broken(fmt::format("{} is granted {}", describe(c), filters[i]));
        }
    }
    void on_delivery(const ConnectionRecord& c, const MessageRecord& m,
                     const mqtt::Publish& publish, const Sighting& s) override {
        if (publish.dup || s.may_have_waited) return;
        const Instant since = before(s.at, Duration::milliseconds(100) + world_.stall_slack());
        if (world_.authority().may_receive_since(c.key, m.topic, since, false)) return;
        broken(
            fmt::format("{} leaves for {} after its rights were taken", describe(m), describe(c)));
    }

private:
    struct Asked {
        Instant at;
        std::vector<std::string> filters;
    };
    void accepted(const ConnectionRecord& c,
                  const std::deque<std::pair<std::uint16_t, MessageNumber>>& due,
                  ReasonCode reason) {
        // 3.1.1 has no word for a refusal.
        if (mqtt::is_error(reason) || c.version != mqtt::ProtocolVersion::v5) return;
        const MessageRecord* const m = due.empty() ? nullptr : model_.message(due.front().second);
        if (m == nullptr || m->read_count != 1) return;
        if (world_.authority().may_publish_since(c.key, m->topic, m->last_read_at, false)) return;
        broken(fmt::format("{} of {} is accepted", describe(*m), describe(c)));
    }
    std::map<std::pair<ConnectionSerial, std::uint16_t>, Asked> asked_;
};

/// What a client has proved holds as long as was agreed, and no longer.
class CredentialsEnd final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_written(const ConnectionRecord& c, const Sighting& s) override {
        const auto* const p = s.as<mqtt::Disconnect>();
        if (p == nullptr || p->reason != ReasonCode::maximum_connect_time) return;
        if (s.at >= c.valid_until) return;
        broken(fmt::format("{}: its credentials end before their time", describe(c)));
    }
    void on_heard(const ConnectionRecord& c, Instant at) override { judge(c, at); }
    void on_closed(const ConnectionRecord& c, bool /*by_broker*/, Instant at) override {
        judge(c, at);
    }
    void at_end(Instant now) override {
        for (const auto& [serial, c] : model_.connections()) judge(c, now);
    }

private:
    void judge(const ConnectionRecord& c, Instant now) {
        // A client that takes nothing is given a while to take its DISCONNECT.
        constexpr Duration slack = Duration::seconds(6);
        if (!c.is_open || c.session == nullptr || c.superseded_at || c.valid_until.is_never())
            return;
        if (now <= c.valid_until + slack) return;
        broken(fmt::format("{} is here {} ms after its credentials have expired", describe(c),
                           (now - c.valid_until).count_ms()));
    }
};

}  // namespace

std::unique_ptr<Checker> check_bans_hold(World& world, Model& model) {
    return std::make_unique<BansHold>("bans_hold", world, model);
}
std::unique_ptr<Checker> check_quotas_hold(World& world, Model& model) {
    return std::make_unique<QuotasHold>("quotas_hold", world, model);
}
std::unique_ptr<Checker> check_rates_hold(World& world, Model& model) {
    return std::make_unique<RatesHold>("rates_hold", world, model);
}
std::unique_ptr<Checker> check_rights_hold(World& world, Model& model) {
    return std::make_unique<RightsHold>("rights_hold", world, model);
}
std::unique_ptr<Checker> check_credentials_end(World& world, Model& model) {
    return std::make_unique<CredentialsEnd>("credentials_end", world, model);
}

}  // namespace mitu::sim
