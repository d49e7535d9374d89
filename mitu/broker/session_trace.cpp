// What a session tells those who follow it, or a topic. Called only while somebody does; in a fault
// zone, which pauses: what is told belongs to others.

#include <fmt/format.h>

#include "mitu/broker/session.hpp"
#include "mitu/mqtt/encode.hpp"

namespace mitu::broker {
namespace {

TraceEvent event_of(const Session& session, TraceKind kind, Instant now) {
    TraceEvent event;
    event.at = now;
    event.shard = session.self().shard;
    event.kind = kind;
    event.client_id = session.client_id();
    return event;
}

}  // namespace

void Session::trace_drop(DropReason reason, std::uint64_t n, MessageHandle which,
                         std::string_view topic) const {
    const memory::ZonePause pause;
    TraceEvent event = event_of(*this, TraceKind::dropped, context_.now);
    event.reason = to_text(reason);
    event.topic = topic;
    if (n != 1) event.text = fmt::format("{} messages", n);
    if (!which.is_none()) {
        const MessageView view = context_.messages.view(which);
        event.topic = view.topic;
        event.qos = static_cast<std::uint8_t>(view.qos);
        event.bytes = view.payload.size();
    }
    context_.tracer->say(tenant_, event);
}

void Session::trace_refusal(RefusalKind kind, const std::optional<admission::Bound>& bound) const {
    const memory::ZonePause pause;
    TraceEvent event = event_of(*this, TraceKind::refused, context_.now);
    event.reason = to_text(kind);
    if (bound) event.text = fmt::format("{} of {}", to_text(bound->limit), to_text(bound->scope));
    context_.tracer->say(tenant_, event);
}

void Session::trace_sent(const mqtt::OutgoingPublish& publish, std::string_view topic) const {
    const memory::ZonePause pause;
    TraceEvent event = event_of(*this, TraceKind::packet_out, context_.now);
    event.packet = "PUBLISH";
    event.packet_id = publish.packet_id;
    event.topic = topic;
    event.qos = static_cast<std::uint8_t>(publish.qos);
    event.dup = publish.dup;
    event.retain = publish.retain;
    event.bytes = publish.payload.size();
    context_.tracer->say(tenant_, event, publish.payload);
}

}  // namespace mitu::broker
