// The model's part about servers that end: without a store all ends with them. With one, what was
// answered goes on; what was not may be as it was before, and nothing beside that is excused.

#include <algorithm>

#include "mitu/mqtt/topic.hpp"
#include "sim/model.hpp"

namespace mitu::sim {

using mqtt::QoS;
using Will = MessageRecord::Will;

bool Model::keeps(const std::string& tenant) const {
    return keeping_ != nullptr && keeping_->keeps(tenant);
}

bool Model::is_still_kept(const MessageRecord& message) const {
    const auto it = kept_since_.find(message.publisher.tenant);
    const std::uint64_t since = it == kept_since_.end() ? server_number_ : it->second;
    return message.server_number >= since;
}

void Model::lose_server(Instant at) {
    burials_.clear();
    group_breaks_.clear();
    std::vector<SessionRecord*> over;
    for (const auto& [key, session] : live_) {
        if (!keeps(key.tenant)) over.push_back(session);
    }
    for (auto& [serial, c] : connections_) {
        if (!c.is_open) continue;
        c.is_open = false;
        c.closed_at = at;
        c.was_cut_by_server = true;
        // The broker may have been done with a client whose last words were still to be written.
        if (MessageRecord* const will = message(c.will)) will->will = Will::unsure;
        if (!keeps(c.key.tenant)) continue;
        if (c.has_connect && c.session == nullptr && !c.is_refused && !c.superseded_at) {
            note_unseen(c);
        }
        if (c.session == nullptr || c.session->connection != serial) continue;
        leave_behind(c, at);
        if (c.expiry_s == 0) over.push_back(c.session);
    }
    for (SessionRecord* session : over) {
        excuse_groups_with(*session);
        end_session(*session);
    }
    std::erase_if(open_groups_, [&](const auto& open) {
        if (keeps(messages_[open.first - 1]->publisher.tenant)) return false;
        group_deliveries_[open.first][open.second].is_excused = true;
        return true;
    });
    if (keeping_ == nullptr) return;
    for (const auto& [tenant, durability] : keeping_->durability) {
        if (!keeping_->keeps(tenant)) continue;
        keeping_->lost_answered(tenant) ? forget(tenant) : fall_back(tenant);
    }
}

/// Its client is away, and that is the server's doing: how long it may stay away counts from the
/// next start.
void Model::leave_behind(ConnectionRecord& c, Instant /*at*/) {
    SessionRecord& session = *c.session;
    lose_operations(c);
    session.connection = 0;
    session.was_held_up = false;
    session.ends_at = Instant::never();
    session.cut_expiry_s = c.expiry_s;
    // It may have been done with the client before that could be seen.
    if (c.was_given_up() || c.goodbye_is_unsure || c.superseded_at) session.end_is_unsure = true;
}

/// A message that a member had whose session is no more: which one that was, nobody knows.
void Model::excuse_groups_with(const SessionRecord& session) {
    std::erase_if(open_groups_, [&](const auto& open) {
        const auto& [number, filter] = open;
        if (messages_[number - 1]->publisher.tenant != session.key.tenant ||
            !session.shared_ever.contains(filter)) {
            return false;
        }
        group_deliveries_[number][filter].is_excused = true;
        return true;
    });
}

/// What was done since the store was last sure of everything, and waited for no answer.
void Model::fall_back(const std::string& tenant) {
    const Instant since = keeping_->unkept_since();
    const bool is_in_order = keeping_->end() == Keeping::End::in_order;
    for (const auto& m : messages_) {
        if (m->publisher.tenant != tenant || m->will == Will::none) continue;
        const bool is_open = m->will == Will::armed || m->will == Will::waiting;
        const bool may_be_undone = !is_in_order && m->will_settled_at >= since &&
                                   (m->will == Will::due || m->will == Will::cancelled);
        if (!is_open && !may_be_undone) continue;
        m->will = Will::unsure;
        waiting_wills_.erase(m->number);
        disown(m->number);
    }
    for (const auto& session : sessions_) {
        if (session->key.tenant != tenant) continue;
        if (session->has_ended) {
            // Its end may not have been written down, unless another one has its place.
            if (session->ended_at >= since && !live_.contains(session->key)) {
                maybe_back_.insert(session->key);
            }
            continue;
        }
        if (!session->cut_expiry_s && session->left_at >= since) session->end_is_unsure = true;
        fall_back(*session, since);
    }
    for (auto& [number, groups] : group_deliveries_) {
        if (messages_[number - 1]->publisher.tenant != tenant) continue;
        for (auto& [filter, delivery] : groups) delivery.acked_by.clear();
    }
}

/// Deliveries of one session that goes on.
void Model::fall_back(SessionRecord& session, Instant since) {
    for (auto& [number, delivery] : session.deliveries) {
        // QoS 1 has no number that is kept while its client is there: it comes as a new message,
        // also if its PUBACK came a moment ago. QoS 2 goes on under its number.
        if (delivery.is_qos2) continue;
        if (!delivery.is_finished || delivery.finished_at >= since) delivery.may_come_again = true;
    }
    std::erase_if(session.ids_in_use, [&](const auto& entry) {
        const auto& [id, number] = entry;
        if (number == 0) return true;
        const DeliveryRecord& delivery = session.deliveries[number];
        // Nor have replays of retained messages; and one that expires gives its number back.
        if (delivery.is_qos2 && !delivery.is_replay && !messages_[number - 1]->expiry_s) {
            return false;
        }
        session.ids_in_doubt[id] = number;
        return true;
    });
}

/// The power went, and nobody had waited for the disk: whatever was there at some time before may
/// be there again, or not.
void Model::forget(const std::string& tenant) {
    for (const auto& m : messages_) {
        if (m->publisher.tenant != tenant) continue;
        m->was_forgotten = true;
        excuse_groups(m->number);
        if (m->will == Will::none) continue;
        m->will = Will::unsure;
        waiting_wills_.erase(m->number);
    }
    for (const auto& session : sessions_) {
        if (session->key.tenant != tenant) continue;
        maybe_back_.insert(session->key);
        if (session->has_ended) continue;
        session->is_unsure = true;
        session->end_is_unsure = true;
        session->owed.clear();
        session->ids_in_use.clear();
        session->ids_in_doubt.clear();
    }
    for (auto& [number, groups] : group_deliveries_) {
        if (messages_[number - 1]->publisher.tenant != tenant) continue;
        for (auto& [filter, delivery] : groups) {
            delivery = GroupDelivery{};
            delivery.is_excused = true;
        }
    }
    kept_since_[tenant] = server_number_ + 1;
    check_groups(tenant);
}

void Model::server_started(Instant at) {
    ++server_number_;
    server_is_stopping_ = false;
    if (keeping_ == nullptr) return;
    for (const auto& [tenant, durability] : keeping_->durability) {
        if (!keeping_->keeps(tenant)) {
            kept_since_[tenant] = server_number_;
        } else {
            kept_since_.try_emplace(tenant, server_number_);
        }
    }
    const bool was_in_order = keeping_->end() == Keeping::End::in_order;
    for (const auto& [key, session] : live_) {
        if (!session->cut_expiry_s) continue;
        session->ends_at = end_of_stay(at, *session->cut_expiry_s);
        // Whoever was told that the server stops may have been put away then, or be taken for one
        // that was cut.
        session->end_slack = Duration::seconds(2);
        if (was_in_order) session->end_is_unsure = true;
    }
}

}  // namespace mitu::sim
