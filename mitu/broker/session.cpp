// A connection comes and goes: attach, detach, the will, the end of the session.

#include "mitu/broker/session.hpp"

#include <algorithm>
#include <utility>

#include "mitu/mqtt/encode.hpp"

namespace mitu::broker {

using mqtt::ProtocolVersion;
using mqtt::ReasonCode;

static_assert(sizeof(Session) + sizeof(SessionNotes) <= 256,
              "idle sessions are counted by the million");

Session::Session(SessionContext& context, SessionNotes& notes, SessionRef self, TenantId tenant,
                 std::string_view client_id)
    : context_{context}, notes_{notes}, self_{self}, tenant_{tenant} {
    SessionMemory own = memory();
    has_name_ = client_id_.try_set_in(own, client_id);
}

void Session::maybe_break() const {
    if (!context_.faults.fire(ports::Fault::session_breaks)) return;
    context_.faults.strike(tenant_.value, client_id());
    memory::raise_fault(memory::ZoneFault::exception, "a fault point fired");
}

AccessVariables Session::access_variables(const Profile& profile) const noexcept {
    return {client_id(), profile.tenant_name, profile.device_class, profile.user};
}

std::uint32_t Session::next_serial() noexcept {
    if (next_serial_ == 0) next_serial_ = 1;  // 0 means that no answer is wanted
    return next_serial_++;
}

Inbox& Session::use_inbox() {
    if (inbox_ == nullptr) {
        SessionMemory own = memory();
        inbox_ = memory::make_in<Inbox>(own);
    }
    return *inbox_;
}

Outbox* Session::try_use_outbox() {
    if (outbox_ != nullptr) return outbox_;
    void* const room = memory().try_allocate(sizeof(Outbox));
    if (room == nullptr) return nullptr;
    return outbox_ = ::new (room) Outbox{};
}

void Session::shed_idle_parts(Instant now) {
    SessionMemory own = memory();
    if (outbox_ != nullptr) {
        if (outbox_->is_empty()) {
            outbox_->free(own);
            own.give_back(outbox_, sizeof(Outbox));
            outbox_ = nullptr;
        } else {
            for (auto* queue : outbox_->queues()) queue->shrink(own);
        }
    }
    // A bucket that is full again, and a pause that no deadline counts from any more, say nothing.
    if (inbox_ != nullptr && inbox_->is_empty() && inbox_->rate_due <= now &&
        inbox_->rate_pause_until <= last_heard_ && !has_spent_bytes(now)) {
        inbox_->free(own);
        own.give_back(inbox_, sizeof(Inbox));
        inbox_ = nullptr;
    }
}

void Session::attach(const mqtt::Connect& connect, const Acceptance& acceptance,
                     const std::optional<StoredWill>& will, ports::ConnectionId connection,
                     const Profile& profile, bool session_present, Instant now, Effects& effects) {
    MITU_CHECK(!is_attached() && !ended_);
    const ConnectTerms& terms = acceptance.terms();
    StoredWill* new_will = nullptr;
    if (will) {
        SessionMemory own = memory();
        new_will = ::new (memory::allocate_or_fault(own, sizeof(StoredWill))) StoredWill{*will};
    }
    fault_point();

    connection_ = connection;
    profile_ = &profile;
    version_ = connect.version;
    detached_at_ = Instant::never();
    const bool was_cut = std::exchange(was_cut_by_us_, false);
    last_heard_ = now;
    if (inbox_ != nullptr) {
        inbox_->rate_due = inbox_->rate_pause_until = now;
        inbox_->bytes = {{profile.bytes_per_s, profile.bytes_burst}, now};
        inbox_->permitted_topic.size = 0;
    }

    const bool is_v5 = version_ == ProtocolVersion::v5;
    const auto& properties = connect.properties;
    wants_problem_information_ = !is_v5 || properties.request_problem_information;
    send_quota_max_ = std::min(is_v5 ? properties.receive_maximum : std::uint16_t{65'535},
                               context_.limits.inflight_max);
    if (profile.inflight_max != 0) {
        send_quota_max_ = std::min(send_quota_max_, profile.inflight_max);
    }
    packet_bytes_max_ = terms.packet_bytes_max;
    expiry_s_ = terms.expiry_s;
    keep_alive_ms_ = std::uint32_t{terms.keep_alive_s} * 1'500;  // [MQTT-3.1.2-22]
    outgoing_alias_max_ =
        is_v5 ? std::min(properties.topic_alias_maximum, context_.limits.outgoing_aliases_max)
              : std::uint16_t{0};
    send(acceptance.connack(session_present), effects);
    // Behind all that may break: a client that is not let in after all has left no will, and does
    // not take back the one of its last connection.
    if (is_kept() && session_present) {
        begin_backlog(0);
        if (was_cut) backlog()->repeats_max = context_.limits.inflight_max;
    }
    drop_will(effects);  // a resumed session: the old one is not due any more [MQTT-3.1.3-9]
    will_ = new_will;
}

void Session::send(const mqtt::Packet& packet, Effects& effects) {
    const std::uint32_t size = mqtt::encoded_size(packet, version_);
    // A packet that the client cannot take is not sent [MQTT-3.1.2-24].
    if (size == 0 || size > packet_bytes_max_) return;
    fault_point();
    ++effects.packets;
    const MutableByteView room{effects.out.extend(effects.memory, size), size};
    const auto written = mqtt::encode(packet, version_, room);
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
        effects.out.append(effects.memory, bytes);
        ++effects.packets;
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
    SessionMemory own = memory();
    connection_ = ports::ConnectionId{};
    if (inbox_ != nullptr) {
        orphan_pending_acks();
        inbox_->receive_quota_used = 0;
        for (Incoming& entry : inbox_->incoming_qos2) entry.uses_quota = false;
        for (PendingOperation& operation : inbox_->operations) operation.reasons.free(own);
        inbox_->operations.free(own);
    }
    if (aliases_ != nullptr) {
        aliases_->free(own);
        own.give_back(aliases_, sizeof(Aliases));
        aliases_ = nullptr;
    }
    if (outbox_ != nullptr) outbox_->send_quota_used = 0;
}

void Session::detach(Parting parting, Instant now, Effects& effects) {
    if (!is_attached()) return;
    last_parting_ = parting;
    forget_connection();
    if (parting == Parting::goodbye) drop_will(effects);
    if (parting == Parting::shutdown) leave_will();
    if (outbox_ != nullptr && !outbox_->waiting_qos0.empty()) {
        auto& unsent = outbox_->waiting_qos0;
        count_drop(DropReason::offline_qos0, unsent.size());
        while (!unsent.empty()) {
            leave_queue(unsent.front());
            forget(unsent.front());
            unsent.pop();
        }
    }
    if (expiry_s_ == 0) {
        end(now, effects);
        return;
    }
    detached_at_ = now;
    fault_point();
    if (will_ != nullptr && will_->delay_s == 0) publish_will(now, effects);
    redispatch_shared(effects);
    if (is_kept()) put_away(effects);
    restart_inflight();
}

void Session::end(Instant now, Effects& effects) {
    if (!ended_) end_again(now, effects);
}

void Session::end_again(Instant now, Effects& effects) {
    if (is_attached()) forget_connection();
    ended_ = true;
    if (backlog() != nullptr) end_backlog();
    // First of all nothing more comes here: neither the will nor what others are to have.
    for (const std::string_view filter : filters_.sorted(effects.memory)) {
        const auto shared = mqtt::parse_shared(filter);
        effects.add(UnsubscribeEffect{
            {}, shared ? shared->filter : filter, shared ? shared->group : std::string_view{}});
    }
    fault_point();
    if (will_ != nullptr)
        publish_will(now, effects);  // the session ends before the delay [MQTT-3.1.3-9]
    redispatch_shared(effects);
    count_drop(DropReason::session_ended, queued_count());
    if (outbox_ != nullptr) {
        for (auto* queue : outbox_->queues()) {
            while (!queue->empty()) {
                forget(queue->front());
                queue->pop();
            }
        }
    }
}

std::uint32_t Session::adopt_profile(const Profile& profile, Effects& effects) {
    profile_ = &profile;
    if (inbox_ != nullptr) inbox_->permitted_topic.size = 0;
    SessionMemory own = memory();
    const AccessVariables values = access_variables(profile);
    memory::ArenaVector<std::string_view> lost;
    for (const std::string_view filter : filters_.sorted(effects.memory)) {
        const auto shared = mqtt::parse_shared(filter);
        if (profile.subscribe.may_subscribe(shared ? shared->filter : filter, values)) continue;
        // The set gives up its text.
        char* const copy =
            ::new (memory::allocate_or_fault(effects.memory, filter.size())) char[filter.size()];
        std::copy(filter.begin(), filter.end(), copy);
        lost.push_back(effects.memory, std::string_view{copy, filter.size()});
    }
    for (const std::string_view filter : lost.view()) {
        const auto shared = mqtt::parse_shared(filter);
        effects.add(UnsubscribeEffect{
            {}, shared ? shared->filter : filter, shared ? shared->group : std::string_view{}});
        filters_.remove(own, filter);
        fault_point();
    }
    if (!lost.view().empty()) drop_what_is_denied(values, effects);
    return static_cast<std::uint32_t>(lost.view().size());
}

/// What waits and was not begun is not the client's to read any more. Of a shared subscription
/// another member may have it.
void Session::drop_what_is_denied(const AccessVariables& values, Effects& effects) {
    if (outbox_ == nullptr) return;
    for (auto* queue : {&outbox_->waiting, &outbox_->waiting_qos0}) {
        for (std::uint32_t i = 0; i < queue->size();) {
            const Outgoing entry = queue->at(i);
            if (profile_->subscribe.may_subscribe(view(entry).topic, values)) {
                ++i;
                continue;
            }
            leave_queue(entry);
            queue->erase_at(i);
            if (entry.share_serial != 0) {
                effects.add(
                    RedispatchEffect{entry.message, entry.share_serial, 0, entry.is_kept != 0, 0});
            } else {
                erase_row(entry, effects);
                forget(entry);
                count_drop(DropReason::not_authorized);
            }
            fault_point();
        }
    }
}

void Session::redispatch_shared(Effects& effects) {
    if (outbox_ == nullptr) return;
    // What was not sent yet, and QoS 1 without acknowledgement, goes to another member; QoS 2 that
    // was begun stays with this session or ends with it [MQTT-4.8.2-4, 4.8.2-5].
    const auto hand_over = [&](memory::ArenaQueue<Outgoing>& queue, bool was_begun) {
        for (std::uint32_t i = 0; i < queue.size();) {
            const Outgoing entry = queue.at(i);
            const bool stays = entry.share_serial == 0 || entry.message.is_none() ||
                               (was_begun && entry.qos == 2) ||
                               // It stands in the store, and waits for its client (section 4.8.2).
                               (entry.is_kept != 0 && !ended_);
            if (stays) {
                ++i;
                continue;
            }
            if (!was_begun) leave_queue(entry);
            effects.add(
                RedispatchEffect{entry.message, entry.share_serial, 0, entry.is_kept != 0,
                                 entry.is_numbered != 0 ? entry.packet_id : std::uint16_t{0}});
            queue.erase_at(i);
        }
    };
    hand_over(outbox_->inflight, true);
    hand_over(outbox_->waiting, false);
    hand_over(outbox_->waiting_qos0, false);
}

// --- the will ---

void Session::drop_will(Effects& effects) {
    if (will_ == nullptr) return;
    if (!will_->id.is_none()) effects.add(ForgetWillEffect{will_->id});
    leave_will();
}

void Session::leave_will() noexcept {
    if (will_ == nullptr) return;
    {
        const memory::ZonePause pause;
        context_.messages.release(will_->message);
    }
    memory().give_back(will_, sizeof(StoredWill));
    will_ = nullptr;
}

void Session::publish_will(Instant now, Effects& effects) {
    RouteEffect route;
    route.hold = will_->message;  // our reference goes with the effect
    route.will = will_->id;
    {
        const memory::ZonePause pause;
        route.message = context_.messages.view(will_->message);
    }
    if (will_->expiry_s) route.message.expires_at = now + Duration::seconds(*will_->expiry_s);
    effects.add(route);
    context_.counters.wills_published_total.add();
    memory().give_back(will_, sizeof(StoredWill));
    will_ = nullptr;
}

// --- time ---

Instant Session::expires_at() const noexcept {
    return ended_ || expiry_s_ == never_expires_s ? Instant::never()
                                                  : detached_at_ + Duration::seconds(expiry_s_);
}

Instant Session::will_at() const noexcept {
    return ended_ || will_ == nullptr
               ? Instant::never()
               : detached_at_ + Duration::seconds(std::min(will_->delay_s, expiry_s_));
}

Instant Session::next_deadline() const noexcept {
    if (!is_attached()) return std::min(will_at(), expires_at());
    if (keep_alive_ms_ == 0) return Instant::never();
    // While we ourselves do not read, silence is not the client's fault.
    const Instant pause_until = inbox_ != nullptr ? inbox_->rate_pause_until : Instant{};
    return std::max(last_heard_, pause_until) + Duration::milliseconds(keep_alive_ms_);
}

Instant Session::read_not_before() const noexcept {
    if (inbox_ == nullptr) return Instant{};
    const bool owes_too_much = inbox_->pending_acks.size() >= context_.limits.pending_acks_max ||
                               inbox_->operations.size() >= context_.limits.pending_operations_max;
    return owes_too_much ? Instant::never() : inbox_->rate_pause_until;
}

void Session::on_deadline(Instant now, Effects& effects) {
    if (is_attached()) {
        if (now < next_deadline()) return;
        context_.counters.keep_alive_timeouts_total.add();
        refuse(ReasonCode::keep_alive_timeout, "nothing was heard for 1.5 times the keep alive",
               Parting::lost, now, effects);
        return;
    }
    if (will_ != nullptr && now >= will_at()) publish_will(now, effects);
    if (now >= expires_at()) end(now, effects);
}

}  // namespace mitu::broker
