#pragma once
// One MQTT client as a state machine: bytes, requests and time in; bytes and events out. No socket.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/client/connect_options.hpp"
#include "mitu/client/event.hpp"
#include "mitu/client/outbox.hpp"
#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/packet.hpp"

namespace mitu::client {

/// Why a request was not taken. Nothing was written and nothing changed.
enum class Refusal : std::uint8_t {
    not_connected,
    outbox_full,       // outbox_bytes_max is reached: wait for acknowledgements
    packet_too_large,  // for the server, or for MQTT at all
    topic_invalid,
    filter_invalid,
    qos_not_supported,  // the server named a lower maximum
    retain_not_supported,
    topic_alias_invalid,    // above what the server allows
    feature_not_supported,  // wildcard, shared subscription or identifier: the server has it not
    packet_ids_in_use,      // 65'535 requests without an answer
};
[[nodiscard]] std::string_view to_text(Refusal refusal) noexcept;

/// Lifetime  borrows until publish() returns.
struct PublishRequest {
    std::string_view topic;
    ByteView payload;
    mqtt::QoS qos = mqtt::QoS::at_most_once;
    bool retain = false;
    mqtt::PublishProperties properties = {};
    std::uint64_t token = 0;  // comes back in PublishDone
};

struct Subscription {
    std::string_view filter;
    mqtt::SubscriptionOptions options = {};
};

/// Lifetime  borrows until subscribe() returns.
struct SubscribeRequest {
    std::span<const Subscription> subscriptions;  // at least one
    std::optional<std::uint32_t> subscription_identifier = {};
    mqtt::UserProperties user = {};
};

struct DisconnectRequest {
    mqtt::ReasonCode reason = mqtt::ReasonCode::success;
    std::optional<std::uint32_t> session_expiry_interval_s = {};
    std::string_view reason_string = {};
    mqtt::UserProperties user = {};
};

/// The client side of MQTT 3.1.1 and 5.0 for one client id, over any number of connections in turn.
/// It keeps what a session must keep between them: publishes without an answer, and the QoS 2
/// messages that were received but not released. Incoming messages are acknowledged at once.
/// Threading  one thread at a time; no global state.
/// Order      publishes leave in the order of publish(); QoS 0 does not wait for the window.
/// Cost       idle: no buffer, no allocation beyond the texts of its options.
/// Source     MQTT 5.0 and 3.1.1, sections 3 and 4.
class ClientSession {
public:
    explicit ClientSession(ConnectOptions options) : options_{std::move(options)} {}

    // --- the transport -------------------------------------------------------------------------
    /// The transport is open: CONNECT is written.
    /// Errors  not_connected: it is open already; packet_too_large: the options cannot be encoded.
    [[nodiscard]] Result<void, Refusal> on_open(Instant now, Output& out);
    void on_bytes(ByteView bytes, Instant now, Output& out);
    /// The transport ended; nothing happens if the session asked for that itself (Output::close).
    void on_close(Output& out);
    /// Early or repeated calls do nothing.
    void on_deadline(Instant now, Output& out);
    [[nodiscard]] Instant next_deadline() const noexcept;

    // --- requests ------------------------------------------------------------------------------
    /// QoS 0 needs a connection. QoS 1 and 2 wait in the outbox for a connection and for room in
    /// the window, and end in one PublishDone.
    [[nodiscard]] Result<void, Refusal> publish(const PublishRequest& request, Instant now,
                                                Output& out);
    /// Returns the packet id, which SubscribeDone names.
    [[nodiscard]] Result<std::uint16_t, Refusal> subscribe(const SubscribeRequest& request,
                                                           Instant now, Output& out);
    [[nodiscard]] Result<std::uint16_t, Refusal> unsubscribe(
        std::span<const std::string_view> filters, const mqtt::UserProperties& user, Instant now,
        Output& out);
    /// Answers AuthRequested, or with re_authenticate begins anew.
    [[nodiscard]] Result<void, Refusal> authenticate(mqtt::ReasonCode reason, ByteView data,
                                                     Instant now, Output& out);
    /// Says goodbye; the ConnectionEnded event comes with it, and Output::close is set.
    void disconnect(const DisconnectRequest& request, Output& out);

    // --- what is known -------------------------------------------------------------------------
    [[nodiscard]] bool is_connected() const noexcept { return state_ == State::connected; }
    [[nodiscard]] bool is_open() const noexcept { return state_ != State::closed; }
    /// Publishes of QoS 1 and 2 without their last acknowledgement, in flight or waiting.
    [[nodiscard]] std::uint32_t unacknowledged_count() const noexcept { return outbox_.count(); }
    /// How many more publishes would be in flight at once; 0 when not connected.
    [[nodiscard]] std::uint32_t window_free() const noexcept;
    /// Includes the client id that the server assigned, and is what the next CONNECT says.
    [[nodiscard]] const ConnectOptions& options() const noexcept { return options_; }

private:
    enum class State : std::uint8_t { closed, connecting, connected };

    /// What CONNACK said; the defaults are those of the specification.
    struct ServerLimits {
        std::uint16_t receive_maximum = 65'535;
        std::uint16_t topic_alias_maximum = 0;
        std::uint32_t packet_bytes_max = mqtt::packet_bytes_limit;
        mqtt::QoS qos_max = mqtt::QoS::exactly_once;
        bool retain_available = true;
        bool wildcards_available = true;
        bool identifiers_available = true;
        bool shared_available = true;
    };

    void on_packet(const mqtt::Packet& packet, Instant now, Output& out);
    void on_connack(const mqtt::Connack& connack, Instant now, Output& out);
    void on_publish(mqtt::Publish publish, Instant now, Output& out);
    void on_puback(const mqtt::Puback& puback, Instant now, Output& out);
    void on_pubrec(const mqtt::Pubrec& pubrec, Instant now, Output& out);
    void on_pubrel(const mqtt::Pubrel& pubrel, Instant now, Output& out);
    void on_pubcomp(const mqtt::Pubcomp& pubcomp, Instant now, Output& out);
    void on_suback(std::uint16_t packet_id, bool unsubscribe, ByteView reasons,
                   const mqtt::AckProperties& properties, Output& out);
    void on_auth(const mqtt::Auth& auth, Output& out);
    void on_disconnect(const mqtt::Disconnect& disconnect, Output& out);
    /// False: the connection has been ended over it.
    [[nodiscard]] bool resolve_alias(mqtt::Publish& publish, Output& out);

    void write(const mqtt::Packet& packet, Instant now, Output& out);
    void send_queued(Instant now, Output& out);
    [[nodiscard]] std::optional<mqtt::ReasonCode> why_not_sendable(
        const Outbox::Entry& entry) const noexcept;
    void finish_publish(Outbox::Entry& entry, PublishOutcome outcome, const mqtt::Ack& ack,
                        Output& out);
    /// The server broke the protocol: tell it (version 5), close, report.
    void fail(mqtt::ReasonCode reason, std::string_view rule, Output& out);
    void end(EndCause cause, mqtt::ReasonCode reason, std::string_view detail, Output& out);
    [[nodiscard]] std::optional<std::uint64_t> take_id_sequence();
    [[nodiscard]] Result<std::uint16_t, Refusal> begin_request(bool unsubscribe);
    [[nodiscard]] Duration ping_interval() const noexcept;

    ConnectOptions options_;
    ServerLimits server_;
    State state_ = State::closed;
    bool ping_outstanding_ = false;
    bool was_connected_ = false;
    bool asked_to_forget_ = false;    // this connection's Clean Start
    std::uint16_t keep_alive_s_ = 0;  // of this connection
    Instant opened_at_;
    Instant last_sent_at_;
    Instant last_received_at_;
    Instant ping_sent_at_;

    Outbox outbox_;
    std::uint64_t id_sequence_next_ = 0;
    struct PendingRequest {
        std::uint64_t id_sequence = 0;
        bool unsubscribe = false;
    };
    std::vector<PendingRequest> pending_requests_;  // SUBSCRIBE and UNSUBSCRIBE, oldest first
    std::vector<std::uint16_t> unreleased_ids_;     // incoming QoS 2 before PUBREL; sorted

    Bytes input_;  // an incomplete packet; bytes before consumed_ were handled by the last call
    std::size_t consumed_ = 0;
    // By alias - 1. Texts keep their place while the table grows; one that was replaced stays until
    // the next call, because an event may borrow it.
    std::vector<std::unique_ptr<const std::string>> aliases_;
    std::vector<std::unique_ptr<const std::string>> retired_aliases_;
};

}  // namespace mitu::client
