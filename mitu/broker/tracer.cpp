#include "mitu/broker/tracer.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include "mitu/mqtt/topic.hpp"

namespace mitu::broker {

std::string_view to_text(TraceKind kind) noexcept {
    switch (kind) {
        case TraceKind::connected:
            return "connected";
        case TraceKind::connect_refused:
            return "connect_refused";
        case TraceKind::taken_over:
            return "taken_over";
        case TraceKind::disconnected:
            return "disconnected";
        case TraceKind::packet_in:
            return "packet_in";
        case TraceKind::packet_out:
            return "packet_out";
        case TraceKind::routed:
            return "routed";
        case TraceKind::queued:
            return "queued";
        case TraceKind::dropped:
            return "dropped";
        case TraceKind::refused:
            return "refused";
    }
    return "unknown";
}

void Tracer::begin(std::uint64_t id, TraceQuery query, std::shared_ptr<TraceSink> sink) {
    traces_.push_back({id, std::move(query), std::move(sink)});
}

void Tracer::end(std::uint64_t id) {
    std::erase_if(traces_, [&](const Trace& trace) { return trace.id == id; });
}

void Tracer::expire(Instant now) {
    std::erase_if(traces_, [&](const Trace& trace) { return trace.query.until <= now; });
}

bool Tracer::wants_client(TenantId tenant, std::string_view client_id) const {
    return std::ranges::any_of(traces_, [&](const Trace& trace) {
        const TraceQuery& query = trace.query;
        // A topic's trace hears of every client of its tenant: any may publish there.
        return query.tenant == tenant && (query.client_id == client_id || !query.filter.empty());
    });
}

void Tracer::say(TenantId tenant, const TraceEvent& event, ByteView payload) const {
    for (const Trace& trace : traces_) {
        const TraceQuery& query = trace.query;
        if (query.tenant != tenant) continue;
        const bool is_message = event.packet.empty() || event.packet == "PUBLISH";
        const bool is_its = query.filter.empty() ? query.client_id == event.client_id
                                                 : is_message && !event.topic.empty() &&
                                                       mqtt::matches(query.filter, event.topic);
        if (!is_its) continue;
        TraceEvent told = event;
        if (query.with_payload && !payload.empty()) {
            told.payload = as_text(payload.first(std::min(payload.size(), payload_bytes_max)));
        }
        trace.sink->push(std::move(told));
    }
}

void Tracer::say_unknown(const TraceEvent& event) const {
    for (const Trace& trace : traces_) {
        const TraceQuery& query = trace.query;
        if (!query.sees_unknown_tenants || !query.filter.empty()) continue;
        if (query.client_id == event.client_id) trace.sink->push(TraceEvent{event});
    }
}

namespace {

std::string reason_text(mqtt::ReasonCode reason) { return std::string{mqtt::to_text(reason)}; }

/// Codes of a SUBACK or UNSUBACK, one after the other.
std::string reasons_text(ByteView reasons) {
    std::string all;
    for (const std::uint8_t reason : reasons) {
        if (!all.empty()) all += ' ';
        // Of a SUBACK 0 to 2 are the granted QoS; "success" would say less.
        if (reason <= 2) {
            all += static_cast<char>('0' + reason);
        } else {
            all += mqtt::to_text(static_cast<mqtt::ReasonCode>(reason));
        }
    }
    return all;
}

struct Describe {
    TraceEvent& event;

    void operator()(const mqtt::Publish& publish) const {
        event.packet = "PUBLISH";
        event.packet_id = publish.packet_id;
        event.topic = publish.topic;
        event.qos = static_cast<std::uint8_t>(publish.qos);
        event.dup = publish.dup;
        event.retain = publish.retain;
        event.bytes = publish.payload.size();
        if (publish.topic.empty() && publish.properties.topic_alias) {
            event.text = "topic alias " + std::to_string(*publish.properties.topic_alias);
        }
    }
    void operator()(const mqtt::Puback& ack) const { acknowledge("PUBACK", ack); }
    void operator()(const mqtt::Pubrec& ack) const { acknowledge("PUBREC", ack); }
    void operator()(const mqtt::Pubrel& ack) const { acknowledge("PUBREL", ack); }
    void operator()(const mqtt::Pubcomp& ack) const { acknowledge("PUBCOMP", ack); }
    void operator()(const mqtt::Pingreq&) const { event.packet = "PINGREQ"; }
    void operator()(const mqtt::Pingresp&) const { event.packet = "PINGRESP"; }
    void operator()(const mqtt::Connect&) const { event.packet = "CONNECT"; }
    void operator()(const mqtt::Connack& connack) const {
        event.packet = "CONNACK";
        event.reason = reason_text(connack.reason);
        if (connack.session_present) event.text = "session present";
    }
    void operator()(const mqtt::Subscribe& subscribe) const {
        event.packet = "SUBSCRIBE";
        event.packet_id = subscribe.packet_id;
        ByteView rest = subscribe.filters.encoded;
        while (const auto entry = mqtt::SubscriptionList::next(rest)) {
            add_filter(entry->filter);
            if (!event.qos) event.qos = static_cast<std::uint8_t>(entry->options.qos);
        }
    }
    void operator()(const mqtt::Suback& suback) const {
        event.packet = "SUBACK";
        event.packet_id = suback.packet_id;
        event.reason = reasons_text(suback.reasons);
    }
    void operator()(const mqtt::Unsubscribe& unsubscribe) const {
        event.packet = "UNSUBSCRIBE";
        event.packet_id = unsubscribe.packet_id;
        ByteView rest = unsubscribe.filters.encoded;
        while (const auto filter = mqtt::FilterList::next(rest)) add_filter(*filter);
    }
    void operator()(const mqtt::Unsuback& unsuback) const {
        event.packet = "UNSUBACK";
        event.packet_id = unsuback.packet_id;
        event.reason = reasons_text(unsuback.reasons);
    }
    void operator()(const mqtt::Disconnect& disconnect) const {
        event.packet = "DISCONNECT";
        event.reason = reason_text(disconnect.reason);
        event.text = disconnect.reason_string.value_or("");
    }
    void operator()(const mqtt::Auth& auth) const {  // its data may be a secret
        event.packet = "AUTH";
        event.reason = reason_text(auth.reason);
        event.text = auth.authentication_method.value_or("");
    }

private:
    void acknowledge(const char* name, const mqtt::Ack& ack) const {
        event.packet = name;
        event.packet_id = ack.packet_id;
        event.reason = reason_text(ack.reason);
        event.text = ack.properties.reason_string.value_or("");
    }
    void add_filter(std::string_view filter) const {
        constexpr std::size_t filters_bytes_max = 1'024;
        if (event.topic.size() > filters_bytes_max) return;
        if (!event.topic.empty()) event.topic += ' ';
        event.topic += filter;
    }
};

}  // namespace

TraceEvent describe(const mqtt::Packet& packet, std::size_t packet_bytes) {
    TraceEvent event;
    event.bytes = packet_bytes;
    std::visit(Describe{event}, packet);
    return event;
}

}  // namespace mitu::broker
