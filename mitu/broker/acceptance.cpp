#include "mitu/broker/acceptance.hpp"

#include <algorithm>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/broker/level_tree.hpp"
#include "mitu/broker/placement.hpp"
#include "mitu/mqtt/encode.hpp"

namespace mitu::broker {

using mqtt::ProtocolVersion;
using mqtt::ReasonCode;

namespace {

constexpr std::uint32_t never_expires_s = 0xFFFF'FFFF;

ConnectTerms terms_for(const mqtt::Connect& connect, const Profile& profile, const Limits& limits) {
    const bool is_v5 = connect.version == ProtocolVersion::v5;
    const auto& properties = connect.properties;
    ConnectTerms terms;
    // 3.1.1 has no expiry interval: a session that is not clean stays for as long as is allowed.
    const std::uint32_t wanted_s = is_v5                 ? properties.session_expiry_interval_s
                                   : connect.clean_start ? 0
                                                         : never_expires_s;
    terms.expiry_s = std::min(wanted_s, limits.session_expiry_s_max);
    terms.keep_alive_s = connect.keep_alive_s;
    if (is_v5 && profile.heartbeat_interval > Duration{}) {
        const auto interval_s = static_cast<std::uint16_t>(
            std::clamp<std::int64_t>(profile.heartbeat_interval.count_s(), 1, 65'535));
        if (terms.keep_alive_s == 0 || terms.keep_alive_s > interval_s) {
            terms.keep_alive_s = interval_s;
        }
    }
    if (is_v5 && properties.maximum_packet_size != 0) {
        terms.packet_bytes_max = properties.maximum_packet_size;
    }
    return terms;
}

mqtt::Connack connack_for(const mqtt::Connect& connect, const Applicant& applicant,
                          const ConnectTerms& terms, const Limits& limits) {
    mqtt::Connack connack;
    if (connect.version != ProtocolVersion::v5) return connack;
    auto& p = connack.properties;
    if (terms.expiry_s != connect.properties.session_expiry_interval_s) {
        p.session_expiry_interval_s = terms.expiry_s;
    }
    p.receive_maximum = limits.receive_maximum;
    p.maximum_packet_size =
        applicant.packet_bytes_max != 0 ? applicant.packet_bytes_max : limits.packet_bytes_max;
    p.topic_alias_maximum = limits.topic_alias_maximum;
    if (terms.keep_alive_s != connect.keep_alive_s) p.server_keep_alive_s = terms.keep_alive_s;
    if (applicant.client_id_assigned) p.assigned_client_identifier = applicant.client_id;
    if (connect.properties.authentication_method) {
        p.authentication_method = connect.properties.authentication_method;  // [MQTT-4.12.0-5]
        if (!applicant.authentication_data.empty()) {
            p.authentication_data = as_bytes(applicant.authentication_data);
        }
    }
    return connack;
}

Result<StoredWill, ReasonCode> store_will(const mqtt::Will& will, const Applicant& applicant,
                                          MessageStore& messages) {
    const Profile& profile = applicant.profile;
    const auto slashes = std::count(will.topic.begin(), will.topic.end(), '/');
    if (Levels::is_too_deep(will.topic) ||
        (profile.topic_levels_max != 0 && slashes >= profile.topic_levels_max)) {
        return std::unexpected(ReasonCode::topic_name_invalid);
    }
    const AccessVariables variables{applicant.client_id, profile.tenant_name, profile.device_class,
                                    profile.user};
    if (!profile.publish.may_publish(will.topic, variables)) {
        return std::unexpected(ReasonCode::not_authorized);
    }
    if (profile.payload_bytes_max != 0 && will.payload.size() > profile.payload_bytes_max) {
        return std::unexpected(ReasonCode::quota_exceeded);
    }
    Bytes properties(mqtt::forwarded_properties_size(will.properties));
    const auto written = mqtt::encode_forwarded_properties(will.properties, properties);
    MITU_CHECK(written == properties.size());
    MessageView view;
    view.tenant = applicant.tenant;
    view.qos = will.qos;
    view.retain = will.retain;
    if (will.retain) view.publisher_key = publisher_key(applicant.tenant, applicant.client_id);
    view.topic = will.topic;
    view.properties = properties;
    view.payload = will.payload;
    const auto handle = messages.add(view);
    if (!handle) return std::unexpected(ReasonCode::quota_exceeded);
    return StoredWill{*handle, will.delay_interval_s, will.properties.message_expiry_interval_s};
}

}  // namespace

Result<Acceptance, ReasonCode> Acceptance::judge(const mqtt::Connect& connect,
                                                 const Applicant& applicant, const Limits& limits,
                                                 MessageStore& messages) {
    Acceptance acceptance{messages};
    acceptance.tells_session_present_ = connect.version != ProtocolVersion::v3_1;
    acceptance.terms_ = terms_for(connect, applicant.profile, limits);
    acceptance.connack_ = connack_for(connect, applicant, acceptance.terms_, limits);
    if (mqtt::encoded_size(acceptance.connack_, connect.version) >
        acceptance.terms_.packet_bytes_max) {
        return std::unexpected(ReasonCode::packet_too_large);
    }
    if (connect.will) {
        auto stored = store_will(*connect.will, applicant, messages);
        if (!stored) return std::unexpected(stored.error());
        acceptance.will_ = *stored;
    }
    return acceptance;
}

Acceptance::Acceptance(Acceptance&& other) noexcept
    : messages_{other.messages_},
      tells_session_present_{other.tells_session_present_},
      terms_{other.terms_},
      connack_{other.connack_},
      will_{std::exchange(other.will_, std::nullopt)} {}

Acceptance::~Acceptance() {
    if (will_) messages_->release(will_->message);
}

mqtt::Connack Acceptance::connack(bool session_present) const {
    mqtt::Connack connack = connack_;
    connack.session_present = session_present && tells_session_present_;
    return connack;
}

std::optional<StoredWill> Acceptance::take_will(const SessionRef& session) noexcept {
    if (will_) {
        messages_->set_publisher(will_->message, session);
        will_->session = session;
    }
    return std::exchange(will_, std::nullopt);
}

}  // namespace mitu::broker
