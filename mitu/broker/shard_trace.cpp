// What a shard tells those who follow a client or a topic. Nothing here runs while nobody does.

#include <fmt/format.h>

#include "mitu/broker/shard.hpp"
#include "mitu/mqtt/decode.hpp"

namespace mitu::broker {
namespace {

std::string_view text_of(Parting parting) noexcept {
    switch (parting) {
        case Parting::goodbye:
            return "the client said goodbye";
        case Parting::goodbye_with_will:
            return "the client said goodbye, and wants its will published";
        case Parting::lost:
            return "the connection broke, timed out or was closed by the server";
        case Parting::taken_over:
            return "another connection has its client id";
        case Parting::shutdown:
            return "the server stops";
    }
    return {};
}

}  // namespace

TraceEvent Shard::trace_event(TraceKind kind, const Session& session) const {
    TraceEvent event;
    event.at = now_;
    event.shard = id_;
    event.kind = kind;
    event.client_id = session.client_id();
    return event;
}

/// Decodes once more, in a zone of its own: the session, which comes after, finds out itself what
/// is wrong with a packet, and what is told before it acts stands in front of what it does.
void Shard::trace_in(const Session& session, ByteView bytes, const mqtt::DecodeOptions& options) {
    if (!tracer_.wants_client(session.tenant(), session.client_id())) return;
    std::optional<decltype(mqtt::decode(bytes, options))> decoded;
    const auto fault =
        memory::in_fault_zone([&] { decoded.emplace(mqtt::decode(bytes, options)); });
    if (fault || !*decoded || !**decoded) return;
    const auto& [packet, size_bytes] = ***decoded;
    TraceEvent event = describe(packet, size_bytes);
    event.at = now_;
    event.shard = id_;
    event.kind = TraceKind::packet_in;
    event.client_id = session.client_id();
    const auto* const publish = std::get_if<mqtt::Publish>(&packet);
    tracer_.say(session.tenant(), event, publish != nullptr ? publish->payload : ByteView{});
}

/// `packets`: of our own making, whole, in order.
void Shard::trace_out(const Session& session, ByteView packets) {
    if (packets.empty() || !tracer_.wants_client(session.tenant(), session.client_id())) return;
    mqtt::DecodeOptions options;
    options.sender = mqtt::Sender::server;
    options.version = session.version();
    while (!packets.empty()) {
        const auto decoded = mqtt::decode(packets, options);
        if (!decoded || !*decoded) return;
        TraceEvent event = describe((*decoded)->packet, (*decoded)->size_bytes);
        event.at = now_;
        event.shard = id_;
        event.kind = TraceKind::packet_out;
        event.client_id = session.client_id();
        tracer_.say(session.tenant(), event);
        packets = packets.subspan((*decoded)->size_bytes);
    }
}

void Shard::trace_attached(const Session& session, const Connection& connection,
                           const mqtt::Connect& connect, bool session_present) {
    TraceEvent event = trace_event(TraceKind::connected, session);
    event.text = fmt::format(
        "from {}, MQTT {}, keep alive {} s, {}, {}{}", ports::address_text(connection.peer),
        connect.version == mqtt::ProtocolVersion::v5       ? "5.0"
        : connect.version == mqtt::ProtocolVersion::v3_1_1 ? "3.1.1"
                                                           : "3.1",
        connect.keep_alive_s, connect.clean_start ? "clean start" : "resumes",
        session_present ? "session present" : "new session", connect.will ? ", with a will" : "");
    tracer_.say(session.tenant(), event);
}

void Shard::trace_detached(const Session& session) {
    TraceEvent event = trace_event(TraceKind::disconnected, session);
    event.text = text_of(session.last_parting());
    if (session.has_ended()) event.text += "; its session has ended";
    tracer_.say(session.tenant(), event);
}

void Shard::trace_attempt(const admission::RefusedAttempt& attempt) {
    TraceEvent event;
    event.at = now_;
    event.shard = id_;
    event.kind = TraceKind::connect_refused;
    event.client_id = attempt.client_id;
    event.reason = mqtt::to_text(static_cast<mqtt::ReasonCode>(attempt.reason));
    event.text = fmt::format("from {}{}{}", mitu::to_text(attempt.address),
                             attempt.text.empty() ? "" : ": ", attempt.text);
    if (attempt.has_tenant) {
        tracer_.say(attempt.tenant, event);
    } else {
        tracer_.say_unknown(event);
    }
}

void Shard::trace_message(TraceKind kind, const MessageView& message, std::string_view reason,
                          std::optional<std::uint64_t> recipients) {
    TraceEvent event;
    event.at = now_;
    event.shard = id_;
    event.kind = kind;
    event.topic = message.topic;
    event.qos = static_cast<std::uint8_t>(message.qos);
    event.retain = message.retain;
    event.bytes = message.payload.size();
    event.reason = reason;
    event.recipients = recipients;
    tracer_.say(message.tenant, event, message.payload);
}

void Shard::trace_queued(const Session& session, const MessageView& message,
                         const Delivery& delivery) {
    TraceEvent event = trace_event(TraceKind::queued, session);
    event.topic = message.topic;
    event.qos = static_cast<std::uint8_t>(delivery.qos);
    event.retain = delivery.retain;
    event.bytes = message.payload.size();
    event.text =
        fmt::format("{} wait, {} in flight{}", session.queued_count(), session.inflight_count(),
                    session.is_attached() ? "" : ", the client is away");
    tracer_.say(session.tenant(), event);
}

}  // namespace mitu::broker
