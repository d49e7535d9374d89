#include "mitu/client/session.hpp"

#include <algorithm>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/mqtt/encode.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::client {

namespace {

using mqtt::ProtocolVersion;
using mqtt::QoS;
using mqtt::ReasonCode;

std::uint16_t id_of(std::uint64_t id_sequence) noexcept {
    return static_cast<std::uint16_t>(1 + id_sequence % 65'535);
}

/// Appends `packet`; false: it cannot be encoded, and nothing was appended.
bool append(const mqtt::Packet& packet, ProtocolVersion version, Bytes& bytes) {
    const std::uint32_t size_bytes = mqtt::encoded_size(packet, version);
    if (size_bytes == 0) return false;
    const std::size_t before = bytes.size();
    bytes.resize(before + size_bytes);
    const std::uint32_t written =
        mqtt::encode(packet, version, MutableByteView{bytes}.subspan(before));
    MITU_CHECK(written == size_bytes);
    return true;
}

}  // namespace

std::string_view to_text(Refusal refusal) noexcept {
    switch (refusal) {
        case Refusal::not_connected:
            return "not_connected";
        case Refusal::outbox_full:
            return "outbox_full";
        case Refusal::packet_too_large:
            return "packet_too_large";
        case Refusal::topic_invalid:
            return "topic_invalid";
        case Refusal::filter_invalid:
            return "filter_invalid";
        case Refusal::qos_not_supported:
            return "qos_not_supported";
        case Refusal::retain_not_supported:
            return "retain_not_supported";
        case Refusal::topic_alias_invalid:
            return "topic_alias_invalid";
        case Refusal::feature_not_supported:
            return "feature_not_supported";
        case Refusal::packet_ids_in_use:
            return "packet_ids_in_use";
    }
    return "unknown";
}

// --- the transport -----------------------------------------------------------------------------

Result<void, Refusal> ClientSession::on_open(Instant now, Output& out) {
    if (state_ != State::closed) return std::unexpected(Refusal::not_connected);
    const bool may_resume = options_.version == ProtocolVersion::v5
                                ? options_.session_expiry_interval_s > 0
                                : !options_.clean_start;
    asked_to_forget_ = was_connected_ ? !may_resume : options_.clean_start;
    // A session that the server is told to forget cannot hold messages half received.
    if (asked_to_forget_) unreleased_ids_.clear();
    if (!append(options_.view(asked_to_forget_), options_.version, out.bytes)) {
        return std::unexpected(Refusal::packet_too_large);
    }
    state_ = State::connecting;
    server_ = ServerLimits{};
    keep_alive_s_ = options_.keep_alive_s;
    ping_outstanding_ = false;
    opened_at_ = last_sent_at_ = last_received_at_ = now;
    input_ = {};
    consumed_ = 0;
    aliases_.clear();
    retired_aliases_.clear();
    return {};
}

void ClientSession::on_close(Output& out) {
    if (state_ == State::closed) return;
    const std::string_view detail = state_ == State::connecting
                                        ? "the connection was closed before CONNACK"
                                        : "the connection was closed without DISCONNECT";
    end(EndCause::closed_by_peer, ReasonCode::success, detail, out);
    out.close = false;  // there is nothing left to close
}

Duration ClientSession::ping_interval() const noexcept {
    // Three quarters: what is late by scheduling or by the network is still within the interval
    // that the server was promised [MQTT-3.1.2-20].
    return Duration::milliseconds(std::int64_t{keep_alive_s_} * 750);
}

Instant ClientSession::next_deadline() const noexcept {
    switch (state_) {
        case State::closed:
            return Instant::never();
        case State::connecting:
            return opened_at_ + options_.response_timeout;
        case State::connected:
            break;
    }
    if (ping_outstanding_) {
        // Anything that arrives shows a living peer, whose PINGRESP may wait behind a long message.
        return std::max(ping_sent_at_, last_received_at_) + options_.response_timeout;
    }
    if (keep_alive_s_ == 0) return Instant::never();
    // Silence in either direction asks for a ping: a client that only publishes QoS 0 would
    // otherwise never learn that nobody is there.
    return std::min(last_sent_at_, last_received_at_) + ping_interval();
}

void ClientSession::on_deadline(Instant now, Output& out) {
    if (now < next_deadline()) return;
    if (state_ == State::connecting) {
        end(EndCause::connack_timeout, ReasonCode::success, "no CONNACK in time", out);
    } else if (ping_outstanding_) {
        if (options_.version == ProtocolVersion::v5) {
            mqtt::Disconnect disconnect;
            disconnect.reason = ReasonCode::keep_alive_timeout;
            write(disconnect, now, out);
        }
        end(EndCause::keep_alive_timeout, ReasonCode::keep_alive_timeout, "no PINGRESP in time",
            out);
    } else {
        write(mqtt::Pingreq{}, now, out);
        ping_outstanding_ = true;
        ping_sent_at_ = now;
    }
}

void ClientSession::write(const mqtt::Packet& packet, Instant now, Output& out) {
    const bool encoded = append(packet, options_.version, out.bytes);
    MITU_CHECK_MSG(encoded, "a packet made by the session itself must be encodable");
    last_sent_at_ = now;
}

void ClientSession::fail(ReasonCode reason, std::string_view rule, Output& out) {
    // Before CONNACK the server does not expect anything from us.
    if (options_.version == ProtocolVersion::v5 && state_ == State::connected) {
        mqtt::Disconnect disconnect;
        disconnect.reason = reason;
        write(disconnect, last_received_at_, out);
    }
    end(EndCause::protocol_error, reason, rule, out);
}

void ClientSession::end(EndCause cause, ReasonCode reason, std::string_view detail, Output& out) {
    state_ = State::closed;
    pending_requests_.clear();
    outbox_.requeue_unacknowledged();
    out.events.emplace_back(ConnectionEnded{
        .cause = cause, .reason = reason, .detail = detail, .server_reference = {}});
    out.close = true;
}

// --- requests ----------------------------------------------------------------------------------

std::uint32_t ClientSession::window_free() const noexcept {
    if (state_ != State::connected) return 0;
    const std::uint32_t window =
        std::min(server_.receive_maximum, std::max<std::uint16_t>(options_.inflight_count_max, 1));
    return window - std::min(window, outbox_.count());
}

std::optional<std::uint64_t> ClientSession::take_id_sequence() {
    // Identifiers are given out in a circle of 65'535, so the one given longest ago and still in
    // use is the only one that can be met first.
    std::uint64_t oldest = outbox_.oldest_id_sequence().value_or(id_sequence_next_);
    if (!pending_requests_.empty()) {
        oldest = std::min(oldest, pending_requests_.front().id_sequence);
    }
    if (id_sequence_next_ - oldest >= 65'535) return std::nullopt;
    return id_sequence_next_++;
}

Result<void, Refusal> ClientSession::publish(const PublishRequest& request, Instant now,
                                             Output& out) {
    if (!mqtt::is_valid_topic_name(request.topic)) return std::unexpected(Refusal::topic_invalid);
    mqtt::Publish publish;
    publish.qos = request.qos;
    publish.retain = request.retain;
    publish.packet_id = request.qos == QoS::at_most_once ? 0 : 1;  // 1: replaced when it is sent
    publish.topic = request.topic;
    publish.properties = request.properties;
    publish.payload = request.payload;
    if (state_ == State::connected) {
        if (request.qos > server_.qos_max) return std::unexpected(Refusal::qos_not_supported);
        if (request.retain && !server_.retain_available) {
            return std::unexpected(Refusal::retain_not_supported);
        }
        if (request.properties.topic_alias.value_or(0) > server_.topic_alias_maximum) {
            return std::unexpected(Refusal::topic_alias_invalid);
        }
    }

    const mqtt::Packet packet{publish};
    const std::uint32_t size_bytes = mqtt::encoded_size(packet, options_.version);
    if (size_bytes == 0 || size_bytes > server_.packet_bytes_max) {
        return std::unexpected(Refusal::packet_too_large);
    }
    if (request.qos == QoS::at_most_once) {
        if (state_ != State::connected) return std::unexpected(Refusal::not_connected);
        write(packet, now, out);
        return {};
    }
    // An empty outbox takes a message of any size, or a large one could never be sent.
    if (!outbox_.is_empty() && outbox_.packet_bytes() + size_bytes > options_.outbox_bytes_max) {
        return std::unexpected(Refusal::outbox_full);
    }
    Bytes bytes;
    bytes.reserve(size_bytes);
    MITU_CHECK(append(packet, options_.version, bytes));
    outbox_.push(std::move(bytes), request.token, request.qos);
    if (state_ == State::connected) send_queued(now, out);
    return {};
}

std::optional<ReasonCode> ClientSession::why_not_sendable(
    const Outbox::Entry& entry) const noexcept {
    // publish() checks this too; an entry that was queued before CONNACK is checked here.
    if (entry.packet.size() > server_.packet_bytes_max) return ReasonCode::packet_too_large;
    if (entry.qos > server_.qos_max) return ReasonCode::qos_not_supported;
    const bool retain = (entry.packet[0] & 0x01) != 0;
    if (retain && !server_.retain_available) return ReasonCode::retain_not_supported;
    return std::nullopt;
}

void ClientSession::send_queued(Instant now, Output& out) {
    const std::uint32_t window =
        std::min(server_.receive_maximum, std::max<std::uint16_t>(options_.inflight_count_max, 1));
    while (outbox_.inflight_count() < window) {
        Outbox::Entry* entry = outbox_.next_queued();
        if (entry == nullptr) return;
        if (const auto reason = why_not_sendable(*entry)) {
            mqtt::Ack ack;
            ack.reason = *reason;
            finish_publish(*entry, PublishOutcome::not_sent, ack, out);
            continue;
        }
        std::uint64_t id_sequence = entry->id_sequence;
        if (entry->packet_id == 0) {
            const auto taken = take_id_sequence();
            if (!taken) return;  // goes on when the oldest request has its answer
            id_sequence = *taken;
        }
        outbox_.begin(*entry, id_sequence);
        out.bytes.insert(out.bytes.end(), entry->packet.begin(), entry->packet.end());
        last_sent_at_ = now;
    }
}

Result<std::uint16_t, Refusal> ClientSession::begin_request(bool unsubscribe) {
    const auto id_sequence = take_id_sequence();
    if (!id_sequence) return std::unexpected(Refusal::packet_ids_in_use);
    pending_requests_.push_back({.id_sequence = *id_sequence, .unsubscribe = unsubscribe});
    return id_of(*id_sequence);
}

Result<std::uint16_t, Refusal> ClientSession::subscribe(const SubscribeRequest& request,
                                                        Instant now, Output& out) {
    if (state_ != State::connected) return std::unexpected(Refusal::not_connected);
    Bytes list;
    for (const Subscription& subscription : request.subscriptions) {
        if (!mqtt::is_valid_topic_filter(subscription.filter)) {
            return std::unexpected(Refusal::filter_invalid);
        }
        const bool shared = mqtt::parse_shared(subscription.filter).has_value();
        if ((shared && !server_.shared_available) ||
            (mqtt::has_wildcard(subscription.filter) && !server_.wildcards_available)) {
            return std::unexpected(Refusal::feature_not_supported);
        }
        if (!mqtt::append_subscription(list, subscription.filter, subscription.options)) {
            return std::unexpected(Refusal::filter_invalid);
        }
    }
    if (list.empty()) return std::unexpected(Refusal::filter_invalid);
    if (request.subscription_identifier && !server_.identifiers_available) {
        return std::unexpected(Refusal::feature_not_supported);
    }

    mqtt::Subscribe subscribe;
    subscribe.packet_id = 1;
    subscribe.filters.encoded = list;
    subscribe.subscription_identifier = request.subscription_identifier;
    subscribe.user = request.user;
    const std::uint32_t size_bytes = mqtt::encoded_size(subscribe, options_.version);
    if (size_bytes == 0 || size_bytes > server_.packet_bytes_max) {
        return std::unexpected(Refusal::packet_too_large);
    }
    const auto packet_id = begin_request(false);
    if (!packet_id) return packet_id;
    subscribe.packet_id = *packet_id;
    write(subscribe, now, out);
    return packet_id;
}

Result<std::uint16_t, Refusal> ClientSession::unsubscribe(std::span<const std::string_view> filters,
                                                          const mqtt::UserProperties& user,
                                                          Instant now, Output& out) {
    if (state_ != State::connected) return std::unexpected(Refusal::not_connected);
    Bytes list;
    for (const std::string_view filter : filters) {
        if (!mqtt::is_valid_topic_filter(filter) || !mqtt::append_filter(list, filter)) {
            return std::unexpected(Refusal::filter_invalid);
        }
    }
    if (list.empty()) return std::unexpected(Refusal::filter_invalid);

    mqtt::Unsubscribe unsubscribe;
    unsubscribe.packet_id = 1;
    unsubscribe.filters.encoded = list;
    unsubscribe.user = user;
    const std::uint32_t size_bytes = mqtt::encoded_size(unsubscribe, options_.version);
    if (size_bytes == 0 || size_bytes > server_.packet_bytes_max) {
        return std::unexpected(Refusal::packet_too_large);
    }
    const auto packet_id = begin_request(true);
    if (!packet_id) return packet_id;
    unsubscribe.packet_id = *packet_id;
    write(unsubscribe, now, out);
    return packet_id;
}

Result<void, Refusal> ClientSession::authenticate(ReasonCode reason, ByteView data, Instant now,
                                                  Output& out) {
    if (state_ == State::closed || !options_.authentication_method ||
        options_.version != ProtocolVersion::v5) {
        return std::unexpected(Refusal::not_connected);
    }
    mqtt::Auth auth;
    auth.reason = reason;
    auth.authentication_method = *options_.authentication_method;
    auth.authentication_data = data;
    if (!append(auth, options_.version, out.bytes)) {
        return std::unexpected(Refusal::packet_too_large);
    }
    last_sent_at_ = now;
    return {};
}

void ClientSession::disconnect(const DisconnectRequest& request, Output& out) {
    if (state_ == State::closed) return;
    // A client may send DISCONNECT before CONNACK has come.
    mqtt::Disconnect disconnect;
    disconnect.reason = request.reason;
    disconnect.session_expiry_interval_s = request.session_expiry_interval_s;
    if (!request.reason_string.empty()) disconnect.reason_string = request.reason_string;
    disconnect.user = request.user;
    if (!append(disconnect, options_.version, out.bytes)) {
        // The texts are too long to be said: leave without them.
        mqtt::Disconnect plain;
        plain.reason = request.reason;
        MITU_CHECK(append(plain, options_.version, out.bytes));
    }
    end(EndCause::disconnected_by_client, request.reason, "", out);
}

}  // namespace mitu::client
