#include "sim/model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "mitu/base/check.hpp"
#include "mitu/mqtt/topic.hpp"
#include "sim/catalog.hpp"

namespace mitu::sim {

using mqtt::QoS;
using mqtt::ReasonCode;

namespace {

// No run is as long: a message with this expiry is owed like any other.
constexpr std::uint32_t expiry_s_that_matters = 50'000;
constexpr std::uint32_t never_expires_s = 0xFFFF'FFFF;
// How long the answer to a request may be on its way between shards that stall.
constexpr Duration answer_time_max = Duration::seconds(1);
// What the topic, the properties and the header of a PUBLISH of ours may add to its payload.
constexpr std::uint32_t publish_overhead_bytes_max = 160;

/// What of a filter is matched against topics: the filter of a shared subscription without group.
std::string_view matched_part(std::string_view filter) {
    const auto shared = mqtt::parse_shared(filter);
    return shared ? shared->filter : filter;
}

}  // namespace

Instant Model::end_of_stay(Instant closed_at, std::uint32_t expiry_s) {
    if (expiry_s == never_expires_s) return Instant::never();
    return closed_at + Duration::seconds(expiry_s);
}

// --- what the actors tell ---

MessageRecord& Model::add_message(MessageRecord record) {
    record.number = static_cast<MessageNumber>(messages_.size() + 1);
    messages_.push_back(std::make_unique<MessageRecord>(std::move(record)));
    return *messages_.back();
}

std::string Model::marker(MessageNumber number) { return fmt::format("m{}|", number); }

MessageNumber Model::number_of(ByteView payload) noexcept {
    const std::string_view text = as_text(payload);
    if (!text.starts_with('m')) return 0;
    MessageNumber number = 0;
    const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), number);
    return error == std::errc{} && end != text.data() + text.size() && *end == '|' ? number : 0;
}

MessageRecord* Model::message(MessageNumber number) noexcept {
    return number == 0 || number > messages_.size() ? nullptr : messages_[number - 1].get();
}

SessionRecord* Model::live_session(const ClientKey& key) noexcept {
    const auto it = live_.find(key);
    return it == live_.end() ? nullptr : it->second;
}

bool Model::may_miss(const SessionRecord& session, const MessageRecord& message) {
    return (message.expiry_s && *message.expiry_s < expiry_s_that_matters) ||
           message.size_bytes + publish_overhead_bytes_max > session.packet_bytes_min;
}

bool Model::is_settled() const {
    for (const auto& [key, session] : live_) {
        if (!session->owed.empty()) return false;
    }
    for (const auto& [serial, c] : connections_) {
        if (!c.is_open || c.is_refused || c.is_lawless()) continue;
        if (c.has_connect && c.session == nullptr) return false;
        if (!c.puback_due.empty() || !c.pubrec_due.empty() || !c.operations_due.empty() ||
            c.pings_due != 0 || c.pubcomps_due != 0) {
            return false;
        }
    }
    return open_groups_.empty() && waiting_wills_.empty();
}

// --- the life of connections ---

void Model::on_opened(ConnectionSerial connection, std::string_view actor, Instant at) {
    ConnectionRecord& c = connections_[connection];
    c.serial = connection;
    c.actor = actor;
    c.last_read_at = at;
}

void Model::on_heard(ConnectionSerial connection, Instant at) {
    ConnectionRecord& c = connections_[connection];
    for (Checker* checker : checkers_) checker->on_heard(c, at);
    c.last_read_at = at;
}

void Model::on_held_up(ConnectionSerial connection, bool is_held_up, Instant at) {
    ConnectionRecord& c = connections_[connection];
    if (c.is_held_up && !is_held_up) c.at_ease_since = c.held_up_until = at;
    c.is_held_up = is_held_up;
}

void Model::on_garbage_read(ConnectionSerial connection, Instant /*at*/) {
    ConnectionRecord& c = connections_[connection];
    c.sent_garbage = true;
}

void Model::on_closed(ConnectionSerial connection, bool by_broker, Instant at, std::uint64_t step) {
    pass_time(at, step);
    ConnectionRecord& c = connections_[connection];
    for (Checker* checker : checkers_) checker->on_closed(c, by_broker, at);
    if (!c.is_open) return;
    c.is_open = false;
    c.closed_at = at;
    c.closed_by_broker = by_broker;
    if (c.has_connect && c.session == nullptr && !c.is_refused && !c.superseded_at) note_unseen(c);
    part(c, at, step);
}

/// The client was gone before CONNACK: its CONNECT may have been acted on or not.
void Model::note_unseen(const ConnectionRecord& c) {
    unseen_.insert(c.key);
    if (SessionRecord* const session = live_session(c.key)) {
        session->end_is_unsure = true;
        if (c.clean_start) {
            session->is_unsure = true;
            session->owed.clear();
            check_groups(c.key.tenant);
        }
    }
    for (const auto& m : messages_) {
        using Will = MessageRecord::Will;
        if (m->will == Will::none || m->publisher != c.key) continue;
        // armed: it may have taken over a connection that is there.
        const bool is_touched = m->number == c.will || m->will == Will::armed ||
                                m->will == Will::waiting || m->will == Will::cancelled ||
                                (m->will == Will::due && m->will_due_at >= c.connect_read_at);
        if (!is_touched) continue;
        m->will = Will::unsure;
        waiting_wills_.erase(m->number);
        disown(m->number);
    }
}

bool Model::may_have_unseen_session(const ClientKey& key, ConnectionSerial except) const {
    if (unseen_.contains(key) || maybe_back_.contains(key)) return true;
    return std::any_of(connections_.begin(), connections_.end(), [&](const auto& entry) {
        const auto& [serial, c] = entry;
        return serial != except && c.is_open && c.has_connect && c.session == nullptr &&
               !c.is_refused && !c.superseded_at && c.key == key;
    });
}

/// Nobody is owed this message any more.
void Model::disown(MessageNumber number) {
    for (const auto& [key, session] : live_) session->owed.erase(number);
    excuse_groups(number);
}

void Model::excuse_groups(MessageNumber number) {
    std::erase_if(open_groups_, [&](const auto& open) {
        if (open.first != number) return false;
        group_deliveries_[number][open.second].is_excused = true;
        return true;
    });
}

/// Whatever QoS 2 message the session may have been given as a member of a group.
void Model::excuse_groups_of(const SessionRecord& session) {
    std::erase_if(open_groups_, [&](const auto& open) {
        const auto& [number, filter] = open;
        const auto sub = session.subscriptions.find(filter);
        if (sub == session.subscriptions.end() || sub->second.qos_ever_max != QoS::exactly_once ||
            messages_[number - 1]->qos != QoS::exactly_once) {
            return false;
        }
        group_deliveries_[number][filter].is_excused = true;
        return true;
    });
}

/// The session and its client are apart from now on.
void Model::part(ConnectionRecord& c, Instant at, std::uint64_t step) {
    if (c.session == nullptr || c.session->connection != c.serial) return;
    SessionRecord& session = *c.session;
    lose_operations(c);
    session.connection = 0;
    session.was_held_up = c.is_held_up_at(at);
    // The broker was done with it at some time before, and counts from then.
    if (session.was_held_up) session.end_is_unsure = true;
    session.ends_at = end_of_stay(at, c.expiry_s);
    session.left_at = at;
    if (c.goodbye_is_unsure) session.end_is_unsure = true;
    if (MessageRecord* const will = message(c.will)) {
        using Will = MessageRecord::Will;
        const bool said_goodbye = c.client_goodbye == ReasonCode::success;
        // A DISCONNECT that may have been overlooked may also have changed the session's expiry.
        // So may a CONNECT that was never answered, by taking the session over.
        // And a broker counts from when it is done with the client, which nobody sees if its last
        // words wait for the network.
        const bool is_unsure = (c.goodbye_is_unsure && (said_goodbye || c.will_delay_s != 0)) ||
                               unseen_.contains(c.key) || session.was_held_up;
        if (server_is_stopping_ || is_unsure) {
            will->will = Will::unsure;
        } else if (said_goodbye) {
            will->will = Will::cancelled;
            will->will_settled_at = at;
        } else {
            will->will = Will::waiting;
            will->will_due_at = at + Duration::seconds(c.version == mqtt::ProtocolVersion::v5
                                                           ? std::min(c.will_delay_s, c.expiry_s)
                                                           : 0);
            if (c.was_given_up()) will->will_slack = Duration::seconds(6);
            waiting_wills_.insert(will->number);
            pass_time(at, step);
        }
    }
    if (session.ends_at <= at) end_session(session);
}

void Model::on_server(ServerEvent event, Instant at) {
    now_ = std::max(now_, at);
    if (event == ServerEvent::started) return server_started(at);
    server_is_stopping_ = true;
    for (const MessageNumber number : waiting_wills_) {
        messages_[number - 1]->will = MessageRecord::Will::unsure;
    }
    waiting_wills_.clear();
    if (event == ServerEvent::gone) lose_server(at);
}

/// Subscriptions that the new rights do not allow end, one by one; what came for them before may
/// still arrive.
void Model::on_rights(Instant at, std::uint64_t step) {
    pass_time(at, step);
    const Rights rights = authority_->rights.now();
    for (const auto& [key, session] : live_) {
        for (auto& [filter, sub] : session->subscriptions) {
            if (!takes_subscription(key, matched_part(filter), rights)) continue;
            sub.is_confirmed = false;
            std::erase_if(session->owed, [&, &name = filter](MessageNumber number) {
                return mqtt::matches(matched_part(name), messages_[number - 1]->topic);
            });
        }
    }
    for (const auto& tenant : {"default", "acme", "borealis"}) check_groups(tenant);
}

// --- time ---

void Model::pass_time(Instant now, std::uint64_t step) {
    now_ = std::max(now_, now);
    std::vector<MessageRecord*> due;
    for (const MessageNumber number : waiting_wills_) {
        MessageRecord& will = *messages_[number - 1];
        if (will.will_due_at <= now) due.push_back(&will);
    }
    for (MessageRecord* will : due) {
        // A CONNECT that was taken in and not yet answered may have come before.
        if (may_have_unseen_session(will->publisher, 0)) {
            waiting_wills_.erase(will->number);
            will->will = MessageRecord::Will::unsure;
            continue;
        }
        will_is_due(*will, will->will_due_at, step);
    }
    std::vector<SessionRecord*> over;
    for (const auto& [key, session] : live_) {
        if (session->connection == 0 && session->ends_at < now) over.push_back(session);
    }
    for (SessionRecord* session : over) {
        // One whose end is not certain may still be there when its client comes back.
        if (!session->end_is_unsure && session->ends_at + session->end_slack < now) {
            end_session(*session);
        } else if (!session->is_unsure) {
            session->is_unsure = true;
            session->owed.clear();
            check_groups(session->key.tenant);
        }
    }
}

void Model::will_is_due(MessageRecord& message, Instant at, std::uint64_t step) {
    waiting_wills_.erase(message.number);
    message.will = MessageRecord::Will::due;
    message.will_due_at = message.will_settled_at = at;
    message.first_read_at = message.last_read_at = at;
    message.first_read_step = step;
    message.read_count = 1;
    accept(message, at, step);
}

void Model::end_session(SessionRecord& session) {
    session.has_ended = true;
    session.ended_at = now_;
    session.owed.clear();
    // A QoS 2 exchange that was begun with a member is never begun with another [MQTT-4.8.2-5].
    for (const auto& [id, number] : session.ids_in_use) {
        if (number != 0 && session.deliveries[number].is_qos2) excuse_groups(number);
    }
    if (session.was_held_up) excuse_groups_of(session);  // begun, and not seen
    session.connection = 0;
    const auto it = live_.find(session.key);
    if (it != live_.end() && it->second == &session) live_.erase(it);
    check_groups(session.key.tenant);
}

/// Groups that have no certain member any more owe nothing.
void Model::check_groups(const std::string& tenant) {
    std::erase_if(open_groups_, [&](const auto& open) {
        const auto& [number, filter] = open;
        if (messages_[number - 1]->publisher.tenant != tenant) return false;
        const bool has_member = std::any_of(live_.begin(), live_.end(), [&](const auto& entry) {
            if (entry.first.tenant != tenant || entry.second->is_unsure) return false;
            const auto sub = entry.second->subscriptions.find(filter);
            return sub != entry.second->subscriptions.end() && sub->second.is_stable();
        });
        if (!has_member) group_deliveries_[number][filter].is_excused = true;
        return !has_member;
    });
}

// --- packets that the broker takes in ---

void Model::on_read(const Sighting& s) {
    pass_time(s.at, s.step);
    ConnectionRecord& c = connections_[s.connection];
    for (Checker* checker : checkers_) checker->on_read(c, s);
    c.last_read_step = s.step;
    if (c.superseded_at) return;  // nobody listens to it any more
    if (const auto* p = s.as<mqtt::Connect>()) read_connect(c, *p, s.at);
    if (const auto* p = s.as<mqtt::Publish>()) read_publish(c, *p, s);
    if (const auto* p = s.as<mqtt::Puback>()) read_ack(c, p->packet_id, true, s);
    if (const auto* p = s.as<mqtt::Pubrec>()) {
        read_ack(c, p->packet_id, mqtt::is_error(p->reason), s);
    }
    if (const auto* p = s.as<mqtt::Pubcomp>()) {
        acknowledge(c, p->packet_id, s.at);
        if (c.session != nullptr) finish_delivery(*c.session, p->packet_id);
    }
    if (s.as<mqtt::Pubrel>() != nullptr) ++c.pubcomps_due;
    if (s.as<mqtt::Pingreq>() != nullptr) ++c.pings_due;
    if (const auto* p = s.as<mqtt::Subscribe>()) read_subscribe(c, *p, s);
    if (const auto* p = s.as<mqtt::Unsubscribe>()) read_unsubscribe(c, *p);
    if (const auto* p = s.as<mqtt::Disconnect>()) {
        c.client_goodbye = p->reason;
        // What stands before it may have held the broker up until the connection was gone, or a
        // CONNECT that was there first has taken the session over.
        c.goodbye_is_unsure = !c.puback_due.empty() || !c.pubrec_due.empty() ||
                              !c.operations_due.empty() || c.is_held_up || c.session == nullptr ||
                              may_have_unseen_session(c.key, c.serial) ||
                              c.session->connection != c.serial;
        if (p->session_expiry_interval_s && c.version == mqtt::ProtocolVersion::v5) {
            c.expiry_s = *p->session_expiry_interval_s;
        }
    }
}

void Model::read_connect(ConnectionRecord& c, const mqtt::Connect& connect, Instant at) {
    if (c.has_connect) return;
    c.has_connect = true;
    c.connect_read_at = at;
    c.key = client_key(connect.user_name.value_or(""), connect.client_id);
    c.version = connect.version;
    c.clean_start = connect.clean_start;
    c.keep_alive_s = connect.keep_alive_s;
    const auto& p = connect.properties;
    c.expiry_s = p.session_expiry_interval_s;
    c.receive_maximum = p.receive_maximum;
    c.maximum_packet_size = p.maximum_packet_size;
    if (c.version != mqtt::ProtocolVersion::v5) {
        c.expiry_s = c.clean_start ? 0 : never_expires_s;
        c.receive_maximum = 65'535;
        c.maximum_packet_size = 0;
    }
    if (connect.will) {
        c.will = number_of(connect.will->payload);
        c.will_delay_s = connect.will->delay_interval_s;
    }
}

void Model::read_publish(ConnectionRecord& c, const mqtt::Publish& publish, const Sighting& s) {
    MessageRecord* const m = message(number_of(publish.payload));
    if (m != nullptr) {
        if (m->read_count++ == 0) {
            m->first_read_step = s.step;
            m->first_read_at = s.at;
            m->read_by_server = server_number_;
        }
        if (m->read_by_server != server_number_) m->changed_server = true;
        m->last_read_at = s.at;
        const std::uint32_t session = c.session == nullptr ? 0 : c.session->number;
        if (m->read_count > 1 && m->read_in_session != session) m->changed_session = true;
        m->read_in_session = session;
        m->packet_bytes = s.size_bytes;
    }
    const MessageNumber number = m == nullptr ? 0 : m->number;
    if (publish.qos == QoS::at_least_once) c.puback_due.emplace_back(publish.packet_id, number);
    if (publish.qos == QoS::exactly_once) c.pubrec_due.emplace_back(publish.packet_id, number);
}

void Model::acknowledge(ConnectionRecord& c, std::uint16_t id, Instant at) {
    c.unacknowledged.erase(id);
    c.at_ease_since = at;
}

void Model::read_ack(ConnectionRecord& c, std::uint16_t id, bool is_last, const Sighting& s) {
    if (is_last) acknowledge(c, id, s.at);
    if (c.session == nullptr) return;
    const MessageNumber number = c.session->number_under(id);
    for (const std::string& filter : c.session->shared_ever) {
        const MessageRecord* const m = message(number);
        if (m == nullptr) continue;
        if (!mqtt::matches(matched_part(filter), m->topic)) continue;
        GroupDelivery& group = group_deliveries_[number][filter];
        group.acked_by.try_emplace(c.session->number, s.step);
        group.is_acked = true;
        open_groups_.erase({number, filter});
    }
    if (is_last) finish_delivery(*c.session, id);
}

void Model::finish_delivery(SessionRecord& session, std::uint16_t id) {
    const MessageNumber number = session.number_under(id);
    session.ids_in_use.erase(id);
    session.ids_in_doubt.erase(id);
    if (number == 0) return;
    session.deliveries[number].is_finished = true;
    session.deliveries[number].finished_at = now_;
    session.owed.erase(number);
}

void Model::read_subscribe(ConnectionRecord& c, const mqtt::Subscribe& subscribe,
                           const Sighting& s) {
    c.operations_due.insert(subscribe.packet_id);
    if (c.session == nullptr) return;
    PendingOperation operation;
    ByteView rest = subscribe.filters.encoded;
    while (const auto entry = mqtt::SubscriptionList::next(rest)) {
        operation.filters.emplace_back(entry->filter);
        operation.options.push_back(entry->options);
        auto& record = c.session->subscriptions[std::string{entry->filter}];
        // Saying the same again changes nothing, and nothing may be lost over it (section 3.8.4).
        if (record.options.qos != entry->options.qos ||
            record.options.no_local != entry->options.no_local) {
            record.is_confirmed = false;
        }
        ++record.pending_count;
        record.qos_ever_max = std::max(record.qos_ever_max, entry->options.qos);
        record.local_ever |= !entry->options.no_local;
        record.unsubscribed_step = 0;
        if (record.first_asked_step == 0) record.first_asked_step = s.step;
        if (mqtt::parse_shared(entry->filter)) c.session->shared_ever.emplace(entry->filter);
    }
    operations_[{c.serial, subscribe.packet_id}] = std::move(operation);
    check_groups(c.key.tenant);
}

void Model::read_unsubscribe(ConnectionRecord& c, const mqtt::Unsubscribe& unsubscribe) {
    c.operations_due.insert(unsubscribe.packet_id);
    if (c.session == nullptr) return;
    PendingOperation operation;
    operation.is_subscribe = false;
    ByteView rest = unsubscribe.filters.encoded;
    while (const auto filter = mqtt::FilterList::next(rest)) {
        operation.filters.emplace_back(*filter);
        auto& record = c.session->subscriptions[std::string{*filter}];
        record.is_confirmed = false;
        ++record.pending_count;
    }
    operations_[{c.serial, unsubscribe.packet_id}] = std::move(operation);
    check_groups(c.key.tenant);
}

/// Nobody will see what became of them; a later answer is certain again, since operations of one
/// client on one filter are done in their order.
void Model::lose_operations(ConnectionRecord& c) {
    for (const std::uint16_t id : c.operations_due) {
        const auto node = operations_.extract({c.serial, id});
        if (node.empty()) continue;
        for (const std::string& filter : node.mapped().filters) {
            auto& record = c.session->subscriptions[filter];
            --record.pending_count;
            if (!node.mapped().is_subscribe) record.is_confirmed = false;
        }
    }
    c.operations_due.clear();
    check_groups(c.key.tenant);
}

// --- packets that the broker sends ---

void Model::on_written(const Sighting& s) {
    pass_time(s.at, s.step);
    ConnectionRecord& c = connections_[s.connection];
    for (Checker* checker : checkers_) checker->on_written(c, s);
    if (const auto* p = s.as<mqtt::Connack>()) written_connack(c, *p, s);
    if (const auto* p = s.as<mqtt::Publish>()) written_publish(c, *p, s);
    if (const auto* p = s.as<mqtt::Puback>()) written_ack(c, p->packet_id, p->reason, false, s);
    if (const auto* p = s.as<mqtt::Pubrec>()) written_ack(c, p->packet_id, p->reason, true, s);
    if (const auto* p = s.as<mqtt::Pubrel>(); p != nullptr && c.session != nullptr) {
        const auto it = c.session->ids_in_use.find(p->packet_id);
        if (it != c.session->ids_in_use.end()) {
            c.session->deliveries[it->second].is_released = true;
        }
    }
    if (s.as<mqtt::Pubcomp>() != nullptr && c.pubcomps_due != 0) --c.pubcomps_due;
    if (s.as<mqtt::Pingresp>() != nullptr && c.pings_due != 0) --c.pings_due;
    if (const auto* p = s.as<mqtt::Suback>()) written_suback(c, *p, s);
    if (const auto* p = s.as<mqtt::Unsuback>()) written_unsuback(c, *p, s);
    if (const auto* p = s.as<mqtt::Disconnect>()) c.server_goodbye = p->reason;
}

void Model::written_connack(ConnectionRecord& c, const mqtt::Connack& connack, const Sighting& s) {
    if (connack.reason != ReasonCode::success) {
        c.is_refused = true;
        return;
    }
    if (c.superseded_at) return;  // the session broke before the answer had left
    const auto& p = connack.properties;
    if (p.assigned_client_identifier) c.key.client_id = *p.assigned_client_identifier;
    if (p.session_expiry_interval_s) c.expiry_s = *p.session_expiry_interval_s;
    if (p.server_keep_alive_s) c.keep_alive_s = *p.server_keep_alive_s;
    c.server_packet_bytes_max = p.maximum_packet_size.value_or(0);

    SessionRecord* session = live_session(c.key);
    if (session != nullptr && session->connection != 0) {
        // A take-over. What the old connection still has to write is on its way out.
        ConnectionRecord& old = connections_[session->connection];
        old.superseded_at = s.at;
        part(old, s.at, s.step);
        session = live_session(c.key);
    }
    // The will of the last connection: a session that goes on takes it back, one that ends does
    // not.
    for (auto& [serial, other] : connections_) {
        if (other.session == nullptr || other.session != session) continue;
        MessageRecord* const will = message(other.will);
        if (will == nullptr || !waiting_wills_.contains(will->number)) continue;
        if (connack.session_present) {
            waiting_wills_.erase(will->number);
            will->will = s.at + will->will_slack >= will->will_due_at
                             ? MessageRecord::Will::unsure
                             : MessageRecord::Will::cancelled;
        } else {
            will_is_due(*will, s.at, s.step);
        }
    }
    bool is_unknown = connack.session_present && session == nullptr && maybe_back_.contains(c.key);
    maybe_back_.erase(c.key);
    if (connack.session_present && session != nullptr && session->is_unsure) {
        // It may be another one; what is known of this one is worth nothing.
        end_session(*session);
        session = nullptr;
        is_unknown = true;
    }
    unseen_.erase(c.key);
    if (!connack.session_present || session == nullptr) {
        if (session != nullptr) end_session(*session);
        sessions_.push_back(std::make_unique<SessionRecord>());
        session = sessions_.back().get();
        session->number = static_cast<std::uint32_t>(sessions_.size());
        session->key = c.key;
        session->is_unsure = is_unknown;
        live_[c.key] = session;
    }
    c.session = session;
    c.at_ease_since = s.at;
    session->connection = c.serial;
    session->end_is_unsure = session->was_held_up = false;
    session->ends_at = Instant::never();
    session->end_slack = Duration{};
    session->cut_expiry_s.reset();
    if (c.maximum_packet_size != 0) {
        session->packet_bytes_min = std::min(session->packet_bytes_min, c.maximum_packet_size);
        std::erase_if(session->owed, [&](MessageNumber number) {
            return may_miss(*session, *messages_[number - 1]);
        });
        std::vector<MessageNumber> missed;
        for (const auto& [number, filter] : open_groups_) {
            if (session->shared_ever.contains(filter) &&
                may_miss(*session, *messages_[number - 1])) {
                missed.push_back(number);
            }
        }
        for (const MessageNumber number : missed) excuse_groups(number);
    }
    if (MessageRecord* const will = message(c.will)) will->will = MessageRecord::Will::armed;
}

void Model::written_publish(ConnectionRecord& c, const mqtt::Publish& publish, const Sighting& s) {
    MessageRecord* const m = message(number_of(publish.payload));
    if (m != nullptr) {
        if (!c.superseded_at) {
            for (Checker* checker : checkers_) checker->on_delivery(c, *m, publish, s);
        }
    }
    if (c.session == nullptr || c.superseded_at) return;
    const MessageNumber number = m == nullptr ? 0 : m->number;
    if (publish.qos != QoS::at_most_once) {
        c.unacknowledged.insert(publish.packet_id);
        c.session->ids_in_use[publish.packet_id] = number;
        c.session->ids_in_doubt.erase(publish.packet_id);
    }
    if (m == nullptr) return;
    DeliveryRecord& delivery = c.session->deliveries[number];
    ++delivery.written_count;
    delivery.connection = c.serial;
    if (!publish.dup) {
        ++delivery.transaction_count;
        delivery.may_come_again = false;
    }
    // A retained message may come once more, for another SUBSCRIBE, at QoS 0.
    if (!publish.dup && publish.qos != QoS::at_most_once) {
        delivery.is_released = delivery.is_finished = false;
    }
    if (publish.qos == QoS::exactly_once) delivery.is_qos2 = true;
    delivery.is_replay = publish.retain;
}

void Model::written_ack(ConnectionRecord& c, std::uint16_t id, ReasonCode reason, bool is_pubrec,
                        const Sighting& s) {
    if (mqtt::is_error(reason)) c.breach_is_unsure = true;
    auto& due = is_pubrec ? c.pubrec_due : c.puback_due;
    const auto it =
        std::find_if(due.begin(), due.end(), [&](const auto& entry) { return entry.first == id; });
    if (it == due.end()) return;
    MessageRecord* const m = message(it->second);
    due.erase(it);
    if (m == nullptr) return;
    const auto may = [&](bool all) {
        return authority_->may_publish_since(c.key, m->topic, m->last_read_at, all);
    };
    if (mqtt::is_error(reason) || !may(false)) {
        m->is_refused = true;  // 3.1.1 has no word for the latter
    } else if (!may(true) && c.version != mqtt::ProtocolVersion::v5) {
        // A reload was under way: nobody knows.
    } else if (!m->is_accepted) {
        accept(*m, s.at, s.step);
    }
}

/// The broker has taken the message over: whoever was subscribed all the while is owed it.
void Model::accept(MessageRecord& m, Instant at, std::uint64_t step) {
    m.is_accepted = true;
    m.accepted_step = step;
    m.server_number = server_number_;
    if (m.qos == QoS::at_most_once) return;
    std::set<std::string> groups;
    bool fits_all_members = true;
    for (const auto& [key, session] : live_) {
        if (key.tenant != m.publisher.tenant || session->ends_at <= at) continue;
        if (session->is_unsure) continue;
        QoS granted = QoS::at_most_once;
        for (const auto& [filter, sub] : session->subscriptions) {
            if (!sub.is_stable() || sub.confirmed_step >= m.first_read_step) continue;
            if (!mqtt::matches(matched_part(filter), m.topic)) continue;
            if (sub.options.qos == QoS::at_most_once) continue;
            if (sub.options.no_local && key == m.publisher) continue;
            if (mqtt::parse_shared(filter)) {
                groups.insert(filter);
                fits_all_members &= !may_miss(*session, m);
            } else {
                granted = std::max(granted, sub.options.qos);
            }
        }
        if (granted == QoS::at_most_once || may_miss(*session, m)) continue;
        const auto delivered = session->deliveries.find(m.number);
        if (delivered != session->deliveries.end() && delivered->second.is_finished) continue;
        session->owed.insert(m.number);
    }
    for (const std::string& filter : groups) {
        GroupDelivery& delivery = group_deliveries_[m.number][filter];
        delivery.is_owed = fits_all_members;
        delivery.is_excused |= may_have_been_lost(m, filter);
        if (delivery.is_owed && !delivery.is_acked && !delivery.is_excused)
            open_groups_.insert({m.number, filter});
    }
}

void Model::written_suback(ConnectionRecord& c, const mqtt::Suback& suback, const Sighting& s) {
    c.operations_due.erase(suback.packet_id);
    const auto node = operations_.extract({c.serial, suback.packet_id});
    if (node.empty() || c.session == nullptr) return;
    const PendingOperation& operation = node.mapped();
    for (std::size_t i = 0; i < operation.filters.size() && i < suback.reasons.size(); ++i) {
        auto& record = c.session->subscriptions[operation.filters[i]];
        --record.pending_count;
        if (suback.reasons[i] >= 0x80) continue;
        record.options = operation.options[i];
        record.options.qos = QoS{suback.reasons[i]};
        // A reload may have taken it while the answer was on its way.
        const bool may_be_taken =
            authority_->rights.any_since(before(s.at, answer_time_max), [&](Rights rights) {
                return takes_subscription(c.key, matched_part(operation.filters[i]), rights);
            });
        if (may_be_taken) continue;
        // The last of several operations on a filter decides.
        if (record.is_confirmed || record.pending_count != 0) continue;
        record.is_confirmed = true;
        record.confirmed_step = s.step;
    }
}

void Model::written_unsuback(ConnectionRecord& c, const mqtt::Unsuback& unsuback,
                             const Sighting& s) {
    c.operations_due.erase(unsuback.packet_id);
    const auto node = operations_.extract({c.serial, unsuback.packet_id});
    if (node.empty() || c.session == nullptr) return;
    for (const std::string& filter : node.mapped().filters) {
        auto& record = c.session->subscriptions[filter];
        --record.pending_count;
        record.is_confirmed = false;
        if (record.pending_count == 0) record.unsubscribed_step = s.step;
    }
}

}  // namespace mitu::sim
