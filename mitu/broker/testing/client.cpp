#include "mitu/broker/testing/client.hpp"

#include <utility>

#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using mqtt::PacketType;
using mqtt::ReasonCode;

template <class T>
std::vector<ReasonCode> reasons_of(const std::vector<SeenPacket>& packets,
                                   std::uint16_t packet_id) {
    std::vector<ReasonCode> reasons;
    for (const SeenPacket& seen : packets) {
        const T* const answer = seen.as<T>();
        if (answer == nullptr || answer->packet_id != packet_id) continue;
        reasons.clear();
        for (const auto reason : answer->reasons) reasons.push_back(ReasonCode{reason});
        if (reasons.empty()) reasons.push_back(ReasonCode::success);  // UNSUBACK of 3.1.1
    }
    return reasons;
}

}  // namespace

Client::Client(World& world, std::string client_id) : Peer{std::move(client_id)}, world_{world} {
    write = [this](ByteView bytes) {
        if (!is_open()) return;
        socket_->to_broker.insert(socket_->to_broker.end(), bytes.begin(), bytes.end());
    };
}

// --- connecting ---

void Client::dial(std::optional<std::uint16_t> door) {
    cut();
    socket_ = std::make_shared<VirtualSocket>();
    world_.network(door.value_or(world_.next_door())).accept(socket_);
}

Client& Client::open(std::optional<std::uint16_t> door) {
    begin_connection();
    dial(door);
    return *this;
}

Client& Client::connect_later(const ConnectOptions& options) {
    begin_connection(options);
    dial(options.door);
    send_connect();
    return *this;
}

Client& Client::connect(const ConnectOptions& options) {
    connect_later(options);
    world_.run();
    return *this;
}

void Client::disconnect(ReasonCode reason, std::optional<std::uint32_t> session_expiry_s) {
    Peer::disconnect(reason, session_expiry_s);
    world_.run();
    cut();
    world_.run();
}

void Client::cut() {
    if (socket_) socket_->closed_by_client = true;
}

void Client::reset() {
    if (socket_) socket_->reset_by_client = socket_->closed_by_client = true;
}

bool Client::is_open() const noexcept {
    return socket_ && !socket_->closed_by_client && !socket_->closed_by_broker;
}

// --- talking ---

void Client::send_bytes(ByteView bytes) {
    send_bytes_later(bytes);
    world_.run();
}

void Client::send(const mqtt::Packet& packet) {
    send_later(packet);
    world_.run();
}

std::optional<ReasonCode> Client::publish(std::string_view topic, std::string_view payload,
                                          const PublishOptions& options) {
    const std::uint16_t id = publish_later(topic, payload, options);
    world_.run();
    return id == 0 ? ReasonCode::success : outcome(id);
}

std::vector<ReasonCode> Client::subscribe(std::string_view filter,
                                          const SubscribeOptions& options) {
    const std::uint16_t id = subscribe_later(filter, options);
    world_.run();
    return reasons_of<mqtt::Suback>(packets(), id);
}

std::vector<ReasonCode> Client::unsubscribe(std::string_view filter) {
    const std::uint16_t id = unsubscribe_later(filter);
    world_.run();
    return reasons_of<mqtt::Unsuback>(packets(), id);
}

bool Client::ping() {
    const auto before = count(PacketType::pingresp);
    Peer::ping();
    world_.run();
    return count(PacketType::pingresp) == before + 1;
}

void Client::acknowledge(const Message& message) {
    Peer::acknowledge(message);
    world_.run();
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
    const Bytes bytes = std::exchange(socket_->to_client, {});
    on_bytes(bytes);
}

}  // namespace mitu::broker::testing
