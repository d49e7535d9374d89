#include "mitu/broker/testing/client.hpp"

#include <algorithm>

#include "mitu/base/check.hpp"
#include "mitu/broker/testing/world.hpp"
#include "mitu/mqtt/encode.hpp"

namespace mitu::broker::testing {

using mqtt::PacketType;
using mqtt::QoS;
using mqtt::ReasonCode;

Client::Client(World& world, std::string client_id)
    : world_{world}, client_id_{std::move(client_id)} {}

// --- connecting ---

Client& Client::open(std::optional<std::uint16_t> door) {
    cut();
    // Both sides know without a word when a session ends with its connection.
    const bool has_ended = options_.version == mqtt::ProtocolVersion::v5
                               ? options_.session_expiry_s == 0
                               : options_.clean_start;
    if (has_ended) forget_session();
    socket_ = std::make_shared<VirtualSocket>();
    input_.clear();
    packets_.clear();
    connack_.reset();
    goodbye_.reset();
    counts_.fill(0);
    aliases_.clear();
    world_.network(door.value_or(world_.next_door())).accept(socket_);
    return *this;
}

Client& Client::connect_later(const ConnectOptions& options) {
    open(options.door);
    options_ = options;
    mqtt::Connect connect;
    connect.version = options.version;
    connect.clean_start = options.clean_start;
    connect.keep_alive_s = options.keep_alive_s;
    connect.client_id = client_id_;
    if (options.user_name) connect.user_name = *options.user_name;
    connect.properties.session_expiry_interval_s = options.session_expiry_s;
    connect.properties.receive_maximum = options.receive_maximum;
    connect.properties.maximum_packet_size = options.maximum_packet_size;
    connect.properties.topic_alias_maximum = options.topic_alias_maximum;
    connect.properties.request_problem_information = options.request_problem_information;
    if (options.authentication_method) {
        connect.properties.authentication_method = *options.authentication_method;
    }
    if (options.will) {
        mqtt::Will will;
        will.topic = options.will->topic;
        will.payload = as_bytes(options.will->payload);
        will.qos = options.will->qos;
        will.retain = options.will->retain;
        will.delay_interval_s = options.will->delay_s;
        will.properties.message_expiry_interval_s = options.will->message_expiry_s;
        connect.will = will;
    }
    send_later(connect);
    return *this;
}

Client& Client::connect(const ConnectOptions& options) {
    connect_later(options);
    world_.run();
    return *this;
}

void Client::disconnect(ReasonCode reason, std::optional<std::uint32_t> session_expiry_s) {
    mqtt::Disconnect disconnect;
    disconnect.reason = reason;
    disconnect.session_expiry_interval_s = session_expiry_s;
    send(disconnect);
    cut();
    world_.run();
}

void Client::cut() {
    if (socket_) socket_->closed_by_client = true;
}

void Client::reset() {
    if (socket_) socket_->reset_by_client = socket_->closed_by_client = true;
    input_.clear();
}

bool Client::is_open() const noexcept {
    return socket_ && !socket_->closed_by_client && !socket_->closed_by_broker;
}

const mqtt::Connack* Client::connack() const noexcept {
    return connack_ ? connack_->as<mqtt::Connack>() : nullptr;
}

bool Client::session_present() const noexcept {
    return connack() != nullptr && connack()->session_present;
}

// --- talking ---

void Client::send_bytes_later(ByteView bytes) {
    if (!is_open()) return;
    socket_->to_broker.insert(socket_->to_broker.end(), bytes.begin(), bytes.end());
}

void Client::send_bytes(ByteView bytes) {
    send_bytes_later(bytes);
    world_.run();
}

void Client::send_later(const mqtt::Packet& packet) {
    Bytes bytes(mqtt::encoded_size(packet, options_.version));
    MITU_CHECK(!bytes.empty() && mqtt::encode(packet, options_.version, bytes) == bytes.size());
    send_bytes_later(bytes);
}

void Client::send(const mqtt::Packet& packet) {
    send_later(packet);
    world_.run();
}

std::uint16_t Client::take_id() {
    while (next_id_ == 0 || sent_.contains(next_id_)) ++next_id_;
    return next_id_++;
}

void Client::send_publish(std::uint16_t id, const SentPublish& sent, bool dup) {
    const PublishOptions& options = sent.options;
    mqtt::Publish publish;
    publish.dup = dup;
    publish.qos = options.qos;
    publish.retain = options.retain;
    publish.packet_id = id;
    publish.topic = sent.topic;
    publish.payload = as_bytes(sent.payload);
    auto& p = publish.properties;
    p.topic_alias = options.topic_alias;
    p.message_expiry_interval_s = options.message_expiry_s;
    p.payload_is_utf8 = options.payload_is_utf8;
    if (options.response_topic) p.response_topic = *options.response_topic;
    if (options.correlation_data) p.correlation_data = as_bytes(*options.correlation_data);
    if (options.content_type) p.content_type = *options.content_type;
    Bytes user;
    for (const auto& [name, value] : options.user_properties) {
        MITU_CHECK(mqtt::append_user_property(user, name, value));
    }
    p.user.block = user;
    send_later(publish);
}

std::uint16_t Client::publish_later(std::string_view topic, std::string_view payload,
                                    const PublishOptions& options) {
    SentPublish sent{std::string{topic}, std::string{payload}, options};
    std::uint16_t id = 0;
    if (options.qos != qos0) {
        id = options.packet_id != 0 ? options.packet_id : take_id();
        outcomes_.erase(id);
    }
    send_publish(id, sent, options.dup);
    if (id != 0) {
        if (sent_.insert_or_assign(id, std::move(sent)).second) sent_order_.push_back(id);
    }
    return id;
}

std::optional<ReasonCode> Client::publish(std::string_view topic, std::string_view payload,
                                          const PublishOptions& options) {
    const std::uint16_t id = publish_later(topic, payload, options);
    world_.run();
    return id == 0 ? ReasonCode::success : outcome(id);
}

std::uint16_t Client::subscribe_later(std::string_view filter, const SubscribeOptions& options) {
    mqtt::Subscribe subscribe;
    subscribe.packet_id = take_id();
    if (options.identifier != 0) subscribe.subscription_identifier = options.identifier;
    Bytes list;
    MITU_CHECK(mqtt::append_subscription(
        list, filter,
        {options.qos, options.no_local, options.retain_as_published, options.retain_handling}));
    subscribe.filters.encoded = list;
    send_later(subscribe);
    return subscribe.packet_id;
}

template <class T>
std::vector<ReasonCode> Client::reasons_of(std::uint16_t packet_id) const {
    std::vector<ReasonCode> reasons;
    for (const SeenPacket& seen : packets_) {
        const T* const answer = seen.as<T>();
        if (answer == nullptr || answer->packet_id != packet_id) continue;
        reasons.clear();
        for (const auto reason : answer->reasons) reasons.push_back(ReasonCode{reason});
        if (reasons.empty()) reasons.push_back(ReasonCode::success);  // UNSUBACK of 3.1.1
    }
    return reasons;
}

std::vector<ReasonCode> Client::subscribe(std::string_view filter,
                                          const SubscribeOptions& options) {
    const std::uint16_t id = subscribe_later(filter, options);
    world_.run();
    return reasons_of<mqtt::Suback>(id);
}

std::uint16_t Client::unsubscribe_later(std::string_view filter) {
    mqtt::Unsubscribe unsubscribe;
    unsubscribe.packet_id = take_id();
    Bytes list;
    MITU_CHECK(mqtt::append_filter(list, filter));
    unsubscribe.filters.encoded = list;
    send_later(unsubscribe);
    return unsubscribe.packet_id;
}

std::vector<ReasonCode> Client::unsubscribe(std::string_view filter) {
    const std::uint16_t id = unsubscribe_later(filter);
    world_.run();
    return reasons_of<mqtt::Unsuback>(id);
}

bool Client::ping() {
    const auto before = count(PacketType::pingresp);
    send(mqtt::Pingreq{});
    return count(PacketType::pingresp) == before + 1;
}

void Client::acknowledge(const Message& message) {
    if (message.qos == qos1) {
        mqtt::Puback puback;
        puback.packet_id = message.packet_id;
        send(puback);
    } else if (message.qos == qos2) {
        mqtt::Pubrec pubrec;
        pubrec.packet_id = message.packet_id;
        send(pubrec);
    }
}

// --- what came ---

std::vector<Message> Client::take_messages() {
    std::vector<Message> taken{std::make_move_iterator(messages_.begin()),
                               std::make_move_iterator(messages_.end())};
    messages_.clear();
    return taken;
}

std::vector<std::string> Client::take_payloads() {
    std::vector<std::string> payloads;
    for (auto& message : take_messages()) payloads.push_back(std::move(message.payload));
    return payloads;
}

std::optional<ReasonCode> Client::outcome(std::uint16_t packet_id) const {
    const auto it = outcomes_.find(packet_id);
    return it == outcomes_.end() ? std::nullopt : std::optional{it->second};
}

void Client::set_window(std::size_t bytes) noexcept {
    if (socket_) socket_->window_bytes = bytes;
}

std::size_t Client::unread_bytes() const noexcept {
    return socket_ ? socket_->to_client.size() : 0;
}

// --- for the world ---

bool Client::has_reason() const noexcept {
    return reads && socket_ && !socket_->reset_by_client && !socket_->to_client.empty();
}

void Client::react() {
    input_.insert(input_.end(), socket_->to_client.begin(), socket_->to_client.end());
    socket_->to_client.clear();
    std::size_t taken = 0;
    for (;;) {
        mqtt::DecodeOptions options;
        options.sender = mqtt::Sender::server;
        options.version = options_.version;
        const auto size = mqtt::packet_size(ByteView{input_}.subspan(taken));
        MITU_CHECK_MSG(size, "the broker sent bytes that are no packet");
        if (!*size || **size > input_.size() - taken) break;
        // The packet borrows bytes of its own.
        const auto begin = input_.begin() + static_cast<std::ptrdiff_t>(taken);
        auto bytes = std::make_shared<const Bytes>(begin, begin + **size);
        const auto decoded = mqtt::decode(*bytes, options);
        MITU_CHECK_MSG(decoded && *decoded, decoded ? "incomplete" : decoded.error().rule);
        taken += bytes->size();
        handle({bytes, (*decoded)->packet});
    }
    input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(taken));
}

void Client::handle(const SeenPacket& seen) {
    ++counts_[static_cast<std::size_t>((*seen.bytes)[0] >> 4)];
    packets_.push_back(seen);
    if (options_.maximum_packet_size != 0) {
        MITU_CHECK(seen.bytes->size() <= options_.maximum_packet_size);  // [MQTT-3.1.2-24]
    }
    if (seen.as<mqtt::Connack>() != nullptr) on_connack(seen);
    if (const auto* p = seen.as<mqtt::Publish>()) on_publish(*p);
    if (const auto* p = seen.as<mqtt::Puback>()) on_ack(PacketType::puback, *p);
    if (const auto* p = seen.as<mqtt::Pubrec>()) on_ack(PacketType::pubrec, *p);
    if (const auto* p = seen.as<mqtt::Pubcomp>()) on_ack(PacketType::pubcomp, *p);
    if (const auto* p = seen.as<mqtt::Pubrel>()) {
        received_qos2_.erase(p->packet_id);
        if (!acknowledges) return;
        mqtt::Pubcomp pubcomp;
        pubcomp.packet_id = p->packet_id;
        send_later(pubcomp);
    }
    if (const auto* p = seen.as<mqtt::Disconnect>()) goodbye_ = p->reason;
}

void Client::on_connack(const SeenPacket& seen) {
    connack_ = seen;
    if (connack()->reason != ReasonCode::success) return;
    if (!connack()->session_present) {
        forget_session();
        return;
    }
    if (!resends) return;
    for (const std::uint16_t id : sent_order_) {
        const SentPublish& sent = sent_.at(id);
        if (!sent.is_released) {
            send_publish(id, sent, true);
            continue;
        }
        mqtt::Pubrel pubrel;
        pubrel.packet_id = id;
        send_later(pubrel);
    }
}

void Client::forget_session() {
    sent_.clear();
    sent_order_.clear();
    received_qos2_.clear();
}

void Client::on_publish(const mqtt::Publish& publish) {
    Message message;
    const auto& p = publish.properties;
    message.topic = publish.topic;
    message.topic_alias = p.topic_alias;
    if (p.topic_alias) {
        MITU_CHECK(*p.topic_alias <= options_.topic_alias_maximum);
        message.came_as_alias = publish.topic.empty();
        if (message.came_as_alias) {
            MITU_CHECK_MSG(aliases_.contains(*p.topic_alias), "an alias that was never set");
            message.topic = aliases_[*p.topic_alias];
        } else {
            aliases_[*p.topic_alias] = publish.topic;
        }
    }
    message.payload = mitu::to_text(publish.payload);
    message.qos = publish.qos;
    message.retain = publish.retain;
    message.dup = publish.dup;
    message.packet_id = publish.packet_id;
    message.message_expiry_s = p.message_expiry_interval_s;
    message.payload_is_utf8 = p.payload_is_utf8;
    if (p.response_topic) message.response_topic = *p.response_topic;
    if (p.correlation_data) message.correlation_data = mitu::to_text(*p.correlation_data);
    if (p.content_type) message.content_type = *p.content_type;
    ByteView identifiers = p.subscription_identifiers;
    while (const auto id = mqtt::next_subscription_identifier(identifiers)) {
        message.identifiers.push_back(*id);
    }
    p.user.for_each([&](const mqtt::UserProperties::Pair& pair) {
        message.user_properties.emplace_back(pair.name, pair.value);
    });
    const bool is_repeat = message.qos == qos2 && !received_qos2_.insert(message.packet_id).second;
    if (acknowledges) {
        mqtt::Puback puback;
        puback.packet_id = message.packet_id;
        mqtt::Pubrec pubrec;
        pubrec.packet_id = message.packet_id;
        if (message.qos == qos1) send_later(puback);
        if (message.qos == qos2) send_later(pubrec);
    }
    if (!is_repeat) messages_.push_back(std::move(message));
}

void Client::on_ack(PacketType type, const mqtt::Ack& ack) {
    const auto it = sent_.find(ack.packet_id);
    if (it == sent_.end()) return;
    const bool is_qos2 = it->second.options.qos == qos2;
    if (type == PacketType::pubrec && !mqtt::is_error(ack.reason)) {
        if (!is_qos2) return;
        if (!it->second.is_released) confirmed_.push_back(it->second.payload);
        it->second.is_released = true;
        outcomes_[ack.packet_id] = ack.reason;
        if (!acknowledges) return;
        mqtt::Pubrel pubrel;
        pubrel.packet_id = ack.packet_id;
        send_later(pubrel);
        return;
    }
    if (type != PacketType::pubcomp) outcomes_[ack.packet_id] = ack.reason;
    if (type == PacketType::puback && !mqtt::is_error(ack.reason)) {
        confirmed_.push_back(it->second.payload);
    }
    sent_.erase(it);
    std::erase(sent_order_, ack.packet_id);
}

}  // namespace mitu::broker::testing
