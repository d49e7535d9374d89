#include "mitu/client/connect_options.hpp"

namespace mitu::client {

mqtt::PublishProperties MessageProperties::view() const noexcept {
    mqtt::PublishProperties properties;
    properties.payload_is_utf8 = payload_is_utf8;
    properties.message_expiry_interval_s = message_expiry_interval_s;
    properties.topic_alias = topic_alias;
    if (response_topic) properties.response_topic = *response_topic;
    if (correlation_data) properties.correlation_data = ByteView{*correlation_data};
    if (content_type) properties.content_type = *content_type;
    properties.user.block = user_properties;
    return properties;
}

mqtt::Connect ConnectOptions::view(bool clean) const noexcept {
    mqtt::Connect connect;
    connect.version = version;
    connect.clean_start = clean;
    connect.keep_alive_s = keep_alive_s;
    connect.client_id = client_id;
    if (user_name) connect.user_name = *user_name;
    if (password) connect.password = ByteView{*password};
    if (will) {
        mqtt::Will& packet_will = connect.will.emplace();
        packet_will.topic = will->topic;
        packet_will.payload = will->payload;
        packet_will.qos = will->qos;
        packet_will.retain = will->retain;
        packet_will.delay_interval_s = will->delay_interval_s;
        packet_will.properties = will->properties.view();
    }
    mqtt::ConnectProperties& properties = connect.properties;
    properties.session_expiry_interval_s = session_expiry_interval_s;
    properties.receive_maximum = receive_maximum;
    properties.maximum_packet_size = maximum_packet_size;
    properties.topic_alias_maximum = topic_alias_maximum;
    properties.request_response_information = request_response_information;
    properties.request_problem_information = request_problem_information;
    if (authentication_method) properties.authentication_method = *authentication_method;
    if (authentication_data) properties.authentication_data = ByteView{*authentication_data};
    properties.user.block = user_properties;
    return connect;
}

}  // namespace mitu::client
