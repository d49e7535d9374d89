#pragma once
// Mail: the records that travel between shards, and their bytes in a lane.
//
// All shards live in one process, so records are plain memory: a fixed header, then what varies.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "mitu/broker/effects.hpp"
#include "mitu/broker/gate.hpp"
#include "mitu/broker/message_store.hpp"
#include "mitu/memory/lane.hpp"
#include "mitu/ports/network.hpp"

namespace mitu::broker {

enum class MailKind : std::uint16_t {
    publish = 1,  // publish lane: route this at its home
    redispatch,   // publish lane: another member of a shared subscription, please
    deliver,      // deliver lane: these sessions of yours get this
    announced,    // deliver lane: what I had put down when you asked lies before this
    subscribe,    // publish lane, behind the client's publishes
    unsubscribe,  // publish lane
    forget,       // publish lane: whatever this session has subscribed to, it is gone
    announce,     // publish lane: tell me when all that you have put down is delivered
    completion,   // control lane: the answer to a token
    connection,   // control lane: this client's session is yours
};

/// A session of the receiving shard that gets a message.
struct MailRecipient {
    std::uint32_t index = 0;
    std::uint32_t generation = 0;
    std::uint32_t share_serial = 0;
    std::uint16_t identifier_count = 0;
    std::uint8_t qos : 2 = 0;
    std::uint8_t retain : 1 = 0;
    std::uint8_t is_retained_replay : 1 = 0;
    std::uint8_t is_kept : 1 = 0;  // it stands in the session's queue in the store
    std::uint8_t attempts = 0;
};
static_assert(sizeof(MailRecipient) == 16);

/// Recipients with their subscription identifiers, ready to be copied into a record.
class RecipientList {
public:
    void clear() noexcept {
        words_.clear();
        count_ = 0;
    }
    /// `kept`: in whose queue in the store it stands, if it does.
    void add(const MailRecipient& recipient, std::span<const std::uint32_t> identifiers,
             StoredSessionId kept = 0);
    [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
    [[nodiscard]] ByteView bytes() const noexcept {
        return {reinterpret_cast<const std::uint8_t*>(words_.data()), words_.size() * 4};
    }

private:
    std::vector<std::uint32_t> words_;
    std::uint32_t count_ = 0;
};

struct MailedMessage {
    MessageView message;
    LargeBlock* large = nullptr;  // not null: the bytes are in here, with one reference for us
};
struct PublishMail {
    MailedMessage content;
    Origin origin;  // redispatch: the member that did not take it, and its own in the store
    std::uint32_t share_serial = 0;  // redispatch only
    std::uint8_t attempts = 0;
};
struct DeliverMail {
    MailedMessage content;
    std::uint32_t recipient_count = 0;
    ByteView recipients;
    /// Calls visit(MailRecipient, identifiers, kept) for each.
    template <class Visit>
    void for_each(Visit visit) const {
        ByteView rest = recipients;
        std::vector<std::uint32_t> identifiers;
        for (std::uint32_t i = 0; i < recipient_count; ++i) {
            MailRecipient r;
            std::memcpy(&r, rest.data(), sizeof r);
            rest = rest.subspan(sizeof r);
            StoredSessionId kept = 0;
            if (r.is_kept != 0) {
                std::memcpy(&kept, rest.data(), sizeof kept);
                rest = rest.subspan(sizeof kept);
            }
            identifiers.resize(r.identifier_count);
            if (r.identifier_count != 0) {
                std::memcpy(identifiers.data(), rest.data(), identifiers.size() * 4);
            }
            rest = rest.subspan(identifiers.size() * 4);
            visit(r, std::span<const std::uint32_t>{identifiers}, kept);
        }
    }
};
struct SubscriptionMail {
    TenantId tenant;
    Token token;
    Subscriber subscriber;
    std::uint64_t subscriber_key = 0;  // with No Local: publisher_key of its own messages
    bool send_retained = false;
    std::string_view filter;
    std::string_view group;
};
struct CompletionMail {
    std::uint32_t index = 0;
    std::uint32_t generation = 0;
    Token token;
    mqtt::ReasonCode reason = mqtt::ReasonCode::success;
    /// Not 0: the number under which it came stands in the store, as this session's.
    StoredSessionId kept = 0;
    std::uint16_t packet_id = 0;
};
/// A shard asks all others before it gives a session what it has read of its queue (on_chunk).
struct AnnounceMail {
    ShardId asks;
    std::uint32_t ticket = 0;
};
/// A client that has been let in, on its way to the shard where its session lives.
struct Arrival {
    Bytes connect;  // the packet
    Bytes input;    // what it has said since
    Admitted admitted;
};
struct ConnectionMail {
    ports::DetachedConnection connection;
    Arrival* arrival = nullptr;  // owned by the record
};

/// Each write returns false when the lane has no room; nothing was written then. A large block
/// gets a reference of its own with the record.
[[nodiscard]] bool write_publish(memory::Lane& lane, MailKind kind, const PublishMail& mail);
[[nodiscard]] bool write_deliver(memory::Lane& lane, const MailedMessage& content,
                                 ByteView recipients, std::uint32_t recipient_count);
[[nodiscard]] bool write_subscription(memory::Lane& lane, MailKind kind,
                                      const SubscriptionMail& mail);
[[nodiscard]] bool write_completion(memory::Lane& lane, const CompletionMail& mail);
[[nodiscard]] bool write_announce(memory::Lane& lane, MailKind kind, const AnnounceMail& mail);
[[nodiscard]] bool write_connection(memory::Lane& lane, const ConnectionMail& mail);

/// Lifetime  what is read borrows the record until it is popped.
[[nodiscard]] PublishMail read_publish(ByteView record);
[[nodiscard]] DeliverMail read_deliver(ByteView record);
[[nodiscard]] SubscriptionMail read_subscription(ByteView record);
[[nodiscard]] CompletionMail read_completion(ByteView record);
[[nodiscard]] AnnounceMail read_announce(ByteView record);
[[nodiscard]] ConnectionMail read_connection(ByteView record);

/// How many bytes of content write_publish and write_deliver put into the record itself.
[[nodiscard]] std::uint64_t inline_bytes(const MailedMessage& content) noexcept;

}  // namespace mitu::broker
