// Packets from the client, and the answers that its publishes and subscriptions wait for.

#include <algorithm>

#include "mitu/broker/placement.hpp"
#include "mitu/broker/session.hpp"
#include "mitu/broker/sys_topic.hpp"
#include "mitu/mqtt/encode.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::broker {

using mqtt::PacketType;
using mqtt::ProtocolVersion;
using mqtt::QoS;
using mqtt::ReasonCode;

void Session::on_packet(const mqtt::Packet& packet, Instant now, Effects& effects) {
    const auto break_off = [&](ReasonCode reason, std::string_view text) {
        context_.counters.protocol_errors_total.add();
        refuse(reason, text, Parting::lost, now, effects);
    };
    struct Handler {
        Session& s;
        Instant now;
        Effects& fx;
        decltype(break_off)& fail;
        void operator()(const mqtt::Publish& p) { s.on_publish(p, now, fx); }
        void operator()(const mqtt::Puback& p) { s.on_puback(p, fx); }
        void operator()(const mqtt::Pubrec& p) { s.on_pubrec(p, fx); }
        void operator()(const mqtt::Pubrel& p) { s.on_pubrel(p, fx); }
        void operator()(const mqtt::Pubcomp& p) { s.on_pubcomp(p, fx); }
        void operator()(const mqtt::Subscribe& p) { s.on_subscribe(p, now, fx); }
        void operator()(const mqtt::Unsubscribe& p) { s.on_unsubscribe(p, fx); }
        void operator()(const mqtt::Pingreq&) {
            fx.out.push_back(fx.memory, 0xD0);
            fx.out.push_back(fx.memory, 0x00);
        }
        void operator()(const mqtt::Disconnect& p) { s.on_disconnect(p, now, fx); }
        void operator()(const mqtt::Connect&) {
            fail(ReasonCode::protocol_error, "second CONNECT [MQTT-3.1.0-2]");
        }
        void operator()(const mqtt::Auth& p) {
            fx.add(AuthenticateEffect{p.reason, p.authentication_method.value_or(""),
                                      p.authentication_data.value_or(ByteView{})});
        }
        void operator()(const mqtt::Connack&) { from_server(); }
        void operator()(const mqtt::Suback&) { from_server(); }
        void operator()(const mqtt::Unsuback&) { from_server(); }
        void operator()(const mqtt::Pingresp&) { from_server(); }
        void from_server() {
            fail(ReasonCode::protocol_error, "a packet that only a server sends");
        }
    };
    fault_point();
    std::visit(Handler{*this, now, effects, break_off}, packet);
    fault_point();
}

// --- PUBLISH ---

std::optional<std::string_view> Session::resolve_alias(const mqtt::Publish& publish, Instant now,
                                                       Effects& effects) {
    if (!publish.properties.topic_alias) return publish.topic;
    const std::uint16_t alias = *publish.properties.topic_alias;
    const auto break_off = [&](ReasonCode reason, std::string_view text) {
        context_.counters.protocol_errors_total.add();
        refuse(reason, text, Parting::lost, now, effects);
        return std::nullopt;
    };
    if (alias > context_.limits.topic_alias_maximum) {
        return break_off(ReasonCode::topic_alias_invalid,
                         "above the server's Topic Alias Maximum [MQTT-3.3.2-9]");
    }
    SessionMemory own = memory();
    if (aliases_ == nullptr) aliases_ = memory::make_in<Aliases>(own);
    auto& names = aliases_->incoming;
    if (publish.topic.empty()) {
        if (alias > names.size() || names[alias - 1].size == 0) {
            return break_off(ReasonCode::protocol_error, "this Topic Alias was never set");
        }
        return names[alias - 1].view();
    }
    if (names.size() < alias) names.resize(own, alias);
    names[alias - 1].set(own, publish.topic);
    return publish.topic;
}

bool Session::may_publish(std::string_view topic) {
    const AccessList& rules = profile_->publish;
    if (rules.allows_everything()) return !is_sys_topic(topic);
    const bool is_known = inbox_ != nullptr && inbox_->permitted_topic.size != 0 &&
                          inbox_->permitted_topic.view() == topic;
    if (is_known) return true;
    if (!rules.may_publish(topic, access_variables(*profile_))) return false;
    // Longer ones are matched each time, so that a topic takes no share of a session worth naming.
    constexpr std::size_t remembered_bytes_max = 128;
    if (topic.size() <= remembered_bytes_max) {
        SessionMemory own = memory();
        use_inbox().permitted_topic.set(own, topic);
    }
    return true;
}

std::optional<ReasonCode> Session::judge_publish(std::string_view topic,
                                                 const mqtt::Publish& publish) {
    if (Levels::is_too_deep(topic)) return ReasonCode::topic_name_invalid;
    if (!may_publish(topic)) {
        count_drop(DropReason::not_authorized, 1, {}, topic);
        return ReasonCode::not_authorized;
    }
    if (profile_->payload_bytes_max != 0 && publish.payload.size() > profile_->payload_bytes_max) {
        count_drop(DropReason::payload_too_large, 1, {}, topic);
        return ReasonCode::quota_exceeded;
    }
    return judge_shape(topic, publish);
}

void Session::charge_message_rate(Instant now) {
    if (profile_->message_rate_per_s == 0) return;
    // Generic cell rate algorithm: rate_due is when the bucket would be full again.
    Inbox& in = use_inbox();
    const Duration each = Duration::nanoseconds(1'000'000'000 / profile_->message_rate_per_s);
    const std::uint32_t burst =
        profile_->message_burst != 0 ? profile_->message_burst : profile_->message_rate_per_s;
    in.rate_due = std::max(in.rate_due, now) + each;
    // The one that was just read has left the bucket: the next needs its own token.
    const Instant earliest = in.rate_due + (Duration{} - each * (std::int64_t{burst} - 1));
    if (earliest > now && earliest > in.rate_pause_until) {
        in.rate_pause_until = earliest;
        context_.counters.rate_limited_total.add();
        note_refusal(RefusalKind::slowed_down,
                     admission::Bound{admission::Limit::message_rate, admission::Scope::client});
    }
}

void Session::on_publish(const mqtt::Publish& publish, Instant now, Effects& effects) {
    context_.counters.messages_received_total.add();
    charge_message_rate(now);
    const auto topic = resolve_alias(publish, now, effects);
    if (!topic) return;

    if (publish.qos == QoS::exactly_once) {
        if (Incoming* const begun = find_incoming(publish.packet_id)) {
            if (!begun->uses_quota) ++inbox_->receive_quota_used;
            begun->uses_quota = true;
            // A repeat: it was passed on already. Its PUBREC is on its way, or is sent again.
            for (std::uint32_t i = 0; i < inbox_->pending_acks.size(); ++i) {
                PendingAck& ack = inbox_->pending_acks.at(i);
                if (ack.qos != QoS::exactly_once || ack.packet_id != publish.packet_id) continue;
                ack.is_orphaned = false;
                return;
            }
            confirm_again(publish.packet_id, effects);
            return;
        }
    }
    std::uint32_t serial = 0;
    if (publish.qos != QoS::at_most_once) {
        // What an earlier connection has begun does not count (MQTT 5.0 section 4.9).
        const std::size_t outstanding =
            inbox_ != nullptr ? std::size_t{inbox_->receive_quota_used} + inbox_->pending_qos1_count
                              : 0;
        if (version_ == ProtocolVersion::v5 && outstanding >= context_.limits.receive_maximum) {
            context_.counters.protocol_errors_total.add();
            refuse(ReasonCode::receive_maximum_exceeded, "[MQTT-3.3.4-7]", Parting::lost, now,
                   effects);
            return;
        }
        serial = next_serial();
    }

    const auto refused = judge_publish(*topic, publish);
    if (serial != 0) owe_ack(publish, serial, refused, effects);
    if (refused) {
        send_due_acks(effects);
        return;
    }
    RouteEffect route;
    if (serial != 0) route.token = token(serial, 0);
    route.message.tenant = tenant_;
    route.message.qos = publish.qos;
    route.message.retain = publish.retain;
    if (publish.properties.message_expiry_interval_s) {
        route.message.expires_at =
            now + Duration::seconds(*publish.properties.message_expiry_interval_s);
    }
    route.message.publisher = self_;
    if (publish.retain) route.message.publisher_key = publisher_key(tenant_, client_id());
    route.message.topic = *topic;
    route.message.payload = publish.payload;
    const auto properties_bytes =
        version_ == ProtocolVersion::v5 ? mqtt::forwarded_properties_size(publish.properties) : 0;
    if (properties_bytes != 0) {
        const MutableByteView room{effects.properties.extend(effects.memory, properties_bytes),
                                   properties_bytes};
        const auto written = mqtt::encode_forwarded_properties(publish.properties, room);
        MITU_CHECK(written == properties_bytes);
        route.message.properties = room;
    }
    if (publish.qos == QoS::exactly_once && is_kept()) route.packet_id = publish.packet_id;
    effects.add(route);
}

void Session::owe_ack(const mqtt::Publish& publish, std::uint32_t serial,
                      std::optional<ReasonCode> refused, Effects& effects) {
    static_cast<void>(effects);
    PendingAck ack;
    ack.serial = serial;
    ack.packet_id = publish.packet_id;
    ack.qos = publish.qos;
    if (refused) {
        ack.done = true;
        // 3.1.1 cannot say no: a positive answer, or a closed connection [MQTT-3.3.5-2].
        ack.reason = version_ == ProtocolVersion::v5 ? *refused : ReasonCode::success;
    }
    Inbox& in = use_inbox();
    SessionMemory own = memory();
    in.pending_acks.push(own, ack);
    fault_point();
    if (ack.qos == QoS::at_least_once) ++in.pending_qos1_count;
    if (publish.qos == QoS::exactly_once && (!ack.done || !mqtt::is_error(ack.reason))) {
        const auto* const at = std::lower_bound(
            in.incoming_qos2.begin(), in.incoming_qos2.end(), publish.packet_id,
            [](const Incoming& entry, std::uint16_t id) { return entry.packet_id < id; });
        in.incoming_qos2.insert(own, static_cast<std::size_t>(at - in.incoming_qos2.begin()),
                                {publish.packet_id, true, false});
        ++in.receive_quota_used;
    }
}

void Session::send_due_acks(Effects& effects) {
    if (inbox_ == nullptr) return;
    auto& acks = inbox_->pending_acks;
    while (!acks.empty() && acks.front().done) {
        const PendingAck ack = acks.front();
        acks.pop();
        if (ack.qos == QoS::at_least_once) {
            --inbox_->pending_qos1_count;
            send_ack(PacketType::puback, ack.packet_id, ack.reason, effects);
            continue;
        }
        if (mqtt::is_error(ack.reason)) forget_incoming(ack.packet_id);
        if (ack.is_orphaned) continue;
        send_ack(PacketType::pubrec, ack.packet_id, ack.reason, effects);
    }
}

/// PUBREC for a message that was passed on already: behind the answers to what this connection has
/// said before, and in front of what an earlier one has said and this one has not yet repeated
/// [MQTT-4.6.0-3].
void Session::confirm_again(std::uint16_t packet_id, Effects& effects) {
    PendingAck again;
    again.packet_id = packet_id;
    again.qos = QoS::exactly_once;
    again.done = true;
    bool is_placed = false;
    SessionMemory own = memory();
    auto& acks = use_inbox().pending_acks;
    for (std::uint32_t left = acks.size(); left != 0; --left) {
        const PendingAck ack = acks.front();
        acks.pop();
        if (ack.is_orphaned && !is_placed) {
            again.serial = ack.serial - 1;  // nobody asks for it; it only keeps the order
            acks.push(own, again);
            is_placed = true;
        }
        acks.push(own, ack);
    }
    if (!is_placed) {
        again.serial = next_serial();
        acks.push(own, again);
    }
    send_due_acks(effects);
}

/// Nobody waits for the answers any more, but of a QoS 2 message it must still be learned whether
/// it was passed on: else the repeat of one that was refused would be taken for done.
void Session::orphan_pending_acks() {
    auto& acks = inbox_->pending_acks;
    for (std::uint32_t left = acks.size(); left != 0; --left) {
        PendingAck ack = acks.front();
        acks.pop();
        if (ack.qos != QoS::exactly_once) continue;
        if (ack.done) {
            if (mqtt::is_error(ack.reason)) forget_incoming(ack.packet_id);
            continue;
        }
        ack.is_orphaned = true;
        acks.push_again(ack);
    }
    inbox_->pending_qos1_count = 0;
}

Incoming* Session::find_incoming(std::uint16_t packet_id) noexcept {
    if (inbox_ == nullptr) return nullptr;
    auto& begun = inbox_->incoming_qos2;
    auto* const at = std::lower_bound(
        begun.begin(), begun.end(), packet_id,
        [](const Incoming& entry, std::uint16_t id) { return entry.packet_id < id; });
    return at != begun.end() && at->packet_id == packet_id ? at : nullptr;
}

void Session::forget_incoming(std::uint16_t packet_id) {
    const Incoming* const found = find_incoming(packet_id);
    if (found == nullptr) return;
    if (found->uses_quota) --inbox_->receive_quota_used;
    auto& begun = inbox_->incoming_qos2;
    begun.erase(static_cast<std::size_t>(found - begun.data()));
}

void Session::on_pubrel(const mqtt::Pubrel& pubrel, Effects& effects) {
    const Incoming* const found = find_incoming(pubrel.packet_id);
    const bool known = found != nullptr;
    if (known && found->is_kept) {
        QueueEffect effect;
        effect.kind = QueueEffect::Kind::erase_incoming;
        effect.packet_id = pubrel.packet_id;
        effects.add(effect);
    }
    forget_incoming(pubrel.packet_id);
    send_ack(PacketType::pubcomp, pubrel.packet_id,
             known ? ReasonCode::success : ReasonCode::packet_identifier_not_found, effects);
}

// --- SUBSCRIBE, UNSUBSCRIBE ---

ReasonCode Session::judge_subscription(const mqtt::SubscriptionList::Entry& entry) {
    const auto shared = mqtt::parse_shared(entry.filter);
    const std::string_view filter = shared ? shared->filter : entry.filter;
    if (Levels::is_too_deep(filter)) return ReasonCode::topic_filter_invalid;
    if (!profile_->subscribe.may_subscribe(filter, access_variables(*profile_))) {
        return ReasonCode::not_authorized;
    }
    if (is_kept() && !context_.journal->accepts()) return ReasonCode::quota_exceeded;
    if (const auto bound = over_the_limit(filter)) {
        note_refusal(RefusalKind::subscription_refused, *bound);
        return ReasonCode::quota_exceeded;
    }
    if (!filters_.contains(entry.filter)) {
        if (const auto bound = take_subscription()) {
            note_refusal(RefusalKind::subscription_refused, *bound);
            return ReasonCode::quota_exceeded;
        }
    }
    return static_cast<ReasonCode>(entry.options.qos);
}

namespace {

template <class List>
std::size_t count_of(const List& list) {
    std::size_t count = 0;
    for (ByteView rest = list.encoded; List::next(rest);) ++count;
    return count;
}

}  // namespace

/// All that the operation needs of the session's memory, before any of it is done.
void Session::make_room_for(PendingOperation& operation, std::size_t filter_count) {
    SessionMemory own = memory();
    operation.reasons.reserve(own, filter_count);
    Inbox& in = use_inbox();
    in.operations.reserve(own, in.operations.size() + 1);
}

void Session::on_subscribe(const mqtt::Subscribe& subscribe, Instant now, Effects& effects) {
    static_cast<void>(now);
    SessionMemory own = memory();
    PendingOperation operation;
    operation.serial = next_serial();
    operation.packet_id = subscribe.packet_id;
    make_room_for(operation, count_of(subscribe.filters));
    ByteView rest = subscribe.filters.encoded;
    while (const auto entry = mqtt::SubscriptionList::next(rest)) {
        ReasonCode reason = judge_subscription(*entry);
        auto added = FilterSet::Added::no_room;
        if (!mqtt::is_error(reason)) {
            added = filters_.add(own, entry->filter);
            if (added == FilterSet::Added::no_room) {
                untake_subscription();
                reason = ReasonCode::quota_exceeded;
            }
        }
        const auto index = static_cast<std::uint32_t>(operation.reasons.size());
        // 3.1 has no code for a refusal: what was asked for is granted, and nothing comes of it.
        const auto answer = version_ == ProtocolVersion::v3_1
                                ? static_cast<std::uint8_t>(entry->options.qos)
                                : static_cast<std::uint8_t>(reason);
        operation.reasons.push_back(own, answer);
        if (mqtt::is_error(reason)) continue;

        const auto shared = mqtt::parse_shared(entry->filter);
        const bool is_new = added == FilterSet::Added::yes;
        fault_point();

        SubscribeEffect effect;
        effect.token = token(operation.serial, index);
        effect.filter = shared ? shared->filter : entry->filter;
        effect.group = shared ? shared->group : std::string_view{};
        effect.subscriber.session = self_;
        effect.subscriber.qos = entry->options.qos;
        effect.subscriber.no_local = entry->options.no_local;
        effect.subscriber.retain_as_published = entry->options.retain_as_published;
        effect.subscriber.subscription_identifier = subscribe.subscription_identifier.value_or(0);
        // Retained messages are not sent to shared subscriptions (MQTT 5.0 section 4.8.2).
        const auto handling = entry->options.retain_handling;
        effect.send_retained =
            !shared && (handling == mqtt::RetainHandling::send_at_subscribe ||
                        (handling == mqtt::RetainHandling::send_if_new_subscription && is_new));
        effects.add(effect);
        ++operation.remaining;
    }
    if (operation.remaining == 0) {
        finish_operation(operation, effects);
    } else {
        use_inbox().operations.push_back(own, operation);
    }
}

void Session::on_unsubscribe(const mqtt::Unsubscribe& unsubscribe, Effects& effects) {
    SessionMemory own = memory();
    PendingOperation operation;
    operation.serial = next_serial();
    operation.packet_id = unsubscribe.packet_id;
    operation.is_subscribe = false;
    make_room_for(operation, count_of(unsubscribe.filters));
    ByteView rest = unsubscribe.filters.encoded;
    while (const auto filter = mqtt::FilterList::next(rest)) {
        const auto index = static_cast<std::uint32_t>(operation.reasons.size());
        if (!filters_.remove(own, *filter)) {
            operation.reasons.push_back(
                own, static_cast<std::uint8_t>(ReasonCode::no_subscription_existed));
            continue;
        }
        operation.reasons.push_back(own, static_cast<std::uint8_t>(ReasonCode::success));
        const auto shared = mqtt::parse_shared(*filter);
        effects.add(UnsubscribeEffect{token(operation.serial, index),
                                      shared ? shared->filter : *filter,
                                      shared ? shared->group : std::string_view{}});
        ++operation.remaining;
    }
    if (operation.remaining == 0) {
        finish_operation(operation, effects);
    } else {
        use_inbox().operations.push_back(own, operation);
    }
}

void Session::finish_operation(PendingOperation& operation, Effects& effects) {
    SessionMemory own = memory();
    if (operation.is_subscribe) {
        if (version_ == ProtocolVersion::v3_1_1) {
            for (auto& reason : operation.reasons) {
                if (reason >= 0x80) reason = 0x80;  // the one failure code of 3.1.1
            }
        }
        mqtt::Suback suback;
        suback.packet_id = operation.packet_id;
        suback.reasons = operation.reasons.view();
        send(suback, effects);
        operation.reasons.free(own);
        return;
    }
    mqtt::Unsuback unsuback;
    unsuback.packet_id = operation.packet_id;
    if (version_ == ProtocolVersion::v5) unsuback.reasons = operation.reasons.view();
    send(unsuback, effects);
    operation.reasons.free(own);
}

// --- answers, goodbye ---

void Session::expect_more(std::uint32_t serial, std::uint32_t more) noexcept {
    if (inbox_ == nullptr) return;
    for (auto& operation : inbox_->operations) {
        if (operation.serial == serial) operation.remaining += more;
    }
}

std::optional<std::uint32_t> Session::find_pending_ack(std::uint32_t serial) const noexcept {
    // Serials grow along the queue; differences survive their wrapping around.
    if (inbox_ == nullptr || inbox_->pending_acks.empty()) return std::nullopt;
    const auto& acks = inbox_->pending_acks;
    const std::uint32_t base = acks.at(0).serial;
    std::uint32_t low = 0;
    std::uint32_t high = acks.size();
    while (low < high) {
        const std::uint32_t middle = low + (high - low) / 2;
        if (acks.at(middle).serial - base < serial - base) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == acks.size() || acks.at(low).serial != serial) return std::nullopt;
    return low;
}

void Session::on_completion(Token token, ReasonCode reason, bool is_kept, Instant now,
                            Effects& effects) {
    if (token.entry >> token_life_shift != notes_.lives) return;
    token.entry &= token_entry_mask;
    if (const auto position = find_pending_ack(token.serial)) {
        PendingAck& ack = inbox_->pending_acks.at(*position);
        ack.done = true;
        ack.reason = reason;
        if (is_kept) {
            if (Incoming* const incoming = find_incoming(ack.packet_id)) {
                incoming->is_kept = true;
            } else {  // its PUBREL came before the answer
                QueueEffect effect;
                effect.kind = QueueEffect::Kind::erase_incoming;
                effect.packet_id = ack.packet_id;
                effects.add(effect);
            }
        }
        // 3.1.1 cannot be told that nothing is kept: no answer, so that it sends it again.
        if (reason == ReasonCode::quota_exceeded && version_ != ProtocolVersion::v5 &&
            is_attached() && context_.journal != nullptr && !context_.journal->accepts()) {
            refuse(ReasonCode::quota_exceeded, "the store is full", Parting::lost, now, effects);
            return;
        }
        if (reason == ReasonCode::quota_exceeded) {
            note_refusal(RefusalKind::publish_refused, std::nullopt);
        }
        fault_point();
        if (*position == 0) send_due_acks(effects);
        return;
    }
    if (inbox_ == nullptr) return;
    auto& operations = inbox_->operations;
    for (std::size_t i = 0; i < operations.size(); ++i) {
        PendingOperation& operation = operations[i];
        if (operation.serial != token.serial) continue;
        if (mqtt::is_error(reason) && version_ != ProtocolVersion::v3_1 &&
            token.entry < operation.reasons.size()) {
            operation.reasons[token.entry] = static_cast<std::uint8_t>(reason);
        }
        if (--operation.remaining == 0) {
            finish_operation(operation, effects);
            operations.erase(i);
        }
        return;
    }
}

namespace {

/// The reasons that a client may give (MQTT 5.0 table 3-10).
bool is_reason_of_a_client(ReasonCode reason) noexcept {
    switch (reason) {
        case ReasonCode::success:
        case ReasonCode::disconnect_with_will_message:
        case ReasonCode::unspecified_error:
        case ReasonCode::malformed_packet:
        case ReasonCode::protocol_error:
        case ReasonCode::implementation_specific_error:
        case ReasonCode::topic_name_invalid:
        case ReasonCode::receive_maximum_exceeded:
        case ReasonCode::topic_alias_invalid:
        case ReasonCode::packet_too_large:
        case ReasonCode::message_rate_too_high:
        case ReasonCode::quota_exceeded:
        case ReasonCode::administrative_action:
        case ReasonCode::payload_format_invalid:
            return true;
        default:
            return false;
    }
}

}  // namespace

void Session::on_disconnect(const mqtt::Disconnect& disconnect, Instant now, Effects& effects) {
    if (!is_reason_of_a_client(disconnect.reason)) {
        context_.counters.protocol_errors_total.add();
        refuse(ReasonCode::protocol_error, "a reason that only a server gives [MQTT-3.14.2-1]",
               Parting::lost, now, effects);
        return;
    }
    if (disconnect.session_expiry_interval_s) {
        const std::uint32_t wanted_s = *disconnect.session_expiry_interval_s;
        if (expiry_s_ == 0 && wanted_s != 0) {
            context_.counters.protocol_errors_total.add();
            refuse(ReasonCode::protocol_error,
                   "a session that was to end with its connection cannot be prolonged "
                   "(section 3.14.2.2.2)",
                   Parting::lost, now, effects);
            return;
        }
        expiry_s_ = std::min(wanted_s, context_.limits.session_expiry_s_max);
    }
    // The will is dropped for reason 0x00 only [MQTT-3.14.4-3].
    detach(disconnect.reason == ReasonCode::success ? Parting::goodbye : Parting::goodbye_with_will,
           now, effects);
}

}  // namespace mitu::broker
