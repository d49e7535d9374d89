// Who gets which message, how often, and in what order.

#include <fmt/format.h>

#include <algorithm>

#include "mitu/mqtt/topic.hpp"
#include "sim/catalog.hpp"
#include "sim/checkers/checkers.hpp"

namespace mitu::sim {
namespace {

using broker::DropReason;
using mqtt::QoS;

/// The session has, or had, a shared subscription that the message matches.
bool may_be_shared(const SessionRecord& session, const MessageRecord& m) {
    return std::any_of(session.shared_ever.begin(), session.shared_ever.end(),
                       [&](const std::string& filter) {
                           return mqtt::matches(mqtt::parse_shared(filter)->filter, m.topic);
                       });
}

/// [MQTT-4.3.2-2] and liveness: what was acknowledged reaches every session that was subscribed all
/// the while. What is missing must have been counted as dropped.
class Qos1AtLeastOnce final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void at_end(Instant /*now*/) override {
        std::uint64_t allowed = 0;
        if (world_.server_is_up()) {
            for (const auto reason : {DropReason::queue_full, DropReason::no_memory}) {
                allowed += world_.dropped(reason);
            }
        }
        std::set<MessageNumber> messages;  // a drop at its home counts a message once for all
        std::vector<std::string> missing;
        for (const auto& session : model_.sessions()) {
            if (session->has_ended) continue;
            for (const MessageNumber number : session->owed) {
                if (world_.is_short_of_memory(model_.message(number)->publisher.tenant)) continue;
                if (was_refused_as_will(*model_.message(number))) continue;
                const auto it = session->deliveries.find(number);
                messages.insert(number);
                const bool was_sent = it != session->deliveries.end();
                missing.push_back(fmt::format("{} {} {}", describe(*model_.message(number)),
                                              was_sent ? "is not finished at" : "never reached",
                                              to_text(session->key)));
            }
        }
        // With members that broke; by tenant and filter.
        std::map<std::pair<std::string, std::string>, std::uint64_t> lost;
        for (const auto& [number, groups] : model_.group_deliveries()) {
            const std::string& tenant = model_.message(number)->publisher.tenant;
            if (world_.is_short_of_memory(tenant)) continue;
            for (const auto& [filter, delivery] : groups) {
                if (!delivery.is_owed || delivery.is_excused || delivery.is_acked) continue;
                if (was_refused_as_will(*model_.message(number))) continue;
                if (!delivery.was_left_over &&
                    model_.may_have_been_in_hand(*model_.message(number), filter) &&
                    ++lost[{tenant, filter}] <= model_.group_losses_max(tenant, filter)) {
                    continue;
                }
                messages.insert(number);
                missing.push_back(fmt::format("{} reached no member of {}",
                                              describe(*model_.message(number)), filter));
            }
        }
        if (messages.size() <= allowed) return;
        for (std::string& what : missing) broken(std::move(what));
    }

private:
    /// A will that is due while the store takes nothing new is lost, and nobody can be told.
    [[nodiscard]] bool was_refused_as_will(const MessageRecord& m) const {
        constexpr Duration around = Duration::seconds(6);
        return m.will == MessageRecord::Will::due &&
               world_.keeping().was_short_between(before(m.will_due_at, around),
                                                  m.will_due_at + around);
    }
};

/// [MQTT-4.3.3-10..13]: a QoS 2 message begins one exchange with a session, not two.
class Qos2ExactlyOnce final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_delivery(const ConnectionRecord& c, const MessageRecord& m,
                     const mqtt::Publish& publish, const Sighting& /*s*/) override {
        // QoS 1 messages that their publisher repeated may come twice; so may replays.
        if (c.session == nullptr || publish.retain || publish.dup) return;
        if (c.session->is_unsure) return;
        if (m.qos == QoS::at_least_once && m.read_count > 1) return;
        if (m.changed_session) return;
        if (m.will == MessageRecord::Will::unsure) return;
        // Each shared subscription brings a copy of its own.
        if (may_be_shared(*c.session, m)) return;
        const auto it = c.session->deliveries.find(m.number);
        if (it == c.session->deliveries.end() || it->second.transaction_count == 0) return;
        if (it->second.may_come_again || m.was_forgotten) return;
        // Under which number it came is kept for those who are owed it, not for QoS 0.
        if (publish.qos == QoS::at_most_once && m.changed_server) return;
        if (publish.qos == QoS::at_most_once && m.qos != QoS::exactly_once && m.read_count > 1) {
            return;
        }
        if (replayed_.contains({c.session->number, m.number})) return;
        broken(fmt::format("{} comes a second time to {}", describe(m), describe(c)));
    }

    void on_written(const ConnectionRecord& c, const Sighting& s) override {
        const auto* const p = s.as<mqtt::Publish>();
        if (p == nullptr || c.session == nullptr || !p->retain) return;
        replayed_.insert({c.session->number, Model::number_of(p->payload)});
    }

private:
    std::set<std::pair<std::uint32_t, MessageNumber>> replayed_;
};

/// [MQTT-4.6.0-5], [MQTT-4.6.0-6]: first arrivals of one publisher's messages of one topic and QoS
/// come in the order of publishing; across shards too.
class OrderPerPublisherTopicAndQos final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_delivery(const ConnectionRecord& c, const MessageRecord& m,
                     const mqtt::Publish& publish, const Sighting& /*s*/) override {
        if (c.session == nullptr || publish.retain || m.will != MessageRecord::Will::none) return;
        if (c.session->is_unsure || m.changed_session) return;
        if (m.read_count > 1) {
            // The first copy may have been lost while the client was away, or expired.
            if (publish.qos == QoS::at_most_once || m.expiry_s) return;
            // A repeat of a message whose first copy was dropped, and counted, here, or came
            // before the subscription.
            if (world_.dropped(DropReason::queue_full) + world_.dropped(DropReason::no_memory) !=
                0) {
                return;
            }
            if (world_.is_short_of_memory(m.publisher.tenant)) return;
            if (!was_subscribed_at(*c.session, m)) return;
        }
        const auto seen = c.session->deliveries.find(m.number);
        if (seen != c.session->deliveries.end() && seen->second.written_count != 0) return;
        if (may_be_shared(*c.session, m)) return;  // not promised there
        const Series series{c.session->number, m.publisher, m.topic, m.qos, publish.qos};
        MessageNumber& last = last_[series];
        if (m.number < last) {
            broken(fmt::format("{} comes to {} after m{}", describe(m), describe(c), last));
        }
        last = std::max(last, m.number);
    }

private:
    static bool was_subscribed_at(const SessionRecord& session, const MessageRecord& m) {
        return std::any_of(session.subscriptions.begin(), session.subscriptions.end(),
                           [&](const auto& entry) {
                               const auto& [filter, sub] = entry;
                               return sub.is_stable() && sub.confirmed_step < m.first_read_step &&
                                      mqtt::matches(filter, m.topic);
                           });
    }
    struct Series {
        std::uint32_t session;
        ClientKey publisher;
        std::string topic;
        QoS published;
        QoS delivered;
        auto operator<=>(const Series&) const = default;
    };
    std::map<Series, MessageNumber> last_;
};

/// [MQTT-4.8.2-4], [MQTT-4.8.2-5]: of a shared subscription one member gets a message; another one
/// only if the first has left without acknowledging.
class SharedToOneMember final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_delivery(const ConnectionRecord& c, const MessageRecord& m,
                     const mqtt::Publish& publish, const Sighting& s) override {
        if (c.session == nullptr || publish.dup || m.read_count != 1 || publish.retain) return;
        const auto groups = model_.group_deliveries().find(m.number);
        if (groups == model_.group_deliveries().end()) return;
        for (const auto& [filter, delivery] : groups->second) {
            if (!has_only(*c.session, filter, m)) continue;
            for (const auto& other : model_.sessions()) {
                if (other->has_ended || other.get() == c.session || !has_only(*other, filter, m)) {
                    continue;
                }
                const auto got = other->deliveries.find(m.number);
                // Who has it, and is still on the connection that brought it, keeps it.
                if (got == other->deliveries.end() || other->connection == 0 ||
                    got->second.connection != other->connection) {
                    continue;
                }
                // Unless the broker is done with one of them, and what is left for it is on its
                // way.
                doubles_.push_back({other->connection, s.may_have_waited ? c.serial : 0, s.at,
                                    fmt::format("{} goes to {} and to {} ({})", describe(m),
                                                describe(c), to_text(other->key), filter)});
                return;
            }
            for (const auto& [number, step] : delivery.acked_by) {
                const SessionRecord& other = *model_.sessions()[number - 1];
                if (number == c.session->number || step + 1 >= s.step) continue;
                if (!has_only(other, filter, m) || is_unsure(other, step)) continue;
                broken(fmt::format("{} goes to {} after {} has acknowledged it ({})", describe(m),
                                   describe(c), to_text(other.key), filter));
                return;
            }
        }
    }

    void on_closed(const ConnectionRecord& c, bool /*by_broker*/, Instant at) override {
        std::erase_if(doubles_, [&](const Double& suspicion) {
            return (suspicion.first == c.serial || suspicion.second == c.serial) &&
                   at - suspicion.at <= Duration::seconds(6);
        });
    }
    void at_end(Instant /*now*/) override {
        for (Double& suspicion : doubles_) broken(std::move(suspicion.what));
    }

private:
    struct Double {
        ConnectionSerial first;
        ConnectionSerial second;  // 0: it got the message in the turn in which it left
        Instant at;
        std::string what;
    };

    /// The session can have got the message through this subscription only.
    static bool has_only(const SessionRecord& session, const std::string& filter,
                         const MessageRecord& m) {
        bool has_it = false;
        for (const auto& [name, sub] : session.subscriptions) {
            const auto shared = mqtt::parse_shared(name);
            if (!mqtt::matches(shared ? shared->filter : name, m.topic)) continue;
            if (name != filter) return false;
            has_it = sub.is_stable();
        }
        return has_it;
    }
    /// The acknowledgement came with the last bytes of a connection: it may not have been seen.
    bool is_unsure(const SessionRecord& session, std::uint64_t step) const {
        for (const auto& [serial, c] : model_.connections()) {
            if (c.session == &session && !c.is_open && c.last_read_step <= step) return true;
        }
        return false;
    }

    std::vector<Double> doubles_;
};

/// Nobody gets what he did not ask for, may not see, or what belongs to another tenant; nothing
/// that was refused reaches anybody.
class OnlyToSubscribers final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_delivery(const ConnectionRecord& c, const MessageRecord& m,
                     const mqtt::Publish& publish, const Sighting& /*s*/) override {
        if (c.session == nullptr) {
            broken(fmt::format("{} reaches {} before CONNACK", describe(m), describe(c)));
            return;
        }
        if (m.publisher.tenant != c.key.tenant) {
            broken(fmt::format("{} reaches {} of another tenant", describe(m), describe(c)));
        }
        if (m.is_refused && !m.is_accepted && m.read_count == 1) {
            broken(fmt::format("{} was refused and reaches {}", describe(m), describe(c)));
        }
        const Authority& authority = world_.authority();
        const Instant since = before(m.first_read_at, world_.stall_slack());
        if (!authority.may_receive_since(c.key, m.topic, since, false) ||
            !authority.may_publish_since(m.publisher, m.topic, m.first_read_at, false)) {
            broken(
                fmt::format("{} reaches {} against the rules of access", describe(m), describe(c)));
        }
        if (publish.dup || c.session->is_unsure) return;
        bool has_asked = false;
        bool is_local = false;
        QoS qos_max = QoS::at_most_once;
        for (const auto& [filter, sub] : c.session->subscriptions) {
            const auto shared = mqtt::parse_shared(filter);
            if (sub.first_asked_step == 0 ||
                !mqtt::matches(shared ? shared->filter : filter, m.topic)) {
                continue;
            }
            // What came before UNSUBACK may still be under way.
            if (sub.unsubscribed_step != 0 && m.first_read_step > sub.unsubscribed_step) continue;
            has_asked = true;
            is_local |= sub.local_ever;
            qos_max = std::max(qos_max, sub.qos_ever_max);
        }
        if (!has_asked) {
            broken(fmt::format("{} reaches {}, which is not subscribed to it", describe(m),
                               describe(c)));
        } else if (!is_local && !publish.retain && m.publisher == c.key) {
            broken(fmt::format("{} comes back to {}, No Local", describe(m), describe(c)));
        } else if (publish.qos > std::min(qos_max, m.qos)) {
            broken(fmt::format("{} reaches {} at QoS {}", describe(m), describe(c),
                               static_cast<int>(publish.qos)));
        }
    }
};

}  // namespace

std::unique_ptr<Checker> check_qos1_at_least_once(World& world, Model& model) {
    return std::make_unique<Qos1AtLeastOnce>("qos1_at_least_once", world, model);
}
std::unique_ptr<Checker> check_qos2_exactly_once(World& world, Model& model) {
    return std::make_unique<Qos2ExactlyOnce>("qos2_exactly_once", world, model);
}
std::unique_ptr<Checker> check_order_per_publisher_topic_and_qos(World& world, Model& model) {
    return std::make_unique<OrderPerPublisherTopicAndQos>("order_per_publisher_topic_and_qos",
                                                          world, model);
}
std::unique_ptr<Checker> check_shared_to_one_member(World& world, Model& model) {
    return std::make_unique<SharedToOneMember>("shared_to_one_member", world, model);
}
std::unique_ptr<Checker> check_only_to_subscribers(World& world, Model& model) {
    return std::make_unique<OnlyToSubscribers>("only_to_subscribers", world, model);
}

}  // namespace mitu::sim
