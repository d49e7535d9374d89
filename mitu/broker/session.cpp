// A connection comes and goes: attach, detach, the will, the end of the session.

#include "mitu/broker/session.hpp"

#include <algorithm>

#include "mitu/mqtt/encode.hpp"

namespace mitu::broker {

using mqtt::ProtocolVersion;
using mqtt::ReasonCode;

Session::Session(SessionContext& context, SessionRef self, TenantId tenant, std::string client_id)
    : context_{context}, self_{self}, tenant_{tenant}, client_id_{std::move(client_id)} {
    context_.counters.sessions.add();
}

Session::~Session() {
    for (auto* queue : {&inflight_, &waiting_, &waiting_qos0_}) {
        for (std::uint32_t i = 0; i < queue->size(); ++i) forget(queue->at(i));
    }
    if (will_) context_.messages.release(will_->message);
    if (is_attached()) context_.counters.clients.subtract();
    context_.counters.sessions.subtract();
}

AccessVariables Session::access_variables(const Profile& profile) const noexcept {
    return {client_id_, profile.tenant_name, profile.device_class};
}

std::uint32_t Session::next_serial() noexcept {
    if (next_serial_ == 0) next_serial_ = 1;  // 0 means that no answer is wanted
    return next_serial_++;
}

void Session::attach(const mqtt::Connect& connect, Acceptance acceptance,
                     ports::ConnectionId connection, std::shared_ptr<const Profile> profile,
                     bool session_present, Instant now, Effects& effects) {
    MITU_CHECK(!is_attached() && !ended_);
    const ConnectTerms& terms = acceptance.terms();
    drop_will();  // a resumed session: the old will is not due any more [MQTT-3.1.3-9]
    will_ = acceptance.take_will(self_);

    connection_ = connection;
    profile_ = std::move(profile);
    version_ = connect.version;
    expires_at_ = will_at_ = Instant::never();
    last_heard_ = now;
    rate_due_ = now;
    rate_pause_until_ = now;
    context_.counters.clients.add();

    const bool is_v5 = version_ == ProtocolVersion::v5;
    const auto& properties = connect.properties;
    wants_problem_information_ = !is_v5 || properties.request_problem_information;
    send_quota_max_ = std::min(is_v5 ? properties.receive_maximum : std::uint16_t{65'535},
                               context_.limits.inflight_max);
    packet_bytes_max_ = terms.packet_bytes_max;
    expiry_s_ = terms.expiry_s;
    keep_alive_ =
        Duration::milliseconds(std::int64_t{terms.keep_alive_s} * 1'500);  // [MQTT-3.1.2-22]

    if (is_v5 && properties.topic_alias_maximum != 0) {
        aliases_ = std::make_unique<Aliases>();
        aliases_->outgoing_max =
            std::min(properties.topic_alias_maximum, context_.limits.outgoing_aliases_max);
    }
    send(acceptance.connack(session_present), effects);
}

void Session::send(const mqtt::Packet& packet, Effects& effects) {
    const std::uint32_t size = mqtt::encoded_size(packet, version_);
    // A packet that the client cannot take is not sent [MQTT-3.1.2-24].
    if (size == 0 || size > packet_bytes_max_) return;
    const std::size_t before = effects.out.size();
    effects.out.resize(before + size);
    const auto written =
        mqtt::encode(packet, version_, MutableByteView{effects.out}.subspan(before));
    MITU_CHECK(written == size);
}

namespace {

/// What an acknowledgement adds to its reason code; empty where the code says it all.
std::string_view remark(ReasonCode reason) noexcept {
    switch (reason) {
        case ReasonCode::not_authorized:
            return "the policy does not allow to publish here";
        case ReasonCode::quota_exceeded:
            return "a limit of the policy or of the server is reached";
        case ReasonCode::topic_name_invalid:
            return "more levels than the server takes";
        default:
            return {};
    }
}

}  // namespace

void Session::send_ack(mqtt::PacketType type, std::uint16_t packet_id, ReasonCode reason,
                       Effects& effects) {
    if (version_ != ProtocolVersion::v5 || reason == ReasonCode::success) {
        const std::uint8_t flags = type == mqtt::PacketType::pubrel ? 0x02 : 0x00;
        const std::array<std::uint8_t, 4> bytes{
            static_cast<std::uint8_t>((static_cast<std::uint8_t>(type) << 4) | flags), 2,
            static_cast<std::uint8_t>(packet_id >> 8), static_cast<std::uint8_t>(packet_id)};
        effects.out.insert(effects.out.end(), bytes.begin(), bytes.end());
        return;
    }
    mqtt::Ack ack;
    ack.packet_id = packet_id;
    ack.reason = reason;
    if (wants_problem_information_) {  // [MQTT-3.1.2-29]
        if (const std::string_view text = remark(reason); !text.empty()) {
            ack.properties.reason_string = text;
        }
    }
    const auto as_packet = [&]() -> mqtt::Packet {
        switch (type) {
            case mqtt::PacketType::puback:
                return mqtt::Puback{ack};
            case mqtt::PacketType::pubrec:
                return mqtt::Pubrec{ack};
            case mqtt::PacketType::pubrel:
                return mqtt::Pubrel{ack};
            default:
                return mqtt::Pubcomp{ack};
        }
    };
    if (mqtt::encoded_size(as_packet(), version_) > packet_bytes_max_) {
        ack.properties.reason_string.reset();
    }
    send(as_packet(), effects);
}

void Session::refuse(ReasonCode reason, std::string_view text, Parting parting, Instant now,
                     Effects& effects) {
    if (!is_attached()) return;
    if (version_ == ProtocolVersion::v5) {
        mqtt::Disconnect disconnect;
        disconnect.reason = reason;
        if (!text.empty()) disconnect.reason_string = text;
        if (mqtt::encoded_size(disconnect, version_) > packet_bytes_max_) {
            disconnect.reason_string.reset();
        }
        send(disconnect, effects);
    }
    detach(parting, now, effects);
}

void Session::forget_connection() {
    connection_ = ports::ConnectionId{};
    context_.counters.clients.subtract();
    orphan_pending_acks();
    receive_quota_used_ = 0;
    for (Incoming& entry : incoming_qos2_) entry.uses_quota = false;
    operations_.clear();
    aliases_.reset();
    send_quota_used_ = 0;
}

void Session::detach(Parting parting, Instant now, Effects& effects) {
    if (!is_attached()) return;
    last_parting_ = parting;
    forget_connection();
    if (parting == Parting::goodbye || parting == Parting::shutdown) drop_will();
    if (!waiting_qos0_.empty()) {
        count_drop(DropReason::offline_qos0, waiting_qos0_.size());
        while (!waiting_qos0_.empty()) {
            leave_queue(waiting_qos0_.front());
            forget(waiting_qos0_.front());
            waiting_qos0_.pop();
        }
    }
    if (expiry_s_ == 0) {
        end(now, effects);
        return;
    }
    if (expiry_s_ != never_expires_s) expires_at_ = now + Duration::seconds(expiry_s_);
    if (will_) {
        const std::uint32_t delay_s = std::min(will_->delay_s, expiry_s_);
        if (delay_s == 0) {
            publish_will(now, effects);
        } else {
            will_at_ = now + Duration::seconds(delay_s);
        }
    }
    redispatch_shared(effects);
    restart_inflight();
}

void Session::end(Instant now, Effects& effects) {
    if (ended_) return;
    if (is_attached()) forget_connection();
    ended_ = true;
    // First of all nothing more comes here: neither the will nor what others are to have.
    for (const auto& [filter, subscription] : subscriptions_) {
        const auto shared = mqtt::parse_shared(filter);
        effects.list.emplace_back(
            UnsubscribeEffect{{},
                              shared ? shared->filter : std::string_view{filter},
                              shared ? shared->group : std::string_view{}});
    }
    context_.counters.subscriptions.subtract(subscriptions_.size());
    if (will_) publish_will(now, effects);  // the session ends before the delay [MQTT-3.1.3-9]
    redispatch_shared(effects);
    if (const auto left = waiting_.size() + waiting_qos0_.size(); left != 0) {
        count_drop(DropReason::session_ended, left);
    }
    for (auto* queue : {&inflight_, &waiting_, &waiting_qos0_}) {
        while (!queue->empty()) {
            forget(queue->front());
            queue->pop();
        }
    }
    expires_at_ = will_at_ = Instant::never();
}

void Session::redispatch_shared(Effects& effects) {
    // What was not sent yet, and QoS 1 without acknowledgement, goes to another member; QoS 2 that
    // was begun stays with this session or ends with it [MQTT-4.8.2-4, 4.8.2-5].
    const auto hand_over = [&](memory::RingQueue<Outgoing>& queue, bool was_begun) {
        for (std::uint32_t i = 0; i < queue.size();) {
            const Outgoing entry = queue.at(i);
            const bool stays =
                entry.share_serial == 0 || entry.message.is_none() || (was_begun && entry.qos == 2);
            if (stays) {
                ++i;
                continue;
            }
            if (!was_begun) leave_queue(entry);
            effects.list.emplace_back(RedispatchEffect{entry.message, entry.share_serial, 0});
            queue.erase_at(i);
        }
    };
    hand_over(inflight_, true);
    hand_over(waiting_, false);
    hand_over(waiting_qos0_, false);
}

// --- the will ---

void Session::drop_will() noexcept {
    if (will_) context_.messages.release(will_->message);
    will_.reset();
    will_at_ = Instant::never();
}

void Session::publish_will(Instant now, Effects& effects) {
    RouteEffect route;
    route.hold = will_->message;  // our reference goes with the effect
    route.message = context_.messages.view(will_->message);
    if (will_->expiry_s) route.message.expires_at = now + Duration::seconds(*will_->expiry_s);
    effects.list.emplace_back(route);
    context_.counters.wills_published_total.add();
    will_.reset();
    will_at_ = Instant::never();
}

// --- time ---

Instant Session::next_deadline() const noexcept {
    if (!is_attached()) return std::min(will_at_, expires_at_);
    if (keep_alive_ == Duration{}) return Instant::never();
    // While we ourselves do not read, silence is not the client's fault.
    return std::max(last_heard_, rate_pause_until_) + keep_alive_;
}

Instant Session::read_not_before() const noexcept {
    const bool owes_too_much = pending_acks_.size() >= context_.limits.pending_acks_max ||
                               operations_.size() >= context_.limits.pending_operations_max;
    return owes_too_much ? Instant::never() : rate_pause_until_;
}

void Session::on_deadline(Instant now, Effects& effects) {
    if (is_attached()) {
        if (now < next_deadline()) return;
        context_.counters.keep_alive_timeouts_total.add();
        refuse(ReasonCode::keep_alive_timeout, "nothing was heard for 1.5 times the keep alive",
               Parting::lost, now, effects);
        return;
    }
    if (will_ && now >= will_at_) publish_will(now, effects);
    if (now >= expires_at_) end(now, effects);
}

void Session::count_drop(DropReason reason, std::uint64_t n) {
    if (n == 0) return;
    if (!drops_) drops_ = std::make_unique<DropCounts>();
    (*drops_)[static_cast<std::size_t>(reason)] += n;
    context_.counters.drop(reason, n);
}

}  // namespace mitu::broker
