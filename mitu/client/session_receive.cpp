// The half of ClientSession that reads what the server sends.

#include <algorithm>
#include <utility>

#include "mitu/client/session.hpp"

namespace mitu::client {

namespace {

using mqtt::ProtocolVersion;
using mqtt::QoS;
using mqtt::ReasonCode;

template <class... Visitors>
struct Overloaded : Visitors... {
    using Visitors::operator()...;
};
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace

void ClientSession::on_bytes(ByteView bytes, Instant now, Output& out) {
    if (state_ == State::closed) return;
    last_received_at_ = now;
    retired_aliases_.clear();
    if (consumed_ > 0) {
        input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(consumed_));
        consumed_ = 0;
        // One large message must not leave its buffer behind in a device that then idles.
        if (input_.empty()) input_ = {};
    }

    // Whole packets are read where the caller has them; only a torn one is kept.
    const bool from_input = !input_.empty();
    if (from_input) input_.insert(input_.end(), bytes.begin(), bytes.end());
    ByteView rest = from_input ? ByteView{input_} : bytes;
    const mqtt::DecodeOptions decode_options{
        .sender = mqtt::Sender::server,
        .version = options_.version,
        .packet_bytes_max = options_.maximum_packet_size == 0 ? mqtt::packet_bytes_limit
                                                              : options_.maximum_packet_size};
    while (!rest.empty()) {
        const auto decoded = mqtt::decode(rest, decode_options);
        if (!decoded) {
            fail(decoded.error().reason, decoded.error().rule, out);
            return;
        }
        if (!*decoded) break;
        on_packet((*decoded)->packet, now, out);
        if (state_ == State::closed) return;
        rest = rest.subspan((*decoded)->size_bytes);
    }
    if (from_input) {
        consumed_ = input_.size() - rest.size();
    } else {
        input_.assign(rest.begin(), rest.end());
    }
}

void ClientSession::on_packet(const mqtt::Packet& packet, Instant now, Output& out) {
    if (state_ == State::connecting && !std::holds_alternative<mqtt::Connack>(packet) &&
        !std::holds_alternative<mqtt::Auth>(packet) &&
        !std::holds_alternative<mqtt::Disconnect>(packet)) {
        fail(ReasonCode::protocol_error, "the first packet from the server must be CONNACK", out);
        return;
    }
    std::visit(
        Overloaded{[&](const mqtt::Publish& publish) { on_publish(publish, now, out); },
                   [&](const mqtt::Puback& puback) { on_puback(puback, now, out); },
                   [&](const mqtt::Pubrec& pubrec) { on_pubrec(pubrec, now, out); },
                   [&](const mqtt::Pubrel& pubrel) { on_pubrel(pubrel, now, out); },
                   [&](const mqtt::Pubcomp& pubcomp) { on_pubcomp(pubcomp, now, out); },
                   [&](const mqtt::Pingresp&) { ping_outstanding_ = false; },
                   [&](const mqtt::Connack& connack) { on_connack(connack, now, out); },
                   [&](const mqtt::Suback& suback) {
                       on_suback(suback.packet_id, false, suback.reasons, suback.properties, out);
                   },
                   [&](const mqtt::Unsuback& unsuback) {
                       on_suback(unsuback.packet_id, true, unsuback.reasons, unsuback.properties,
                                 out);
                   },
                   [&](const mqtt::Disconnect& disconnect) { on_disconnect(disconnect, out); },
                   [&](const mqtt::Auth& auth) { on_auth(auth, out); },
                   [&](const auto&) {
                       fail(ReasonCode::protocol_error, "a packet that only clients send", out);
                   }},
        packet);
}

void ClientSession::on_connack(const mqtt::Connack& connack, Instant now, Output& out) {
    if (state_ == State::connected) {
        fail(ReasonCode::protocol_error, "a second CONNACK", out);
        return;
    }
    const mqtt::ConnackProperties& properties = connack.properties;
    if (mqtt::is_error(connack.reason)) {
        end(EndCause::refused, connack.reason, properties.reason_string.value_or(""), out);
        std::get<ConnectionEnded>(out.events.back()).server_reference =
            properties.server_reference.value_or("");
        return;
    }
    if (connack.session_present && asked_to_forget_) {
        // Its messages would meet nothing here that knows of them.
        fail(ReasonCode::protocol_error,
             "a session is present that the server was to discard [MQTT-3.2.2-4]", out);
        return;
    }

    state_ = State::connected;
    was_connected_ = true;
    server_.receive_maximum = properties.receive_maximum.value_or(65'535);
    server_.topic_alias_maximum = properties.topic_alias_maximum.value_or(0);
    server_.packet_bytes_max = properties.maximum_packet_size.value_or(mqtt::packet_bytes_limit);
    server_.qos_max = properties.maximum_qos.value_or(QoS::exactly_once);
    server_.retain_available = properties.retain_available.value_or(true);
    server_.wildcards_available = properties.wildcard_subscription_available.value_or(true);
    server_.identifiers_available = properties.subscription_identifiers_available.value_or(true);
    server_.shared_available = properties.shared_subscription_available.value_or(true);
    keep_alive_s_ = properties.server_keep_alive_s.value_or(options_.keep_alive_s);
    if (properties.assigned_client_identifier) {
        options_.client_id = *properties.assigned_client_identifier;
    }
    out.events.emplace_back(
        Connected{.session_present = connack.session_present, .properties = properties});

    if (connack.session_present) {
        outbox_.for_each([&](const Outbox::Entry& entry) {
            if (entry.phase != Outbox::Phase::awaiting_pubcomp) return;
            mqtt::Pubrel pubrel;
            pubrel.packet_id = entry.packet_id;
            write(pubrel, now, out);
        });
    } else {
        unreleased_ids_.clear();
        std::vector<std::uint64_t> lost;
        outbox_.restart(lost);
        for (const std::uint64_t token : lost) {
            out.events.emplace_back(PublishDone{.token = token,
                                                .qos = QoS::exactly_once,
                                                .outcome = PublishOutcome::session_lost,
                                                .reason = ReasonCode::unspecified_error,
                                                .reason_string = {}});
        }
    }
    send_queued(now, out);
}

bool ClientSession::resolve_alias(mqtt::Publish& publish, Output& out) {
    if (!publish.properties.topic_alias) return true;
    const std::uint16_t alias = *publish.properties.topic_alias;
    if (alias == 0 || alias > options_.topic_alias_maximum) {
        fail(ReasonCode::topic_alias_invalid, "a topic alias above our maximum [MQTT-3.1.2-26]",
             out);
        return false;
    }
    const std::size_t index = alias - std::size_t{1};
    if (publish.topic.empty()) {
        if (index >= aliases_.size() || aliases_[index] == nullptr) {
            fail(ReasonCode::protocol_error, "a topic alias that was never set", out);
            return false;
        }
        publish.topic = *aliases_[index];
        return true;
    }
    if (index >= aliases_.size()) aliases_.resize(index + 1);
    if (aliases_[index] != nullptr) retired_aliases_.push_back(std::move(aliases_[index]));
    aliases_[index] = std::make_unique<const std::string>(publish.topic);
    return true;
}

void ClientSession::on_publish(mqtt::Publish publish, Instant now, Output& out) {
    if (!resolve_alias(publish, out)) return;
    switch (publish.qos) {
        case QoS::at_most_once:
            break;
        case QoS::at_least_once: {
            mqtt::Puback puback;
            puback.packet_id = publish.packet_id;
            write(puback, now, out);
            break;
        }
        case QoS::exactly_once: {
            const auto place =
                std::lower_bound(unreleased_ids_.begin(), unreleased_ids_.end(), publish.packet_id);
            const bool repeated = place != unreleased_ids_.end() && *place == publish.packet_id;
            if (!repeated && options_.version == ProtocolVersion::v5 &&
                unreleased_ids_.size() >= options_.receive_maximum) {
                fail(ReasonCode::receive_maximum_exceeded,
                     "more QoS 2 messages than our receive maximum [MQTT-3.3.4-9]", out);
                return;
            }
            mqtt::Pubrec pubrec;
            pubrec.packet_id = publish.packet_id;
            write(pubrec, now, out);
            if (repeated) return;  // delivered when it came first [MQTT-4.3.3-10]
            unreleased_ids_.insert(place, publish.packet_id);
            break;
        }
    }
    out.events.emplace_back(MessageReceived{publish});
}

void ClientSession::finish_publish(Outbox::Entry& entry, PublishOutcome outcome,
                                   const mqtt::Ack& ack, Output& out) {
    out.events.emplace_back(
        PublishDone{.token = entry.token,
                    .qos = entry.qos,
                    .outcome = outcome,
                    .reason = ack.reason,
                    .reason_string = ack.properties.reason_string.value_or("")});
    outbox_.finish(entry);
}

void ClientSession::on_puback(const mqtt::Puback& puback, Instant now, Output& out) {
    Outbox::Entry* entry = outbox_.find(puback.packet_id);
    // An answer to nothing harms nobody; a server may send it after it restarted.
    if (entry == nullptr) return;
    if (entry->phase != Outbox::Phase::awaiting_puback) {
        fail(ReasonCode::protocol_error, "PUBACK for a QoS 2 publish [MQTT-4.3.3-1]", out);
        return;
    }
    finish_publish(
        *entry,
        mqtt::is_error(puback.reason) ? PublishOutcome::refused : PublishOutcome::acknowledged,
        puback, out);
    send_queued(now, out);
}

void ClientSession::on_pubrec(const mqtt::Pubrec& pubrec, Instant now, Output& out) {
    Outbox::Entry* entry = outbox_.find(pubrec.packet_id);
    if (entry != nullptr && entry->phase == Outbox::Phase::awaiting_puback) {
        fail(ReasonCode::protocol_error, "PUBREC for a QoS 1 publish [MQTT-4.3.2-1]", out);
        return;
    }
    if (mqtt::is_error(pubrec.reason)) {
        if (entry != nullptr && entry->phase == Outbox::Phase::awaiting_pubrec) {
            finish_publish(*entry, PublishOutcome::refused, pubrec, out);
            send_queued(now, out);
        }
        return;
    }
    mqtt::Pubrel pubrel;
    pubrel.packet_id = pubrec.packet_id;
    if (entry == nullptr) {
        pubrel.reason = ReasonCode::packet_identifier_not_found;
    } else if (entry->phase == Outbox::Phase::awaiting_pubrec) {
        outbox_.release_packet(*entry);
    }
    write(pubrel, now, out);
}

void ClientSession::on_pubrel(const mqtt::Pubrel& pubrel, Instant now, Output& out) {
    const auto place =
        std::lower_bound(unreleased_ids_.begin(), unreleased_ids_.end(), pubrel.packet_id);
    mqtt::Pubcomp pubcomp;
    pubcomp.packet_id = pubrel.packet_id;
    if (place != unreleased_ids_.end() && *place == pubrel.packet_id) {
        unreleased_ids_.erase(place);
        if (unreleased_ids_.empty()) unreleased_ids_ = {};
    } else {
        pubcomp.reason = ReasonCode::packet_identifier_not_found;
    }
    write(pubcomp, now, out);
}

void ClientSession::on_pubcomp(const mqtt::Pubcomp& pubcomp, Instant now, Output& out) {
    Outbox::Entry* entry = outbox_.find(pubcomp.packet_id);
    if (entry == nullptr) return;
    if (entry->phase != Outbox::Phase::awaiting_pubcomp) {
        fail(ReasonCode::protocol_error, "PUBCOMP before PUBREL", out);
        return;
    }
    // packet_identifier_not_found answers a repeated PUBREL whose PUBCOMP was lost: it is done.
    mqtt::Ack ack = pubcomp;
    if (ack.reason == ReasonCode::packet_identifier_not_found) ack.reason = ReasonCode::success;
    finish_publish(
        *entry, mqtt::is_error(ack.reason) ? PublishOutcome::refused : PublishOutcome::acknowledged,
        ack, out);
    send_queued(now, out);
}

void ClientSession::on_suback(std::uint16_t packet_id, bool unsubscribe, ByteView reasons,
                              const mqtt::AckProperties& properties, Output& out) {
    const auto pending = std::find_if(pending_requests_.begin(), pending_requests_.end(),
                                      [&](const PendingRequest& request) {
                                          return 1 + request.id_sequence % 65'535 == packet_id &&
                                                 request.unsubscribe == unsubscribe;
                                      });
    if (pending == pending_requests_.end()) return;
    pending_requests_.erase(pending);
    if (pending_requests_.empty()) pending_requests_ = {};
    out.events.emplace_back(SubscribeDone{.packet_id = packet_id,
                                          .unsubscribe = unsubscribe,
                                          .reasons = reasons,
                                          .reason_string = properties.reason_string.value_or("")});
}

void ClientSession::on_auth(const mqtt::Auth& auth, Output& out) {
    if (!options_.authentication_method ||
        auth.authentication_method.value_or("") != *options_.authentication_method) {
        fail(ReasonCode::protocol_error, "AUTH for a method that we did not ask for", out);
        return;
    }
    out.events.emplace_back(AuthRequested{.reason = auth.reason, .data = auth.authentication_data});
}

void ClientSession::on_disconnect(const mqtt::Disconnect& disconnect, Output& out) {
    end(EndCause::disconnected_by_server, disconnect.reason, disconnect.reason_string.value_or(""),
        out);
    std::get<ConnectionEnded>(out.events.back()).server_reference =
        disconnect.server_reference.value_or("");
}

}  // namespace mitu::client
