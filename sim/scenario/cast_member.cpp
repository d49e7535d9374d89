#include "sim/scenario/cast_member.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "mitu/mqtt/decode.hpp"
#include "sim/scenario/values.hpp"

namespace mitu::sim::scenario {
namespace {

using broker::testing::SeenPacket;
using mqtt::PacketType;
using mqtt::ReasonCode;

/// The packet id and reasons of whatever has them.
void note_id_and_reasons(const mqtt::Packet& packet, Arrival& arrival) {
    std::visit(
        [&](const auto& p) {
            if constexpr (requires { p.packet_id; }) arrival.packet_id = p.packet_id;
            if constexpr (requires { p.reason; }) arrival.reasons.push_back(p.reason);
            if constexpr (requires { p.reasons; }) {
                for (const std::uint8_t reason : p.reasons) {
                    arrival.reasons.push_back(ReasonCode{reason});
                }
                // UNSUBACK of 3.1.1 has none, and means well.
                if (arrival.reasons.empty()) arrival.reasons.push_back(ReasonCode::success);
            }
        },
        packet);
}

}  // namespace

std::string Arrival::text() const {
    return type ? text_of(*type, fields) : "the end of the connection";
}

CastMember::CastMember(const Actor& actor, Stage& stage, Note note)
    : peer{actor.client_id}, name_{actor.name}, stage_{stage}, note_{std::move(note)} {
    peer.write = [this](ByteView bytes) { on_written(bytes); };
    peer.seen = [this](const SeenPacket& seen) { on_seen(seen); };
    peer.complain = [this](std::string_view rule) {
        note_(*this, fmt::format("!! {}", rule));
        if (complaint_.empty()) complaint_ = rule;
    };
}

void CastMember::on_written(ByteView bytes) {
    mqtt::DecodeOptions options;
    options.sender = mqtt::Sender::client;
    options.version = peer.options().version;
    const auto decoded = mqtt::decode(bytes, options);
    if (decoded && *decoded && (*decoded)->size_bytes == bytes.size()) {
        const mqtt::Packet& packet = (*decoded)->packet;
        note_(*this, "-> " + text_of(type_of(packet), fields_of(packet)));
    } else {
        note_(*this, "-> bytes " + hex_text(bytes));
    }
    if (connection_) stage_.send(*connection_, bytes);
}

void CastMember::on_seen(const SeenPacket& seen) {
    Arrival arrival;
    arrival.type = type_of(seen.packet);
    arrival.fields = fields_of(seen.packet);
    note_id_and_reasons(seen.packet, arrival);
    if (const auto* publish = seen.as<mqtt::Publish>()) {
        const auto alias = publish->properties.topic_alias;
        if (publish->topic.empty() && alias) {
            for (Field& field : arrival.fields) {
                if (field.name == "topic") field.value = peer.topic_of_alias(*alias);
            }
        }
    }
    arrival.is_soft = peer.acknowledges &&
                      (arrival.type == PacketType::pubrel || arrival.type == PacketType::pubcomp);
    note_(*this, "<- " + arrival.text());
    if (arrival.type == PacketType::disconnect) says_goodbye = true;
    if (const auto* connack = seen.as<mqtt::Connack>()) {
        if (mqtt::is_error(connack->reason)) says_goodbye = true;
    }
    arrivals.push_back(std::move(arrival));
}

void CastMember::pump() {
    if (!connection_) return;
    const Bytes bytes = stage_.receive(*connection_);
    if (!bytes.empty()) peer.on_bytes(bytes);
    if (!stage_.is_closed(*connection_)) return;
    note_(*this, "<- the end of the connection");
    stage_.close(*connection_);
    connection_.reset();
    Arrival end;
    end.is_soft = says_goodbye;
    arrivals.push_back(std::move(end));
}

std::optional<std::string> CastMember::open(const ConnectOptions& options) {
    const auto connection = stage_.open();
    if (!connection) return connection.error();
    drop_soft();
    std::erase_if(arrivals, [](const Arrival& arrival) { return !arrival.type; });
    says_goodbye = false;
    connection_ = *connection;
    peer.begin_connection(options);
    note_(*this, "-- connects");
    return std::nullopt;
}

void CastMember::close() {
    if (!connection_) return;
    note_(*this, "-- closes");
    stage_.close(*connection_);
    connection_.reset();
}

void CastMember::reset() {
    if (!connection_) return;
    note_(*this, "-- is reset");
    stage_.reset(*connection_);
    connection_.reset();
}

void CastMember::set_flow(Flow flow) {
    if (connection_) stage_.set_flow(*connection_, flow);
}

std::optional<std::uint16_t> CastMember::resolve(const IdRef& id) const {
    if (id.number != 0) return id.number;
    const auto it = ids.find(id.name);
    return it == ids.end() ? std::nullopt : std::optional{it->second};
}

void CastMember::drop_soft(std::optional<PacketType> type) {
    std::erase_if(arrivals, [&](const Arrival& arrival) {
        return arrival.is_soft && (!type || arrival.type == type);
    });
}

const Arrival* CastMember::first_hard() const {
    const auto it = std::find_if(arrivals.begin(), arrivals.end(),
                                 [](const Arrival& arrival) { return !arrival.is_soft; });
    return it == arrivals.end() ? nullptr : &*it;
}

}  // namespace mitu::sim::scenario
