// Sessions: one at a time, remembered as long as agreed, answered.

#include <fmt/format.h>

#include <algorithm>

#include "sim/checkers/checkers.hpp"

namespace mitu::sim {
namespace {

using mqtt::ReasonCode;

/// Clients that read slowly may have been disconnected; what they are told leaves late.
bool was_shed(const World& world, Instant now) {
    return world.authority().was_on_since(admission::SheddingStep::disconnect_slowest,
                                          before(now, Duration::seconds(6)));
}

/// [MQTT-3.1.4-3]: a connection whose session another one has taken over is closed, as soon as what
/// was written to it has left, and within a bounded time.
class OneLiveSession final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_closed(const ConnectionRecord& c, bool /*by_broker*/, Instant at) override {
        if (c.is_open) judge(c, at);
    }
    void at_end(Instant now) override {
        for (const auto& [serial, c] : model_.connections()) {
            if (c.is_open) judge(c, now);
        }
    }

private:
    void judge(const ConnectionRecord& c, Instant now) {
        constexpr Duration patience = Duration::seconds(6);
        if (!c.superseded_at || now - *c.superseded_at <= patience) return;
        broken(fmt::format("{} is open {} ms after another one took its session", describe(c),
                           (now - *c.superseded_at).count_ms()));
    }
};

/// [MQTT-3.2.2-2], [MQTT-3.2.2-3], 3.1.2.11.2: Session Present says what the client may rely on;
/// SUBACK and UNSUBACK have one reason a filter [MQTT-3.9.3-1].
class SessionStateAsAcknowledged final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_read(const ConnectionRecord& c, const Sighting& s) override {
        if (const auto* p = s.as<mqtt::Subscribe>()) {
            std::size_t count = 0;
            ByteView rest = p->filters.encoded;
            while (mqtt::SubscriptionList::next(rest)) ++count;
            filters_[{c.serial, p->packet_id}] = count;
        }
    }

    void on_written(const ConnectionRecord& c, const Sighting& s) override {
        if (const auto* p = s.as<mqtt::Connack>()) judge(c, *p, s);
        if (const auto* p = s.as<mqtt::Suback>()) {
            const auto node = filters_.extract({c.serial, p->packet_id});
            if (node.empty()) {
                broken(fmt::format("{}: SUBACK {} without SUBSCRIBE", describe(c), p->packet_id));
            } else if (node.mapped() != p->reasons.size()) {
                broken(fmt::format("{}: {} filters, {} reasons", describe(c), node.mapped(),
                                   p->reasons.size()));
            }
        }
    }

private:
    void judge(const ConnectionRecord& c, const mqtt::Connack& connack, const Sighting& s) {
        const Instant now = s.at;
        if (connack.reason != ReasonCode::success || c.superseded_at) return;
        ClientKey key = c.key;
        if (const auto& id = connack.properties.assigned_client_identifier) key.client_id = *id;
        const SessionRecord* const session = model_.live_session(key);
        if (session == nullptr && model_.may_have_unseen_session(key, c.serial)) return;
        if (connack.session_present && (session == nullptr || c.clean_start)) {
            broken(fmt::format("{}: Session Present, but {}", describe(c),
                               c.clean_start ? "it asked for a clean start" : "there was none"));
        }
        if (session == nullptr || c.clean_start || session->is_unsure) return;
        Instant ends_at = session->ends_at;
        if (session->connection != 0) {  // a take-over closes the old connection first
            const ConnectionRecord& old = model_.connections().at(session->connection);
            if (old.expiry_s == 0) ends_at = now;
            if (old.goodbye_is_unsure) return;
        }
        // A CONNACK that waited for the network was decided on earlier.
        if (session->end_is_unsure || s.may_have_waited) return;
        if (!connack.session_present && ends_at > now) {
            broken(fmt::format("{}: its session is forgotten before its time", describe(c)));
        }
        if (connack.session_present && ends_at + session->end_slack < now) {
            broken(fmt::format("{}: its session should have expired", describe(c)));
        }
    }

    std::map<std::pair<ConnectionSerial, std::uint16_t>, std::size_t> filters_;
};

/// [MQTT-3.1.2-22]; any byte is a sign of life, so that a slow upload is not cut: who is silent for
/// one and a half times the keep-alive is closed; nobody else.
class KeepAlive final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_written(const ConnectionRecord& c, const Sighting& s) override {
        const auto* const p = s.as<mqtt::Disconnect>();
        if (p == nullptr || p->reason != ReasonCode::keep_alive_timeout) return;
        if (s.may_have_waited) return;  // something may have come since
        if (s.at - c.last_read_at < silence_max(c)) {
            broken(fmt::format("{}: closed for silence after {} ms, its keep-alive is {} s",
                               describe(c), (s.at - c.last_read_at).count_ms(), c.keep_alive_s));
        }
    }
    void on_heard(const ConnectionRecord& c, Instant at) override { judge(c, at); }
    void on_closed(const ConnectionRecord& c, bool /*by_broker*/, Instant at) override {
        judge(c, at);
    }
    void at_end(Instant now) override {
        for (const auto& [serial, c] : model_.connections()) {
            if (c.is_open) judge(c, now);
        }
    }

private:
    static Duration silence_max(const ConnectionRecord& c) {
        return Duration::milliseconds(std::int64_t{c.keep_alive_s} * 1'500);
    }
    void judge(const ConnectionRecord& c, Instant now) {
        if (c.session == nullptr || !c.is_open || c.keep_alive_s == 0 || c.is_lawless()) return;
        if (c.superseded_at) return;  // it is closed already, but for what is still to be written
        // A client that takes nothing is given a while to take its DISCONNECT.
        constexpr Duration slack = Duration::seconds(6);
        if (now - c.last_read_at > silence_max(c) + slack) {
            broken(fmt::format("{}: silent for {} ms and not closed, its keep-alive is {} s",
                               describe(c), (now - c.last_read_at).count_ms(), c.keep_alive_s));
        }
    }
};

/// A broker closes whom it has a reason to close.
class ClosesOnlyForAReason final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_heard(const ConnectionRecord& c, Instant at) override {
        // It has been silent for too long, and speaks while its last words are being written.
        if (is_silent(c, at)) was_silent_.insert(c.serial);
    }
    void on_closed(const ConnectionRecord& c, bool by_broker, Instant at) override {
        if (!by_broker || c.session == nullptr || c.superseded_at || c.is_lawless()) return;
        if (c.client_goodbye || world_.server_is_stopping()) return;
        // Judged by keep_alive; a client that takes nothing is closed some seconds later.
        if (is_silent(c, at) || was_silent_.contains(c.serial)) return;
        if (c.server_goodbye == ReasonCode::keep_alive_timeout) return;
        if (at >= c.valid_until || was_shed(world_, at)) return;
        // 3.1.1 has no other word for a message that the store does not take.
        if (c.version != mqtt::ProtocolVersion::v5 &&
            world_.keeping().was_short_between(before(at, Duration::seconds(6)), at)) {
            return;
        }
        // A take-over, by a CONNECT whose CONNACK may never have been seen.
        if (c.server_goodbye == ReasonCode::session_taken_over) return;
        const auto& all = model_.connections();
        const bool is_taken_over = std::any_of(all.begin(), all.end(), [&](const auto& entry) {
            const ConnectionRecord& other = entry.second;
            // A password takes its time, and so do the last words of the one that goes.
            return other.serial != c.serial && other.has_connect && other.key == c.key &&
                   at - other.connect_read_at <= Duration::seconds(16);
        });
        if (is_taken_over) return;
        broken(fmt::format("{} is closed ({})", describe(c),
                           c.server_goodbye ? mqtt::to_text(*c.server_goodbye) : "no DISCONNECT"));
    }

private:
    static bool is_silent(const ConnectionRecord& c, Instant now) {
        return c.keep_alive_s != 0 &&
               now - c.last_read_at >= Duration::milliseconds(std::int64_t{c.keep_alive_s} * 1'500);
    }
    std::set<ConnectionSerial> was_silent_;
};

/// Liveness: who is connected and has asked has been answered when the world is quiet.
class EverythingIsAnswered final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void at_end(Instant /*now*/) override {
        for (const auto& entry : model_.connections()) {
            const ConnectionRecord& c = entry.second;
            if (!c.is_open || c.is_refused || c.is_lawless()) continue;
            if (c.has_connect && c.session == nullptr) {
                broken(fmt::format("{}: CONNECT has no answer", describe(c)));
            }
            const auto owes = [&](const char* what, std::size_t count) {
                if (count != 0) broken(fmt::format("{}: {} {} open", describe(c), count, what));
            };
            owes("PUBACK", c.puback_due.size());
            owes("PUBREC", c.pubrec_due.size());
            owes("PUBCOMP", c.pubcomps_due);
            owes("PINGRESP", c.pings_due);
            owes("SUBACK or UNSUBACK", c.operations_due.size());
        }
    }
};

/// A session that breaks tells its client so, if it can, with the reason that the fault stands for;
/// nobody else is told that.
class BrokenSessionIsTold final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_written(const ConnectionRecord& c, const Sighting& s) override {
        const auto* const p = s.as<mqtt::Disconnect>();
        if (p == nullptr) return;
        if (c.broke_by.empty()) {
            if (p->reason == ReasonCode::implementation_specific_error ||
                (p->reason == ReasonCode::quota_exceeded && !was_shed(world_, s.at))) {
                broken(fmt::format("{}: told {}, and nothing broke", describe(c),
                                   mqtt::to_text(p->reason)));
            }
            return;
        }
        const ReasonCode expected = c.broke_by == "budget_spent"
                                        ? ReasonCode::quota_exceeded
                                        : ReasonCode::implementation_specific_error;
        if (p->reason == expected) return;
        broken(fmt::format("{}: told {}, its session broke by {}", describe(c),
                           mqtt::to_text(p->reason), c.broke_by));
    }
    void on_closed(const ConnectionRecord& c, bool by_broker, Instant /*at*/) override {
        if (!by_broker || c.broke_by.empty() || c.version != mqtt::ProtocolVersion::v5) return;
        // Whoever takes nothing from the network is not told.
        if (c.is_held_up || c.server_goodbye || c.is_refused) return;
        broken(fmt::format("{}: closed without a word, its session broke by {}", describe(c),
                           c.broke_by));
    }
};

/// [MQTT-3.2.0-1], [MQTT-3.14.0-1]: the first thing that a client hears is CONNACK, also from a
/// session that breaks while it is made.
class ConnackComesFirst final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_written(const ConnectionRecord& c, const Sighting& s) override {
        if (!seen_.insert(c.serial).second || s.as<mqtt::Connack>() != nullptr) return;
        broken(fmt::format("{}: hears something else before CONNACK", describe(c)));
    }

private:
    std::set<ConnectionSerial> seen_;
};

}  // namespace

std::unique_ptr<Checker> check_one_live_session(World& world, Model& model) {
    return std::make_unique<OneLiveSession>("one_live_session", world, model);
}
std::unique_ptr<Checker> check_session_state_as_acknowledged(World& world, Model& model) {
    return std::make_unique<SessionStateAsAcknowledged>("session_state_as_acknowledged", world,
                                                        model);
}
std::unique_ptr<Checker> check_keep_alive(World& world, Model& model) {
    return std::make_unique<KeepAlive>("keep_alive", world, model);
}
std::unique_ptr<Checker> check_closes_only_for_a_reason(World& world, Model& model) {
    return std::make_unique<ClosesOnlyForAReason>("closes_only_for_a_reason", world, model);
}
std::unique_ptr<Checker> check_connack_comes_first(World& world, Model& model) {
    return std::make_unique<ConnackComesFirst>("connack_comes_first", world, model);
}
std::unique_ptr<Checker> check_broken_session_is_told(World& world, Model& model) {
    return std::make_unique<BrokenSessionIsTold>("broken_session_is_told", world, model);
}
std::unique_ptr<Checker> check_everything_is_answered(World& world, Model& model) {
    return std::make_unique<EverythingIsAnswered>("everything_is_answered", world, model);
}

}  // namespace mitu::sim
