// The model's part about sessions that break: what is excused, and nothing beside it.

#include <algorithm>

#include "mitu/mqtt/topic.hpp"
#include "sim/model.hpp"

namespace mitu::sim {

using mqtt::QoS;

namespace {

// How long after it was due a will may still be on its way out of a session: last words that wait
// for the network take five seconds at most.
constexpr Duration will_delay_max = Duration::seconds(6);

/// The shared subscription that alone can have brought the message to the session.
std::optional<std::string> only_group_of(const SessionRecord& session, const MessageRecord& m) {
    std::optional<std::string> found;
    for (const auto& [filter, sub] : session.subscriptions) {
        const auto shared = mqtt::parse_shared(filter);
        if (!mqtt::matches(shared ? shared->filter : filter, m.topic)) continue;
        if (!shared || found) return std::nullopt;
        found = filter;
    }
    return found;
}

}  // namespace

/// By no fault of the client its session ends here and now. What was in flight or queued for it is
/// lost; of everything else the neighbours are owed as much as before.
void Model::on_session_broke(const SessionBreak& broken) {
    pass_time(broken.at, broken.step);
    for (Checker* checker : checkers_) checker->on_session_broke(broken);
    SessionRecord* const session = live_session(broken.key);
    ConnectionRecord* const own =
        broken.connection != 0 ? &connections_[broken.connection] : nullptr;
    ConnectionRecord* const known = session != nullptr && session->connection != 0
                                        ? &connections_[session->connection]
                                        : nullptr;
    Burial& burial = burials_[broken.key];
    burial = Burial{};
    burial.may_have_parted = may_have_parted(broken, own, session);
    using Will = MessageRecord::Will;
    for (const auto& m : messages_) {
        if (m->will == Will::none || m->publisher != broken.key) continue;
        const bool is_of_one = (own != nullptr && own->will == m->number) ||
                               (known != nullptr && known->will == m->number);
        const bool is_open = m->will == Will::waiting || (m->will == Will::armed && is_of_one);
        const bool was_just_due =
            m->will == Will::due && broken.at - m->will_due_at <= will_delay_max;
        if (!is_open && !was_just_due) continue;
        if (is_open && !burial.may_have_parted) burial.will = m->number;
        m->will = Will::unsure;
        waiting_wills_.erase(m->number);
        disown(m->number);
    }
    if (own != nullptr) own->broke_by = broken.fault;
    for (ConnectionRecord* const c : {own, known}) {
        if (c != nullptr && !c->superseded_at) c->superseded_at = broken.at;
    }
    if (session == nullptr) return;
    for (const std::string& filter : session->shared_ever) {
        burial.groups.insert(filter);
        if (session->subscriptions[filter].qos_ever_max == QoS::exactly_once) {
            burial.qos2_groups.insert(filter);
        }
    }
    for (const auto& [id, number] : session->ids_in_use) {
        if (number == 0 || session->deliveries[number].is_qos2) continue;
        if (const auto filter = only_group_of(*session, *messages_[number - 1])) {
            burial.left_over.emplace(number, *filter);
        }
    }
    if (known != nullptr) lose_operations(*known);
    end_session(*session);
}

/// Whether the call that broke may have been one that ends the connection or the session: then the
/// will, and what was to be handed over, may have been among its effects, which are dropped.
bool Model::may_have_parted(const SessionBreak& broken, const ConnectionRecord* own,
                            const SessionRecord* session) const {
    if (session == nullptr || server_is_stopping_) return true;
    if (may_have_unseen_session(broken.key, broken.connection)) return true;
    if (own == nullptr) {
        // The client is away; or it has just gone, and nobody has seen when.
        if (session->connection != 0 || session->end_is_unsure || session->was_held_up) return true;
        return session->ends_at <= broken.at ||
               std::any_of(waiting_wills_.begin(), waiting_wills_.end(), [&](MessageNumber will) {
                   const MessageRecord& m = *messages_[will - 1];
                   return m.publisher == broken.key && m.will_due_at <= broken.at + m.will_slack;
               });
    }
    if (own->session != session || session->connection != own->serial) return true;
    const Duration silence_max = Duration::milliseconds(std::int64_t{own->keep_alive_s} * 1'500);
    return !own->is_open || own->client_goodbye || own->server_goodbye || own->is_lawless() ||
           (own->keep_alive_s != 0 && broken.at - own->last_read_at >= silence_max);
}

void Model::on_session_buried(const SessionBreak& broken, bool is_whole) {
    for (Checker* checker : checkers_) checker->on_session_buried(broken, is_whole);
    const auto node = burials_.extract(broken.key);
    if (node.empty()) return;
    const Burial& burial = node.mapped();
    const bool is_handed_over = is_whole && !burial.may_have_parted;
    const std::string& tenant = broken.key.tenant;
    for (const std::string& filter : burial.groups) {
        GroupBreaks& breaks = group_breaks_[{tenant, filter}];
        if (is_handed_over) {
            ++breaks.count;
            breaks.last_step = broken.step;
        } else {
            breaks.all_step = broken.step;
        }
        if (burial.qos2_groups.contains(filter)) breaks.qos2_step = broken.step;
    }
    std::erase_if(open_groups_, [&](const auto& open) {
        const auto& [number, filter] = open;
        const MessageRecord& m = *messages_[number - 1];
        if (m.publisher.tenant != tenant || !burial.groups.contains(filter)) return false;
        if (!may_have_been_lost(m, filter)) return false;
        group_deliveries_[number][filter].is_excused = true;
        return true;
    });
    if (is_handed_over) {
        for (const auto& [number, filter] : burial.left_over) {
            group_deliveries_[number][filter].was_left_over = true;
        }
    }
    if (burial.will != 0 && is_whole) {
        will_is_due(*messages_[burial.will - 1], broken.at, broken.step);
    }
}

/// It may have been in the queue of a member that has broken and could not hand it over.
bool Model::may_have_been_lost(const MessageRecord& message, const std::string& filter) const {
    const auto it = group_breaks_.find({message.publisher.tenant, filter});
    if (it == group_breaks_.end()) return false;
    const GroupBreaks& breaks = it->second;
    return message.first_read_step <= breaks.all_step ||
           (message.qos == QoS::exactly_once && message.first_read_step <= breaks.qos2_step);
}

bool Model::may_have_been_in_hand(const MessageRecord& message, const std::string& filter) const {
    const auto it = group_breaks_.find({message.publisher.tenant, filter});
    return it != group_breaks_.end() && message.first_read_step <= it->second.last_step;
}

std::uint64_t Model::group_losses_max(const std::string& tenant, const std::string& filter) const {
    const auto it = group_breaks_.find({tenant, filter});
    return it == group_breaks_.end() ? 0 : it->second.count;
}

}  // namespace mitu::sim
