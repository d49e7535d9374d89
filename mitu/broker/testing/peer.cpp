#include "mitu/broker/testing/peer.hpp"

#include <algorithm>

#include "mitu/base/check.hpp"
#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/encode.hpp"

namespace mitu::broker::testing {
namespace {

using mqtt::PacketType;
using mqtt::ReasonCode;

Bytes block_of(const UserPairs& pairs) {
    Bytes block;
    for (const auto& [name, value] : pairs) {
        MITU_CHECK(mqtt::append_user_property(block, name, value));
    }
    return block;
}

std::optional<std::string_view> view_of(const std::optional<std::string>& text) {
    return text ? std::optional<std::string_view>{*text} : std::nullopt;
}

std::optional<ByteView> bytes_of(const std::optional<std::string>& text) {
    return text ? std::optional{as_bytes(*text)} : std::nullopt;
}

/// What PublishOptions and WillOptions have in common. Lifetime: borrows both arguments.
template <class Options>
mqtt::PublishProperties properties_of(const Options& options, const Bytes& user) {
    mqtt::PublishProperties p;
    p.message_expiry_interval_s = options.message_expiry_s;
    p.payload_is_utf8 = options.payload_is_utf8;
    p.response_topic = view_of(options.response_topic);
    p.correlation_data = bytes_of(options.correlation_data);
    p.content_type = view_of(options.content_type);
    p.user.block = user;
    return p;
}

std::optional<std::string> text_of(const std::optional<std::string_view>& text) {
    return text ? std::optional{std::string{*text}} : std::nullopt;
}

}  // namespace

Peer::Peer(std::string client_id)
    : complain{[](std::string_view rule) { MITU_CHECK_MSG(false, std::string{rule}.c_str()); }},
      client_id_{std::move(client_id)} {}

// --- connecting ---

void Peer::begin_connection(const ConnectOptions& options) {
    const bool has_ended = options_.version == mqtt::ProtocolVersion::v5 ? session_expiry_s_ == 0
                                                                         : options_.clean_start;
    if (has_ended) forget_session();
    options_ = options;
    session_expiry_s_ = options.session_expiry_s;
    input_.clear();
    is_deaf_ = sent_raw_ = false;
    packets_.clear();
    connack_.reset();
    goodbye_.reset();
    counts_.fill(0);
    aliases_.clear();
    unfinished_.clear();
    owed_.clear();
}

void Peer::send_connect() {
    mqtt::Connect connect;
    connect.version = options_.version;
    connect.clean_start = options_.clean_start;
    connect.keep_alive_s = options_.keep_alive_s;
    connect.client_id = client_id_;
    connect.user_name = view_of(options_.user_name);
    connect.password = bytes_of(options_.password);
    auto& p = connect.properties;
    p.session_expiry_interval_s = options_.session_expiry_s;
    p.receive_maximum = options_.receive_maximum;
    p.maximum_packet_size = options_.maximum_packet_size;
    p.topic_alias_maximum = options_.topic_alias_maximum;
    p.request_response_information = options_.request_response_information;
    p.request_problem_information = options_.request_problem_information;
    p.authentication_method = view_of(options_.authentication_method);
    p.authentication_data = bytes_of(options_.authentication_data);
    const Bytes user = block_of(options_.user_properties);
    p.user.block = user;
    Bytes will_user;
    if (options_.will) {
        mqtt::Will will;
        will.topic = options_.will->topic;
        will.payload = as_bytes(options_.will->payload);
        will.qos = options_.will->qos;
        will.retain = options_.will->retain;
        will.delay_interval_s = options_.will->delay_s;
        will_user = block_of(options_.will->user_properties);
        will.properties = properties_of(*options_.will, will_user);
        connect.will = will;
    }
    send(connect);
}

// --- talking ---

void Peer::write_packet(const mqtt::Packet& packet) {
    Bytes bytes(mqtt::encoded_size(packet, options_.version));
    MITU_CHECK(!bytes.empty() && mqtt::encode(packet, options_.version, bytes) == bytes.size());
    if (write) write(bytes);
}

void Peer::send(const mqtt::Packet& packet) {
    if (const auto* p = std::get_if<mqtt::Puback>(&packet)) on_own_ack(PacketType::puback, *p);
    if (const auto* p = std::get_if<mqtt::Pubrec>(&packet)) on_own_ack(PacketType::pubrec, *p);
    if (const auto* p = std::get_if<mqtt::Pubrel>(&packet)) on_own_ack(PacketType::pubrel, *p);
    if (const auto* p = std::get_if<mqtt::Pubcomp>(&packet)) on_own_ack(PacketType::pubcomp, *p);
    if (const auto* p = std::get_if<mqtt::Disconnect>(&packet)) {
        // A session that was to end with its connection cannot be kept after all.
        if (session_expiry_s_ != 0) {
            session_expiry_s_ = p->session_expiry_interval_s.value_or(session_expiry_s_);
        }
    }
    write_packet(packet);
}

void Peer::send_bytes(ByteView bytes) {
    sent_raw_ = true;
    if (write) write(bytes);
}

std::uint16_t Peer::take_id() {
    while (next_id_ == 0 || sent_.contains(next_id_)) ++next_id_;
    return next_id_++;
}

void Peer::send_publish(std::uint16_t id, const SentPublish& sent, bool dup) {
    const PublishOptions& options = sent.options;
    mqtt::Publish publish;
    publish.dup = dup;
    publish.qos = options.qos;
    publish.retain = options.retain;
    publish.packet_id = id;
    publish.topic = sent.topic;
    publish.payload = as_bytes(sent.payload);
    const Bytes user = block_of(options.user_properties);
    publish.properties = properties_of(options, user);
    publish.properties.topic_alias = options.topic_alias;
    Bytes identifiers;
    for (const std::uint32_t identifier : options.subscription_identifiers) {
        MITU_CHECK(mqtt::append_subscription_identifier(identifiers, identifier));
    }
    publish.properties.subscription_identifiers = identifiers;
    write_packet(publish);
}

std::uint16_t Peer::publish(std::string_view topic, std::string_view payload,
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

std::uint16_t Peer::subscribe(std::string_view filter, const SubscribeOptions& options) {
    const FilterOptions one{std::string{filter}, options};
    return subscribe(std::span{&one, 1}, options.identifier);
}

std::uint16_t Peer::subscribe(std::span<const FilterOptions> filters, std::uint32_t identifier,
                              const UserPairs& user_properties, std::uint16_t packet_id) {
    mqtt::Subscribe subscribe;
    subscribe.packet_id = packet_id != 0 ? packet_id : take_id();
    if (identifier != 0) subscribe.subscription_identifier = identifier;
    Bytes list;
    for (const auto& [filter, o] : filters) {
        MITU_CHECK(mqtt::append_subscription(
            list, filter, {o.qos, o.no_local, o.retain_as_published, o.retain_handling}));
    }
    subscribe.filters.encoded = list;
    const Bytes user = block_of(user_properties);
    subscribe.user.block = user;
    send(subscribe);
    return subscribe.packet_id;
}

std::uint16_t Peer::unsubscribe(std::string_view filter) {
    const std::string one{filter};
    return unsubscribe(std::span{&one, 1});
}

std::uint16_t Peer::unsubscribe(std::span<const std::string> filters,
                                const UserPairs& user_properties, std::uint16_t packet_id) {
    mqtt::Unsubscribe unsubscribe;
    unsubscribe.packet_id = packet_id != 0 ? packet_id : take_id();
    Bytes list;
    for (const std::string& filter : filters) MITU_CHECK(mqtt::append_filter(list, filter));
    unsubscribe.filters.encoded = list;
    const Bytes user = block_of(user_properties);
    unsubscribe.user.block = user;
    send(unsubscribe);
    return unsubscribe.packet_id;
}

void Peer::ping() { send(mqtt::Pingreq{}); }

void Peer::disconnect(ReasonCode reason, std::optional<std::uint32_t> session_expiry_s) {
    mqtt::Disconnect disconnect;
    disconnect.reason = reason;
    disconnect.session_expiry_interval_s = session_expiry_s;
    send(disconnect);
}

void Peer::acknowledge(const Message& message) {
    if (message.qos == qos1) send_ack({PacketType::puback, message.packet_id});
    if (message.qos == qos2) send_ack({PacketType::pubrec, message.packet_id});
}

void Peer::send_ack(const Owed& ack) {
    const auto with_id = [&](auto packet) {
        packet.packet_id = ack.packet_id;
        send(packet);
    };
    if (ack.type == PacketType::puback) with_id(mqtt::Puback{});
    if (ack.type == PacketType::pubrec) with_id(mqtt::Pubrec{});
    if (ack.type == PacketType::pubrel) with_id(mqtt::Pubrel{});
    if (ack.type == PacketType::pubcomp) with_id(mqtt::Pubcomp{});
}

void Peer::owe(Owed ack) {
    if (acknowledges) {
        send_ack(ack);
    } else {
        owed_.push_back(ack);
    }
}

void Peer::release_acks() {
    acknowledges = true;
    for (const Owed& ack : std::exchange(owed_, {})) send_ack(ack);
}

void Peer::on_own_ack(PacketType type, const mqtt::Ack& ack) {
    if (const auto it = std::find(owed_.begin(), owed_.end(), Owed{type, ack.packet_id});
        it != owed_.end()) {
        owed_.erase(it);
    }
    const bool refuses = type == PacketType::pubrec && mqtt::is_error(ack.reason);
    if (refuses) received_qos2_.erase(ack.packet_id);
    if (type == PacketType::puback || type == PacketType::pubcomp || refuses) {
        unfinished_.erase(ack.packet_id);
    }
}

// --- what came ---

const mqtt::Connack* Peer::connack() const noexcept {
    return connack_ ? connack_->as<mqtt::Connack>() : nullptr;
}

bool Peer::session_present() const noexcept {
    return connack() != nullptr && connack()->session_present;
}

std::vector<Message> Peer::take_messages() {
    std::vector<Message> taken{std::make_move_iterator(messages_.begin()),
                               std::make_move_iterator(messages_.end())};
    messages_.clear();
    return taken;
}

std::vector<std::string> Peer::take_payloads() {
    std::vector<std::string> payloads;
    for (auto& message : take_messages()) payloads.push_back(std::move(message.payload));
    return payloads;
}

std::optional<ReasonCode> Peer::outcome(std::uint16_t packet_id) const {
    const auto it = outcomes_.find(packet_id);
    return it == outcomes_.end() ? std::nullopt : std::optional{it->second};
}

std::string Peer::topic_of_alias(std::uint16_t alias) const {
    const auto it = aliases_.find(alias);
    return it == aliases_.end() ? std::string{} : it->second;
}

void Peer::on_bytes(ByteView bytes) {
    if (is_deaf_) return;
    input_.insert(input_.end(), bytes.begin(), bytes.end());
    const auto give_up = [&](std::string_view rule) {
        is_deaf_ = true;
        input_.clear();
        complain(rule);
    };
    std::size_t taken = 0;
    for (;;) {
        mqtt::DecodeOptions options;
        options.sender = mqtt::Sender::server;
        options.version = options_.version;
        const auto size = mqtt::packet_size(ByteView{input_}.subspan(taken));
        if (!size) return give_up("the broker sent bytes that are no packet");
        if (!*size || **size > input_.size() - taken) break;
        // The packet borrows bytes of its own.
        const auto begin = input_.begin() + static_cast<std::ptrdiff_t>(taken);
        auto own = std::make_shared<const Bytes>(begin, begin + **size);
        const auto decoded = mqtt::decode(*own, options);
        if (!decoded) return give_up(decoded.error().rule);
        if (!*decoded) return give_up("a packet is shorter than what it holds");
        taken += own->size();
        handle({own, (*decoded)->packet});
    }
    input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(taken));
}

void Peer::handle(const SeenPacket& packet) {
    ++counts_[static_cast<std::size_t>((*packet.bytes)[0] >> 4)];
    packets_.push_back(packet);
    if (seen) seen(packet);
    if (options_.maximum_packet_size != 0 && packet.bytes->size() > options_.maximum_packet_size) {
        complain("a packet is larger than the client's maximum packet size [MQTT-3.1.2-24]");
    }
    if (packet.as<mqtt::Connack>() != nullptr) on_connack(packet);
    if (const auto* p = packet.as<mqtt::Publish>()) on_publish(*p);
    if (const auto* p = packet.as<mqtt::Puback>()) on_ack(PacketType::puback, *p);
    if (const auto* p = packet.as<mqtt::Pubrec>()) on_ack(PacketType::pubrec, *p);
    if (const auto* p = packet.as<mqtt::Pubcomp>()) on_ack(PacketType::pubcomp, *p);
    if (const auto* p = packet.as<mqtt::Pubrel>()) {
        received_qos2_.erase(p->packet_id);
        owe({PacketType::pubcomp, p->packet_id});
    }
    if (const auto* p = packet.as<mqtt::Disconnect>()) goodbye_ = p->reason;
}

void Peer::on_connack(const SeenPacket& packet) {
    connack_ = packet;
    if (connack()->reason != ReasonCode::success) return;
    session_expiry_s_ = connack()->properties.session_expiry_interval_s.value_or(session_expiry_s_);
    if (!connack()->session_present) {
        forget_session();
        return;
    }
    if (!resends) return;
    for (const std::uint16_t id : sent_order_) {
        const SentPublish& sent = sent_.at(id);
        if (sent.is_released) {
            send_ack({PacketType::pubrel, id});
        } else {
            send_publish(id, sent, true);
        }
    }
}

void Peer::forget_session() {
    sent_.clear();
    sent_order_.clear();
    received_qos2_.clear();
}

void Peer::on_publish(const mqtt::Publish& publish) {
    Message message;
    const auto& p = publish.properties;
    message.topic = publish.topic;
    message.topic_alias = p.topic_alias;
    if (p.topic_alias) {
        if (*p.topic_alias > options_.topic_alias_maximum) {
            complain("a topic alias is above the client's maximum [MQTT-3.1.2-26]");
        }
        message.came_as_alias = publish.topic.empty();
        if (!message.came_as_alias) aliases_[*p.topic_alias] = publish.topic;
        message.topic = topic_of_alias(*p.topic_alias);
        if (message.topic.empty()) complain("a topic alias stands for no topic");
    }
    message.payload = mitu::to_text(publish.payload);
    message.qos = publish.qos;
    message.retain = publish.retain;
    message.dup = publish.dup;
    message.packet_id = publish.packet_id;
    message.message_expiry_s = p.message_expiry_interval_s;
    message.payload_is_utf8 = p.payload_is_utf8;
    message.response_topic = text_of(p.response_topic);
    if (p.correlation_data) message.correlation_data = mitu::to_text(*p.correlation_data);
    message.content_type = text_of(p.content_type);
    ByteView identifiers = p.subscription_identifiers;
    while (const auto id = mqtt::next_subscription_identifier(identifiers)) {
        message.identifiers.push_back(*id);
    }
    p.user.for_each([&](const mqtt::UserProperties::Pair& pair) {
        message.user_properties.emplace_back(pair.name, pair.value);
    });
    if (message.qos != qos0) {
        unfinished_.insert(message.packet_id);
        const bool counts = options_.version == mqtt::ProtocolVersion::v5 && !sent_raw_;
        if (counts && unfinished_.size() > options_.receive_maximum) {
            complain("more messages in flight than the client's receive maximum [MQTT-3.3.4-9]");
        }
    }
    const bool is_repeat = message.qos == qos2 && !received_qos2_.insert(message.packet_id).second;
    if (message.qos == qos1) owe({PacketType::puback, message.packet_id});
    if (message.qos == qos2) owe({PacketType::pubrec, message.packet_id});
    if (!is_repeat) messages_.push_back(std::move(message));
}

void Peer::on_ack(PacketType type, const mqtt::Ack& ack) {
    const auto it = sent_.find(ack.packet_id);
    if (it == sent_.end()) return;
    const bool is_qos2 = it->second.options.qos == qos2;
    if (type == PacketType::pubrec && !mqtt::is_error(ack.reason)) {
        if (!is_qos2) return;
        if (!it->second.is_released) confirmed_.push_back(it->second.payload);
        it->second.is_released = true;
        outcomes_[ack.packet_id] = ack.reason;
        owe({PacketType::pubrel, ack.packet_id});
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
