// Messages with a time of their own: wills, expiry, retained ones.

#include <fmt/format.h>

#include <algorithm>

#include "mitu/mqtt/topic.hpp"
#include "sim/catalog.hpp"
#include "sim/checkers/checkers.hpp"

namespace mitu::sim {
namespace {

using mqtt::QoS;
using Will = MessageRecord::Will;

/// [MQTT-3.1.2-8], [MQTT-3.1.2-10], [MQTT-3.1.3-9]: a will leaves when it is due, and only then.
/// That it arrives is the business of qos1_at_least_once: a will that is due is owed.
class WillWhenDue final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_delivery(const ConnectionRecord& c, const MessageRecord& m,
                     const mqtt::Publish& publish, const Sighting& s) override {
        switch (m.will) {
            case Will::due:
                judge_lateness(c, m, publish, s);
                break;
            case Will::none:
            case Will::unsure:
                break;
            case Will::armed:
            case Will::waiting:
                // Unless a take-over or a clean start is happening right now: its CONNACK is
                // still to come.
                early_.push_back(
                    {m.number, s.at,
                     fmt::format("{} reaches {} before it is due", describe(m), describe(c))});
                break;
            case Will::cancelled:
                broken(fmt::format("{} reaches {} although it was taken back", describe(m),
                                   describe(c)));
                break;
        }
    }
    void at_end(Instant /*now*/) override {
        for (Early& early : early_) {
            const MessageRecord& m = *model_.message(early.number);
            const Duration patience =
                was_given_up(m.number) ? Duration::seconds(6) : world_.stall_slack();
            if (m.will == Will::unsure) continue;
            if (m.will == Will::due && m.will_due_at <= early.at + patience) continue;
            broken(std::move(early.what));
        }
    }

private:
    /// To a client that waited for nothing else it comes at once; a stalled shard takes its time.
    void judge_lateness(const ConnectionRecord& c, const MessageRecord& m,
                        const mqtt::Publish& publish, const Sighting& s) {
        constexpr Duration patience = Duration::seconds(1);
        if (s.at - m.will_due_at <= patience + world_.keeping().commit_time_max * 3 ||
            publish.retain || publish.dup) {
            return;
        }
        if (world_.keeping().was_short_between(m.will_due_at, s.at)) return;
        if (!c.is_at_ease() || c.at_ease_since >= m.will_due_at) return;
        bool is_subscribed = false;
        for (const auto& [filter, sub] : c.session->subscriptions) {
            const auto shared = mqtt::parse_shared(filter);
            if (!mqtt::matches(shared ? shared->filter : filter, m.topic)) continue;
            // A message may come to a member late, when another one has left it.
            if (shared) return;
            is_subscribed |= sub.is_stable() && sub.confirmed_step < m.first_read_step;
        }
        if (!is_subscribed) return;
        broken(fmt::format("{} reaches {} {} ms after it was due", describe(m), describe(c),
                           (s.at - m.will_due_at).count_ms()));
    }

    [[nodiscard]] bool was_given_up(MessageNumber will) const {
        const auto& all = model_.connections();
        return std::any_of(all.begin(), all.end(), [&](const auto& entry) {
            return entry.second.will == will && entry.second.was_given_up();
        });
    }

    struct Early {
        MessageNumber number;
        Instant at;
        std::string what;
    };
    std::vector<Early> early_;
};

/// [MQTT-3.3.2-5], [MQTT-3.3.2-6]: nothing leaves after its time, and what leaves says what is
/// left.
class MessageExpiry final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_delivery(const ConnectionRecord& c, const MessageRecord& m,
                     const mqtt::Publish& publish, const Sighting& s) override {
        if (!m.expiry_s || publish.dup || m.will == Will::unsure) return;
        if (s.may_have_waited) return;  // it was on its way in time
        // Where a rate is enforced, bytes are taken in some time before they are looked at.
        if (world_.is_paced(m.publisher.tenant)) return;
        // Bytes are taken in by one turn and may be looked at by the next.
        const Duration waited_least =
            std::max(Duration{}, s.at - m.last_read_at - world_.stall_slack());
        const Duration waited_most = s.at - m.first_read_at;
        if (waited_least > Duration::seconds(*m.expiry_s)) {
            broken(fmt::format("{} leaves for {} {} ms after it was taken in; it lives {} s",
                               describe(m), describe(c), waited_least.count_ms(), *m.expiry_s));
        }
        if (c.version != mqtt::ProtocolVersion::v5) return;
        const auto left = publish.properties.message_expiry_interval_s;
        const std::int64_t most = *m.expiry_s - waited_least.count_s();
        const std::int64_t least = *m.expiry_s - waited_most.count_s() - 1;
        if (!left || *left > most || *left < least) {
            broken(fmt::format("{} tells {} that {} s are left; {}..{} are", describe(m),
                               describe(c), left ? fmt::format("{}", *left) : "no number of", least,
                               most));
        }
    }
};

/// [MQTT-3.3.1-5]: a topic that one client alone publishes to keeps its last retained message.
class LastRetainedWins final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_delivery(const ConnectionRecord& c, const MessageRecord& m,
                     const mqtt::Publish& publish, const Sighting& /*s*/) override {
        if (!publish.retain || !is_single_writer(m) || c.session == nullptr) return;
        // To 3.1.1 a server without room cannot say that it did not keep the message.
        if (world_.dropped(broker::DropReason::no_memory) != 0) return;
        if (world_.is_short_of_memory(m.publisher.tenant)) return;
        // A replay: nothing that was replaced before the client first asked may come.
        std::uint64_t asked_step = ~std::uint64_t{0};
        for (const auto& [filter, sub] : c.session->subscriptions) {
            if (mqtt::parse_shared(filter) || !mqtt::matches(filter, m.topic)) continue;
            if (sub.first_asked_step == 0) continue;
            if (sub.options.retain_as_published) return;  // it may be no replay at all
            asked_step = std::min(asked_step, sub.first_asked_step);
        }
        if (asked_step == ~std::uint64_t{0}) return;  // unsubscribed by now: it was queued before
        for (const auto& other : model_.messages()) {
            if (other->number <= m.number || other->topic != m.topic || !is_single_writer(*other)) {
                continue;
            }
            if (other->publisher != m.publisher || !other->is_accepted) continue;
            if (other->accepted_step < asked_step && model_.is_still_kept(*other)) {
                broken(fmt::format("{} is kept for {}, {} replaced it", describe(m), describe(c),
                                   describe(*other)));
                return;
            }
        }
    }

    /// What was kept last is there for somebody who asks only now.
    void at_end(Instant /*now*/) override {
        if (world_.dropped(broker::DropReason::no_memory) != 0) return;
        if (world_.dropped(broker::DropReason::queue_full) != 0) return;
        // By tenant and topic; null: one that expires, or whose fate nobody saw, leaves it open.
        std::map<std::pair<std::string, std::string>, const MessageRecord*> kept;
        for (const auto& m : model_.messages()) {
            if (!m->retain || !is_own_topic(*m) || m->read_count == 0) continue;
            if (world_.is_short_of_memory(m->publisher.tenant)) continue;
            const bool is_sure =
                is_single_writer(*m) && m->is_accepted && !m->expiry_s && model_.is_still_kept(*m);
            kept[{m->publisher.tenant, m->topic}] = is_sure ? m.get() : nullptr;
        }
        for (const auto& [key, m] : kept) {
            const SessionRecord* const reader =
                model_.live_session({key.first, std::string{reader_id}});
            if (m == nullptr || reader == nullptr || reader->subscriptions.empty()) continue;
            if (!reader->deliveries.contains(m->number)) {
                broken(fmt::format("{} is not kept", describe(*m)));
            }
        }
    }

private:
    static bool is_own_topic(const MessageRecord& m) {
        return m.topic.starts_with("mine/" + m.publisher.client_id + "/");
    }

    /// An older QoS 1 message may be repeated after a newer one: only QoS 2 tells for certain.
    static bool is_single_writer(const MessageRecord& m) {
        return m.retain && !m.changed_session && m.qos == QoS::exactly_once &&
               m.will == Will::none && is_own_topic(m);
    }
};

}  // namespace

std::unique_ptr<Checker> check_will_when_due_and_only_then(World& world, Model& model) {
    return std::make_unique<WillWhenDue>("will_when_due_and_only_then", world, model);
}
std::unique_ptr<Checker> check_message_expiry(World& world, Model& model) {
    return std::make_unique<MessageExpiry>("message_expiry", world, model);
}
std::unique_ptr<Checker> check_last_retained_wins(World& world, Model& model) {
    return std::make_unique<LastRetainedWins>("last_retained_wins", world, model);
}

}  // namespace mitu::sim
