#include "mitu/mqtt/testing/packet_equal.hpp"

#include <optional>

namespace mitu::mqtt::testing {
namespace {

bool same(ByteView a, ByteView b) noexcept { return mitu::equal(a, b); }

bool same(const std::optional<ByteView>& a, const std::optional<ByteView>& b) noexcept {
    return a.has_value() == b.has_value() && (!a || same(*a, *b));
}

bool same(const UserProperties& a, const UserProperties& b) noexcept {
    ByteView a_rest = a.block;
    ByteView b_rest = b.block;
    for (;;) {
        const auto a_pair = UserProperties::next(a_rest);
        const auto b_pair = UserProperties::next(b_rest);
        if (!a_pair || !b_pair) return !a_pair && !b_pair;
        if (a_pair->name != b_pair->name || a_pair->value != b_pair->value) return false;
    }
}

bool same_identifiers(ByteView a, ByteView b) noexcept {
    for (;;) {
        const auto a_next = next_subscription_identifier(a);
        const auto b_next = next_subscription_identifier(b);
        if (a_next != b_next) return false;
        if (!a_next) return true;
    }
}

bool same(const SubscriptionList& a, const SubscriptionList& b) noexcept {
    ByteView a_rest = a.encoded;
    ByteView b_rest = b.encoded;
    for (;;) {
        const auto a_entry = SubscriptionList::next(a_rest);
        const auto b_entry = SubscriptionList::next(b_rest);
        if (!a_entry || !b_entry) return !a_entry && !b_entry;
        if (a_entry->filter != b_entry->filter || a_entry->options != b_entry->options) {
            return false;
        }
    }
}

bool same(const FilterList& a, const FilterList& b) noexcept {
    ByteView a_rest = a.encoded;
    ByteView b_rest = b.encoded;
    for (;;) {
        const auto a_next = FilterList::next(a_rest);
        const auto b_next = FilterList::next(b_rest);
        if (a_next != b_next) return false;
        if (!a_next) return true;
    }
}

bool same(const PublishProperties& a, const PublishProperties& b) noexcept {
    return a.payload_is_utf8 == b.payload_is_utf8 &&
           a.message_expiry_interval_s == b.message_expiry_interval_s &&
           a.topic_alias == b.topic_alias && a.response_topic == b.response_topic &&
           same(a.correlation_data, b.correlation_data) && a.content_type == b.content_type &&
           same_identifiers(a.subscription_identifiers, b.subscription_identifiers) &&
           same(a.user, b.user);
}

bool same(const std::optional<Will>& a, const std::optional<Will>& b) noexcept {
    if (!a || !b) return !a && !b;
    return a->topic == b->topic && same(a->payload, b->payload) && a->qos == b->qos &&
           a->retain == b->retain && a->delay_interval_s == b->delay_interval_s &&
           same(a->properties, b->properties);
}

bool same(const ConnectProperties& a, const ConnectProperties& b) noexcept {
    return a.session_expiry_interval_s == b.session_expiry_interval_s &&
           a.receive_maximum == b.receive_maximum &&
           a.maximum_packet_size == b.maximum_packet_size &&
           a.topic_alias_maximum == b.topic_alias_maximum &&
           a.request_response_information == b.request_response_information &&
           a.request_problem_information == b.request_problem_information &&
           a.authentication_method == b.authentication_method &&
           same(a.authentication_data, b.authentication_data) && same(a.user, b.user);
}

bool same(const Connect& a, const Connect& b) noexcept {
    return a.version == b.version && a.clean_start == b.clean_start &&
           a.keep_alive_s == b.keep_alive_s && a.client_id == b.client_id &&
           a.user_name == b.user_name && same(a.password, b.password) && same(a.will, b.will) &&
           same(a.properties, b.properties);
}

bool same(const ConnackProperties& a, const ConnackProperties& b) noexcept {
    return a.session_expiry_interval_s == b.session_expiry_interval_s &&
           a.receive_maximum == b.receive_maximum && a.maximum_qos == b.maximum_qos &&
           a.retain_available == b.retain_available &&
           a.maximum_packet_size == b.maximum_packet_size &&
           a.assigned_client_identifier == b.assigned_client_identifier &&
           a.topic_alias_maximum == b.topic_alias_maximum && a.reason_string == b.reason_string &&
           a.wildcard_subscription_available == b.wildcard_subscription_available &&
           a.subscription_identifiers_available == b.subscription_identifiers_available &&
           a.shared_subscription_available == b.shared_subscription_available &&
           a.server_keep_alive_s == b.server_keep_alive_s &&
           a.response_information == b.response_information &&
           a.server_reference == b.server_reference &&
           a.authentication_method == b.authentication_method &&
           same(a.authentication_data, b.authentication_data) && same(a.user, b.user);
}

bool same(const Connack& a, const Connack& b) noexcept {
    return a.session_present == b.session_present && a.reason == b.reason &&
           same(a.properties, b.properties);
}

bool same(const Publish& a, const Publish& b) noexcept {
    return a.dup == b.dup && a.qos == b.qos && a.retain == b.retain && a.packet_id == b.packet_id &&
           a.topic == b.topic && same(a.properties, b.properties) && same(a.payload, b.payload);
}

bool same(const AckProperties& a, const AckProperties& b) noexcept {
    return a.reason_string == b.reason_string && same(a.user, b.user);
}

bool same(const Ack& a, const Ack& b) noexcept {
    return a.packet_id == b.packet_id && a.reason == b.reason && same(a.properties, b.properties);
}

bool same(const Subscribe& a, const Subscribe& b) noexcept {
    return a.packet_id == b.packet_id && same(a.filters, b.filters) &&
           a.subscription_identifier == b.subscription_identifier && same(a.user, b.user);
}

bool same(const Suback& a, const Suback& b) noexcept {
    return a.packet_id == b.packet_id && same(a.reasons, b.reasons) &&
           same(a.properties, b.properties);
}

bool same(const Unsubscribe& a, const Unsubscribe& b) noexcept {
    return a.packet_id == b.packet_id && same(a.filters, b.filters) && same(a.user, b.user);
}

bool same(const Unsuback& a, const Unsuback& b) noexcept {
    return a.packet_id == b.packet_id && same(a.reasons, b.reasons) &&
           same(a.properties, b.properties);
}

bool same(const Pingreq& /*a*/, const Pingreq& /*b*/) noexcept { return true; }
bool same(const Pingresp& /*a*/, const Pingresp& /*b*/) noexcept { return true; }

bool same(const Disconnect& a, const Disconnect& b) noexcept {
    return a.reason == b.reason && a.session_expiry_interval_s == b.session_expiry_interval_s &&
           a.reason_string == b.reason_string && a.server_reference == b.server_reference &&
           same(a.user, b.user);
}

bool same(const Auth& a, const Auth& b) noexcept {
    return a.reason == b.reason && a.authentication_method == b.authentication_method &&
           same(a.authentication_data, b.authentication_data) &&
           a.reason_string == b.reason_string && same(a.user, b.user);
}

}  // namespace

bool equal(const Packet& a, const Packet& b) noexcept {
    if (a.index() != b.index()) return false;
    return std::visit(
        [&b](const auto& left) {
            using Kind = std::remove_cvref_t<decltype(left)>;
            return same(left, *std::get_if<Kind>(&b));
        },
        a);
}

}  // namespace mitu::mqtt::testing
