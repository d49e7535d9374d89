#include "sim/packet_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "mitu/base/bytes.hpp"

namespace mitu::sim {
namespace {

constexpr std::size_t payload_shown_max = 32;

std::string payload_text(ByteView payload) {
    std::string text{as_text(payload.first(std::min(payload.size(), payload_shown_max)))};
    for (char& c : text) {
        if (c < ' ' || c > '~') c = '?';
    }
    if (payload.size() > payload_shown_max) {
        return fmt::format("\"{}...\" ({} bytes)", text, payload.size());
    }
    return fmt::format("\"{}\"", text);
}

std::string ack_text(const char* name, const mqtt::Ack& ack) {
    if (ack.reason == mqtt::ReasonCode::success)
        return fmt::format("{} id={}", name, ack.packet_id);
    return fmt::format("{} id={} {}", name, ack.packet_id, mqtt::to_text(ack.reason));
}

std::string reasons_text(ByteView reasons) {
    std::string text;
    for (const std::uint8_t reason : reasons) {
        text += ' ';
        text += mqtt::to_text(mqtt::ReasonCode{reason});
    }
    return text;
}

struct Writer {
    std::string operator()(const mqtt::Publish& p) const {
        std::string text = "PUBLISH";
        if (p.packet_id != 0) text += fmt::format(" id={}", p.packet_id);
        text += fmt::format(" qos={}{}{} {}", static_cast<int>(p.qos), p.dup ? " dup" : "",
                            p.retain ? " retain" : "", p.topic);
        if (p.properties.topic_alias) text += fmt::format(" alias={}", *p.properties.topic_alias);
        if (p.properties.message_expiry_interval_s) {
            text += fmt::format(" expiry={}s", *p.properties.message_expiry_interval_s);
        }
        ByteView identifiers = p.properties.subscription_identifiers;
        while (const auto id = mqtt::next_subscription_identifier(identifiers)) {
            text += fmt::format(" identifier={}", *id);
        }
        return text + ' ' + payload_text(p.payload);
    }
    std::string operator()(const mqtt::Puback& p) const { return ack_text("PUBACK", p); }
    std::string operator()(const mqtt::Pubrec& p) const { return ack_text("PUBREC", p); }
    std::string operator()(const mqtt::Pubrel& p) const { return ack_text("PUBREL", p); }
    std::string operator()(const mqtt::Pubcomp& p) const { return ack_text("PUBCOMP", p); }
    std::string operator()(const mqtt::Pingreq&) const { return "PINGREQ"; }
    std::string operator()(const mqtt::Pingresp&) const { return "PINGRESP"; }
    std::string operator()(const mqtt::Connect& p) const {
        std::string text = fmt::format(
            "CONNECT v={} {}{} keep_alive={}s expiry={}s", static_cast<int>(p.version), p.client_id,
            p.clean_start ? " clean" : "", p.keep_alive_s, p.properties.session_expiry_interval_s);
        if (p.user_name) text += fmt::format(" user={}", *p.user_name);
        if (p.will) {
            text += fmt::format(" will={} qos={} delay={}s {}", p.will->topic,
                                static_cast<int>(p.will->qos), p.will->delay_interval_s,
                                payload_text(p.will->payload));
        }
        return text;
    }
    std::string operator()(const mqtt::Connack& p) const {
        return fmt::format("CONNACK {}{}", mqtt::to_text(p.reason),
                           p.session_present ? " session_present" : "");
    }
    std::string operator()(const mqtt::Subscribe& p) const {
        std::string text = fmt::format("SUBSCRIBE id={}", p.packet_id);
        ByteView rest = p.filters.encoded;
        while (const auto entry = mqtt::SubscriptionList::next(rest)) {
            text +=
                fmt::format(" {} qos={}{}{}", entry->filter, static_cast<int>(entry->options.qos),
                            entry->options.no_local ? " no_local" : "",
                            entry->options.retain_as_published ? " retain_as_published" : "");
        }
        return text;
    }
    std::string operator()(const mqtt::Suback& p) const {
        return fmt::format("SUBACK id={}{}", p.packet_id, reasons_text(p.reasons));
    }
    std::string operator()(const mqtt::Unsubscribe& p) const {
        std::string text = fmt::format("UNSUBSCRIBE id={}", p.packet_id);
        ByteView rest = p.filters.encoded;
        while (const auto filter = mqtt::FilterList::next(rest))
            text += fmt::format(" {}", *filter);
        return text;
    }
    std::string operator()(const mqtt::Unsuback& p) const {
        return fmt::format("UNSUBACK id={}{}", p.packet_id, reasons_text(p.reasons));
    }
    std::string operator()(const mqtt::Disconnect& p) const {
        std::string text = fmt::format("DISCONNECT {}", mqtt::to_text(p.reason));
        if (p.reason_string) text += fmt::format(" \"{}\"", *p.reason_string);
        if (p.session_expiry_interval_s)
            text += fmt::format(" expiry={}s", *p.session_expiry_interval_s);
        return text;
    }
    std::string operator()(const mqtt::Auth& p) const {
        return fmt::format("AUTH {}", mqtt::to_text(p.reason));
    }
};

}  // namespace

std::string packet_text(const mqtt::Packet& packet) { return std::visit(Writer{}, packet); }

}  // namespace mitu::sim
