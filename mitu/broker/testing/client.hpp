#pragma once
// A Peer on a virtual socket of a World: what the broker's tests say in one line.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/broker/session.hpp"
#include "mitu/broker/testing/peer.hpp"
#include "mitu/broker/testing/virtual_network.hpp"

namespace mitu::broker::testing {

class World;

/// Calls that send run the world until it is quiet, except those named `later`.
class Client : private Peer {
public:
    Client(World& world, std::string client_id);

    // --- connecting ---
    /// Opens a connection and waits for CONNACK.
    Client& connect(const ConnectOptions& options = {});
    /// The same without running the world.
    Client& connect_later(const ConnectOptions& options = {});
    /// A connection on which nothing was sent yet.
    Client& open(std::optional<std::uint16_t> door = std::nullopt);
    void disconnect(mqtt::ReasonCode reason = mqtt::ReasonCode::success,
                    std::optional<std::uint32_t> session_expiry_s = std::nullopt);
    /// Closes without DISCONNECT.
    void cut();
    /// Breaks the connection: what is on its way is lost.
    void reset();
    /// The broker has not closed, and neither have we.
    [[nodiscard]] bool is_open() const noexcept;
    [[nodiscard]] bool is_connected() const noexcept { return is_open() && connack() != nullptr; }

    // --- talking ---
    /// The answer's reason; QoS 0: success. nullopt: no answer came.
    std::optional<mqtt::ReasonCode> publish(std::string_view topic, std::string_view payload,
                                            const PublishOptions& options = {});
    std::uint16_t publish_later(std::string_view topic, std::string_view payload,
                                const PublishOptions& options = {}) {
        return Peer::publish(topic, payload, options);
    }
    /// The reasons of SUBACK; empty: none came.
    std::vector<mqtt::ReasonCode> subscribe(std::string_view filter,
                                            const SubscribeOptions& options = {});
    std::uint16_t subscribe_later(std::string_view filter, const SubscribeOptions& options = {}) {
        return Peer::subscribe(filter, options);
    }
    std::vector<mqtt::ReasonCode> unsubscribe(std::string_view filter);
    std::uint16_t unsubscribe_later(std::string_view filter) { return Peer::unsubscribe(filter); }
    bool ping();
    void send_later(const mqtt::Packet& packet) { Peer::send(packet); }
    void send(const mqtt::Packet& packet);
    void send_bytes_later(ByteView bytes) { Peer::send_bytes(bytes); }
    void send_bytes(ByteView bytes);
    void acknowledge(const Message& message);  // PUBACK or PUBREC

    // --- what came, and how it behaves ---
    using Peer::acknowledges;
    using Peer::connack;
    using Peer::count;
    using Peer::goodbye;
    using Peer::id;
    using Peer::outcome;
    using Peer::release_acks;
    using Peer::resends;
    using Peer::session_present;
    using Peer::take_confirmed;
    using Peer::take_messages;
    using Peer::take_packets;
    using Peer::take_payloads;
    using Peer::unacknowledged_count;
    bool reads = true;  // takes bytes from its socket
    /// How many unread bytes its socket holds (a slow reader has few).
    void set_window(std::size_t bytes) noexcept;
    /// How many bytes lie unread in its socket.
    [[nodiscard]] std::size_t unread_bytes() const noexcept;

    [[nodiscard]] std::shared_ptr<const VirtualSocket> socket() const noexcept { return socket_; }

    // --- for the world ---
    [[nodiscard]] bool has_reason() const noexcept;
    void react();

private:
    /// A new connection to the broker, in place of the present one.
    void dial(std::optional<std::uint16_t> door);

    World& world_;
    std::shared_ptr<VirtualSocket> socket_;
};

}  // namespace mitu::broker::testing
