#include "sim/protocol_actor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "mitu/base/bytes.hpp"

namespace mitu::sim {

using broker::testing::ConnectOptions;
using mqtt::ProtocolVersion;
using mqtt::QoS;
using mqtt::ReasonCode;

namespace {

// Enough to fill every queue of a small server, few enough to be quiet again soon.
constexpr std::size_t unacknowledged_max = 30;
// A server's maximum up to which it is worth to exceed it.
constexpr std::uint32_t small_packet_bytes = 4'096;
// Ids that the peer's own publishes do not come to.
constexpr std::uint32_t foreign_packet_id_min = 60'000;
constexpr std::uint32_t stay_expiry_s = 1'000'000;

}  // namespace

ProtocolActor::ProtocolActor(World& world, Model& model, const ActorPlan& plan)
    : world_{world}, model_{model}, plan_{plan}, prng_{plan.seed ^ 0xAC704}, peer_{plan.client_id} {
    peer_.write = [this](ByteView bytes) {
        if (link_) link_->send(bytes);
    };
    peer_.complain = [this](std::string_view rule) {
        world_.report("keeps_the_rules_of_the_client",
                      fmt::format("{}/{}: {}", plan_.tenant, plan_.client_id, rule));
    };
    last_.clean_start = false;
    last_.session_expiry_s = stay_expiry_s;
}

ProtocolActor::~ProtocolActor() {
    if (link_) link_->forget(Link::Farewell::silent);
}

bool ProtocolActor::is_connected() const noexcept {
    return is_open() && peer_.connack() != nullptr &&
           peer_.connack()->reason == ReasonCode::success;
}

void ProtocolActor::perform(const Action& action) {
    switch (action.act) {
        case Act::connect:
            has_wrong_password_ = action.has_wrong_password;
            connect(action.connect);
            has_wrong_password_ = false;
            break;
        case Act::disconnect:
            if (!is_connected()) break;
            peer_.disconnect(action.reason,
                             last_.version == ProtocolVersion::v5 && last_.session_expiry_s != 0
                                 ? action.expiry_s
                                 : std::nullopt);
            if (action.expiry_s && last_.session_expiry_s != 0) {
                last_.session_expiry_s = *action.expiry_s;
            }
            link_->close();
            break;
        case Act::close:
            if (link_) link_->close();
            break;
        case Act::reset:
            if (link_) link_->reset();
            break;
        case Act::fall_silent:
            is_silent_ = true;
            break;
        case Act::publish:
            publish(action);
            break;
        case Act::subscribe:
            wanted_[action.topic] = action.subscribe;
            if (is_connected()) {
                peer_.subscribe(action.topic, action.subscribe);
            } else {
                unsaid_.insert(action.topic);
            }
            break;
        case Act::unsubscribe:
            wanted_.erase(action.topic);
            unsaid_.erase(action.topic);
            if (is_connected()) peer_.unsubscribe(action.topic);
            break;
        case Act::ping:
            if (is_connected()) peer_.ping();
            break;
        case Act::cut_up:
            if (link_) link_->cut_up(true);
            break;
        case Act::cut_down:
            if (link_) link_->cut_down(true);
            break;
        case Act::mend:
            if (link_) link_->mend();
            break;
        case Act::slow:
            if (link_) link_->set_window(static_cast<std::size_t>(1 + prng_.below(200)));
            break;
        case Act::fast:
            if (link_) link_->set_window(plan_.link.window_bytes);
            break;
        case Act::hold_acks:
            peer_.acknowledges = false;
            break;
        case Act::release_acks:
            peer_.release_acks();
            break;
        case Act::garbage:
            send_garbage();
            break;
        case Act::exceed:
            exceed();
            break;
        case Act::hurry:
            hurries_ = action.count;
            if (link_) link_->reset();
            reconnect_later();
            break;
    }
}

void ProtocolActor::connect(ConnectOptions options) {
    // The old connection is left behind: the server finds out when the new one takes it over.
    if (link_) {
        link_->forget(prng_.chance(0.5) ? Link::Farewell::silent : Link::Farewell::reset);
    }
    if (plan_.tenant != "default") {
        options.user_name = user_of({plan_.tenant, plan_.client_id});
        options.password = has_wrong_password_ ? "guessed" : plan_.client_id;
    }
    if (options.will) {
        MessageRecord will;
        will.publisher = {plan_.tenant, plan_.client_id};
        will.topic = options.will->topic;
        will.qos = options.will->qos;
        will.retain = options.will->retain;
        will.will = MessageRecord::Will::armed;
        will.size_bytes = 10;
        options.will->payload = Model::marker(model_.add_message(std::move(will)).number);
    }
    ++connection_number_;
    is_silent_ = sent_garbage_ = exceeded_ = false;
    alias_topic_.clear();
    last_ = options;
    peer_.acknowledges = true;
    link_ = world_.connect(plan_.client_id, *this, plan_.link, prng_.split(),
                           address_of({plan_.tenant, plan_.client_id}));
    peer_.begin_connection(options);
    peer_.send_connect();
    ping_later();
}

void ProtocolActor::reconnect_later() {
    const bool hurries = hurries_ != 0 && !is_healed_;
    if (reconnect_is_due_ || is_leaving_ || !(plan_.stays || is_healed_ || hurries)) return;
    reconnect_is_due_ = true;
    if (hurries) --hurries_;
    const auto wait = Duration::milliseconds(
        static_cast<std::int64_t>(hurries ? 1 + prng_.below(60) : 10 + prng_.below(3'000)));
    world_.timeline().at(world_.now() + wait, [this] {
        reconnect_is_due_ = false;
        if (is_open() || is_leaving_) return;
        ConnectOptions options = last_;
        options.clean_start = false;
        options.session_expiry_s = stay_expiry_s;
        options.maximum_packet_size = 0;
        options.will.reset();
        // On a slow network a keep-alive of a second can never be kept.
        if (is_healed_) options.keep_alive_s = 60;
        connect(options);
    });
}

void ProtocolActor::ping_later() {
    const std::uint16_t keep_alive_s =
        peer_.connack() != nullptr && peer_.connack()->properties.server_keep_alive_s
            ? *peer_.connack()->properties.server_keep_alive_s
            : last_.keep_alive_s;
    if (keep_alive_s == 0) return;
    const auto wait = Duration::milliseconds(static_cast<std::int64_t>(
        std::uint64_t{keep_alive_s} * 400 + prng_.below(std::uint64_t{keep_alive_s} * 300)));
    world_.timeline().at(world_.now() + wait, [this, number = connection_number_] {
        if (number != connection_number_ || !is_open() || is_silent_) return;
        if (is_connected()) peer_.ping();
        ping_later();
    });
}

void ProtocolActor::publish(const Action& action) {
    for (std::uint32_t i = 0; i < action.count; ++i) {
        if (!is_connected() || peer_.unacknowledged_count() >= unacknowledged_max) return;
        const auto& p = peer_.connack()->properties;
        const bool is_v5 = last_.version == ProtocolVersion::v5;
        if (exceeded_ || action.size_bytes + 100 > world_.packet_bytes_max()) return;
        if (is_v5 && peer_.unacknowledged_count() >= p.receive_maximum.value_or(65'535)) return;
        MessageRecord record;
        record.publisher = {plan_.tenant, plan_.client_id};
        record.topic = action.topic;
        record.qos = action.publish.qos;
        record.retain = action.publish.retain;
        if (is_v5) record.expiry_s = action.publish.message_expiry_s;
        const MessageRecord& message = model_.add_message(std::move(record));
        std::string payload = Model::marker(message.number);
        payload.resize(std::max<std::size_t>(payload.size(), action.size_bytes), '.');
        model_.message(message.number)->size_bytes = static_cast<std::uint32_t>(payload.size());
        auto options = action.publish;
        std::string topic = action.topic;
        // What is repeated on another connection needs its topic, so QoS 0 only.
        if (is_v5 && options.qos == QoS::at_most_once && p.topic_alias_maximum.value_or(0) != 0) {
            options.topic_alias = 1;
            if (alias_topic_ == topic) topic.clear();
            alias_topic_ = action.topic;
        }
        peer_.publish(topic, payload, options);
    }
}

void ProtocolActor::send_garbage() {
    if (!is_open()) return;
    sent_garbage_ = true;
    static const std::array<Bytes, 5> garbage = {
        Bytes{0x00, 0x00},                    // no such packet
        Bytes{0x30, 0xFF, 0xFF, 0xFF, 0xFF},  // a length without end
        Bytes{0x36, 0x03, 0x00, 0x01, 't'},   // QoS 3
        Bytes{0x82, 0x02, 0x00, 0x00},        // packet id 0
        Bytes{0xF0, 0x7F},                    // AUTH that nobody asked for, cut short
    };
    peer_.send_bytes(garbage[static_cast<std::size_t>(prng_.below(garbage.size()))]);
}

void ProtocolActor::exceed() {
    if (!is_connected() || last_.version != ProtocolVersion::v5 || sent_garbage_) return;
    const auto& p = peer_.connack()->properties;
    const std::uint32_t packet_bytes_max = p.maximum_packet_size.value_or(small_packet_bytes + 1);
    const std::uint32_t receive_maximum = p.receive_maximum.value_or(65'535);
    mqtt::Publish publish;
    publish.topic = "t/0";
    if (packet_bytes_max <= small_packet_bytes) {
        const Bytes payload(packet_bytes_max, '.');
        publish.payload = payload;
        model_.expect_breach(link_->serial(), ReasonCode::packet_too_large);
        peer_.send(publish);
    } else if (receive_maximum <= unacknowledged_max) {
        model_.expect_breach(link_->serial(), ReasonCode::receive_maximum_exceeded);
        publish.qos = QoS::exactly_once;
        for (std::uint32_t i = 0; i <= receive_maximum; ++i) {
            publish.packet_id = static_cast<std::uint16_t>(foreign_packet_id_min + i);
            peer_.send(publish);
        }
    } else {
        return;
    }
    exceeded_ = true;
}

void ProtocolActor::on_bytes(ByteView bytes) {
    const bool was_connected = is_connected();
    peer_.on_bytes(bytes);
    if (!was_connected && is_connected()) on_connected();
    take_in_messages();
}

void ProtocolActor::on_connected() {
    if (is_leaving_) return;
    for (const auto& [filter, options] : wanted_) {
        // A session that goes on knows the others.
        if (peer_.session_present() && !unsaid_.contains(filter)) continue;
        peer_.subscribe(filter, options);
    }
    unsaid_.clear();
}

void ProtocolActor::take_in_messages() {
    for (const auto& message : peer_.take_messages()) {
        const MessageRecord* const m = model_.message(Model::number_of(as_bytes(message.payload)));
        if (m == nullptr) continue;
        if (message.topic != m->topic || message.payload.size() != m->size_bytes) {
            if (m->will != MessageRecord::Will::none && message.topic == m->topic) continue;
            world_.report(
                "content_is_intact",
                fmt::format("m{} came as {} bytes on {}; it was {} bytes on {}", m->number,
                            message.payload.size(), message.topic, m->size_bytes, m->topic));
        }
    }
    static_cast<void>(peer_.take_packets());
    static_cast<void>(peer_.take_confirmed());
}

void ProtocolActor::on_closed() { reconnect_later(); }

void ProtocolActor::heal() {
    is_healed_ = true;
    if (link_) link_->calm();
    plan_.link = calm_link;
    peer_.release_acks();
    if (is_silent_ && is_open()) {
        is_silent_ = false;
        peer_.ping();
        ping_later();
    }
    // Behind bytes that are no packet, or not all of one, nothing that follows is understood.
    const bool is_restless = last_.keep_alive_s != 0 && last_.keep_alive_s < 5;
    if ((sent_garbage_ || is_restless) && is_open()) link_->reset();
    if (!is_open()) reconnect_later();
}

bool ProtocolActor::is_settled() const {
    return is_connected() && peer_.unacknowledged_count() == 0;
}

void ProtocolActor::leave() {
    is_leaving_ = true;
    ConnectOptions options;
    options.version = last_.version;
    connect(options);  // a clean start, and a session that ends with its connection
    // In one breath: the packets of a connection are dealt with in order.
    peer_.disconnect();
    link_->close();
}

void ProtocolActor::check_at_end() {
    if (!is_connected()) {
        world_.report("lets_clients_in",
                      fmt::format("{}/{} is not connected", plan_.tenant, plan_.client_id));
    } else if (peer_.unacknowledged_count() != 0) {
        world_.report("everything_is_answered",
                      fmt::format("{}/{}: {} of its messages have no answer", plan_.tenant,
                                  plan_.client_id, peer_.unacknowledged_count()));
    }
}

}  // namespace mitu::sim
