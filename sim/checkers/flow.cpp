// Flow control and the order of answers: what one connection may carry.

#include <fmt/format.h>

#include "sim/checkers/checkers.hpp"

namespace mitu::sim {
namespace {

using mqtt::QoS;
using mqtt::ReasonCode;

/// [MQTT-3.3.4-9]: no more QoS 1 and 2 messages under way to a client than it allows. And the other
/// way round [MQTT-3.3.4-7]: a client is told that it exceeds the server's own maximum when it
/// does, and never else.
class ReceiveMaximum final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_written(const ConnectionRecord& c, const Sighting& s) override {
        if (const auto* p = s.as<mqtt::Publish>(); p != nullptr && p->qos != QoS::at_most_once) {
            const std::size_t count =
                c.unacknowledged.size() + (c.unacknowledged.contains(p->packet_id) ? 0 : 1);
            if (count > c.receive_maximum) {
                broken(fmt::format("{}: {} messages under way, Receive Maximum is {}", describe(c),
                                   count, c.receive_maximum));
            }
        }
        if (const auto* p = s.as<mqtt::Disconnect>()) judge(c, p->reason);
    }
    void at_end(Instant /*now*/) override {
        for (const auto& [serial, c] : model_.connections()) {
            if (!c.is_open || !c.breach || c.breach_is_unsure) continue;
            broken(fmt::format("{}: goes on after it deserved {}", describe(c),
                               mqtt::to_text(*c.breach)));
        }
    }

private:
    void judge(const ConnectionRecord& c, ReasonCode reason) {
        if (reason != ReasonCode::receive_maximum_exceeded &&
            reason != ReasonCode::packet_too_large) {
            return;
        }
        if (c.breach == reason || c.sent_garbage) return;
        broken(fmt::format("{}: told {}", describe(c), mqtt::to_text(reason)));
    }
};

/// [MQTT-3.1.2-24], and the other way round [MQTT-3.2.2-15].
class PacketSize final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_written(const ConnectionRecord& c, const Sighting& s) override {
        if (const auto* p = s.as<mqtt::Puback>()) judge(c, c.puback_due, p->reason);
        if (const auto* p = s.as<mqtt::Pubrec>()) judge(c, c.pubrec_due, p->reason);
        if (c.maximum_packet_size == 0 || s.size_bytes <= c.maximum_packet_size) return;
        broken(fmt::format("{}: a packet of {} bytes, its maximum is {}", describe(c), s.size_bytes,
                           c.maximum_packet_size));
    }

private:
    void judge(const ConnectionRecord& c,
               const std::deque<std::pair<std::uint16_t, MessageNumber>>& due, ReasonCode reason) {
        const MessageRecord* const m = due.empty() ? nullptr : model_.message(due.front().second);
        if (m == nullptr || mqtt::is_error(reason) || c.server_packet_bytes_max == 0) return;
        if (m->packet_bytes <= c.server_packet_bytes_max) return;
        broken(fmt::format("{}: a PUBLISH of {} bytes is accepted, the server's maximum is {}",
                           describe(c), m->packet_bytes, c.server_packet_bytes_max));
    }
};

/// [MQTT-2.2.1-4], [MQTT-4.3.3]: an id is used again only when its exchange is over, and a message
/// is repeated under its own id, with DUP.
class PacketIds final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_written(const ConnectionRecord& c, const Sighting& s) override {
        const auto* p = s.as<mqtt::Publish>();
        if (p == nullptr || c.session == nullptr || p->qos == QoS::at_most_once) return;
        if (c.superseded_at) return;
        const auto& in_use = c.session->ids_in_use;
        const auto it = in_use.find(p->packet_id);
        const MessageNumber number = Model::number_of(p->payload);
        if (!p->dup && it != in_use.end()) {
            broken(fmt::format("{}: id {} is used for m{} and still belongs to m{}", describe(c),
                               p->packet_id, number, it->second));
        }
        if (p->dup && it != in_use.end() && it->second != number) {
            broken(fmt::format("{}: id {} carried m{} and is repeated as m{}", describe(c),
                               p->packet_id, it->second, number));
        }
        const auto delivery = c.session->deliveries.find(number);
        const MessageRecord* const m = model_.message(number);
        // With RETAIN the same message may have come a second time, as a replay.
        if (p->dup && !p->retain && m != nullptr && m->read_count == 1 &&
            delivery != c.session->deliveries.end() && delivery->second.is_released) {
            broken(fmt::format("{}: m{} is repeated after its PUBREL", describe(c), number));
        }
        if (p->dup && c.unacknowledged.contains(p->packet_id)) {
            broken(fmt::format("{}: m{} is repeated on the same connection", describe(c), number));
        }
    }
};

/// [MQTT-4.6.0-2], [MQTT-4.6.0-3]: PUBACK and PUBREC in the order of the PUBLISH packets.
class AcknowledgementsInOrder final : public CheckerBase {
public:
    using CheckerBase::CheckerBase;

    void on_written(const ConnectionRecord& c, const Sighting& s) override {
        if (const auto* p = s.as<mqtt::Puback>()) judge(c, "PUBACK", c.puback_due, p->packet_id);
        if (const auto* p = s.as<mqtt::Pubrec>()) judge(c, "PUBREC", c.pubrec_due, p->packet_id);
    }

private:
    void judge(const ConnectionRecord& c, const char* name,
               const std::deque<std::pair<std::uint16_t, MessageNumber>>& due, std::uint16_t id) {
        if (due.empty()) {
            broken(fmt::format("{}: {} for id {} and no PUBLISH was open", describe(c), name, id));
        } else if (due.front().first != id) {
            broken(fmt::format("{}: {} for id {} before the one for {}", describe(c), name, id,
                               due.front().first));
        }
    }
};

}  // namespace

std::unique_ptr<Checker> check_receive_maximum(World& world, Model& model) {
    return std::make_unique<ReceiveMaximum>("receive_maximum", world, model);
}
std::unique_ptr<Checker> check_packet_size(World& world, Model& model) {
    return std::make_unique<PacketSize>("packet_size", world, model);
}
std::unique_ptr<Checker> check_packet_ids(World& world, Model& model) {
    return std::make_unique<PacketIds>("packet_ids", world, model);
}
std::unique_ptr<Checker> check_acknowledgements_in_order(World& world, Model& model) {
    return std::make_unique<AcknowledgementsInOrder>("acknowledgements_in_order", world, model);
}

}  // namespace mitu::sim
