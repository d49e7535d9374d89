#pragma once
// What leaves a client session: bytes to write, and what happened.

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/mqtt/packet.hpp"

namespace mitu::client {

/// The server took the connection. What it limits is held by the session from now on.
struct Connected {
    bool session_present = false;
    mqtt::ConnackProperties properties = {};
};

/// A message arrived; a topic alias has been resolved, an acknowledgement is already written.
/// A QoS 2 message comes once, however often the server repeats it.
struct MessageReceived {
    mqtt::Publish publish;
};

enum class PublishOutcome : std::uint8_t {
    acknowledged,  // PUBACK or PUBCOMP; `reason` may still be no_matching_subscribers
    refused,       // the server answered with an error
    not_sent,      // the limits that the server named at CONNACK forbid it
    session_lost,  // QoS 2: the server forgot the session while the message was under way
};

/// The end of a QoS 1 or 2 publish. `token` is the one that publish() was given.
struct PublishDone {
    std::uint64_t token = 0;
    mqtt::QoS qos = mqtt::QoS::at_least_once;
    PublishOutcome outcome = PublishOutcome::acknowledged;
    mqtt::ReasonCode reason = mqtt::ReasonCode::success;
    std::string_view reason_string = {};
};

/// SUBACK, and with `unsubscribe` UNSUBACK.
struct SubscribeDone {
    std::uint16_t packet_id = 0;
    bool unsubscribe = false;
    ByteView reasons;  // one ReasonCode per filter; UNSUBACK of 3.1.1: none
    std::string_view reason_string = {};

    [[nodiscard]] bool has_error() const noexcept {
        for (const std::uint8_t reason : reasons) {
            if (reason >= 0x80) return true;
        }
        return false;
    }
};

/// The server asks for the next step of an extended authentication; answer with authenticate().
struct AuthRequested {
    mqtt::ReasonCode reason = mqtt::ReasonCode::continue_authentication;
    std::optional<ByteView> data;
};

enum class EndCause : std::uint8_t {
    closed_by_peer,          // the transport ended without a word
    refused,                 // CONNACK with an error
    disconnected_by_server,  // DISCONNECT
    disconnected_by_client,  // disconnect()
    protocol_error,          // the server broke the protocol: `reason` and `detail` say how
    connack_timeout,
    keep_alive_timeout,  // no PINGRESP
};
[[nodiscard]] std::string_view to_text(EndCause cause) noexcept;

/// The connection is over; comes once per connection. Subscribe requests without an answer are
/// forgotten; publishes without an answer are kept for the next connection.
struct ConnectionEnded {
    EndCause cause = EndCause::closed_by_peer;
    mqtt::ReasonCode reason = mqtt::ReasonCode::success;
    std::string_view detail;  // the server's reason string, or the rule that was broken
    std::string_view server_reference = {};
};

using Event = std::variant<Connected, MessageReceived, PublishDone, SubscribeDone, AuthRequested,
                           ConnectionEnded>;

/// The effects of one or more calls; the caller takes them and clears. One object serves any number
/// of sessions, so an idle session owns no buffer.
/// Lifetime  the texts and bytes in events borrow the session and the bytes that on_bytes() was
///           given: read them before the next call on that session.
struct Output {
    Bytes bytes;                // to be written, in order
    std::vector<Event> events;  // in the order in which they happened
    bool close = false;         // close the transport once `bytes` are written

    void clear() noexcept {
        bytes.clear();
        events.clear();
        close = false;
    }
};

}  // namespace mitu::client
