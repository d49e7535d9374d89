#pragma once
// Journal: what a shard writes down so that it outlives the process, how far that has come, and how
// a session's messages are read again. A port: on a node it is the store, in tests a table.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/base/strong_id.hpp"
#include "mitu/base/time.hpp"
#include "mitu/broker/message_store.hpp"
#include "mitu/mqtt/types.hpp"

namespace mitu::broker {

/// What an acknowledgement of a tenant's messages means.
enum class Durability : std::uint8_t {
    none,   // nothing is kept: sessions, retained messages and wills end with the process
    async,  // it is written down soon: what the last moments brought may be lost
    sync,   // it is on the disk
};

/// A session as it was written down.
struct KeptSession {
    StoredSessionId id = 0;
    TenantId tenant;
    std::string_view client_id;
    std::uint32_t expiry_s = 0;
    mqtt::ProtocolVersion version = mqtt::ProtocolVersion::v5;
    /// Never: it has a connection.
    Instant detached_at = Instant::never();
};

/// A will as it was written down, until its message is or nobody is to have it any more.
struct KeptWill {
    StoredWillId id{};
    TenantId tenant;
    std::string_view client_id;
    MessageView message{};
    std::uint32_t delay_s = 0;
    std::optional<std::uint32_t> expiry_s{};
};

struct KeptSubscription {
    std::string_view filter;  // without `$share/NAME/`
    std::string_view group;   // empty: not shared
    mqtt::QoS qos = mqtt::QoS::at_most_once;
    bool no_local = false;
    bool retain_as_published = false;
    std::uint32_t identifier = 0;
};

/// One message of one session's queue, beside the message itself.
struct QueueRow {
    mqtt::QoS qos = mqtt::QoS::at_least_once;
    bool retain = false;
    std::uint16_t packet_id = 0;  // 0: it was not sent under a number that must be kept
    std::span<const std::uint32_t> identifiers{};
};

struct QueuedMessage {
    QueueRow row;
    MessageView message;       // with its stored_id
    bool is_released = false;  // PUBREC has come: a number in use, and no message
};

/// What a session's queue has, in the order of its messages. Owned by the journal.
struct QueueChunk {
    StoredSessionId session = 0;
    std::uint32_t ticket = 0;  // of the question
    std::span<const QueuedMessage> messages{};
    StoredMessageId up_to = 0;  // so far the queue was read: what follows is behind
    bool is_end = false;        // there was nothing more when it was read
    bool is_failed = false;     // it could not be read: nothing is known, ask again later
};

/// How much a session's queue has.
struct QueueCount {
    StoredSessionId session = 0;
    std::uint32_t ticket = 0;  // of the question
    bool is_failed = false;    // it could not be read
    std::uint32_t messages = 0;
    std::uint64_t bytes = 0;
};

/// What a session is by what was written down, but for its queue. Owned by the journal.
struct RecalledSession {
    enum class Outcome : std::uint8_t {
        found,
        gone,     // there is no such session
        not_now,  // it could not be read: ask again later
    };
    StoredSessionId session = 0;
    std::uint32_t ticket = 0;  // of the question
    Outcome outcome = Outcome::gone;
    KeptSession as_kept;
    std::optional<KeptWill> will{};               // that is not due
    std::span<const std::string_view> filters{};  // with `$share/NAME/` where a client said so
    std::span<const std::uint16_t> incoming{};    // QoS 2 messages whose PUBREL is due
};

/// Threading  one shard's; each shard has its own.
/// Order      what was put down earlier is never durable later, within a shard.
class Journal {
public:
    /// Batches count up from 1; what is put down belongs to the current one.
    using Batch = std::uint64_t;
    struct Progress {
        Batch written = 0;  // up to here it is found by whoever reads
        Batch synced = 0;   // up to here it survives the machine
    };

    virtual ~Journal() = default;

    [[nodiscard]] virtual Durability durability(TenantId tenant) const noexcept = 0;
    /// False: the store takes nothing new just now (its disk is full); what only ends something is
    /// taken all the same.
    [[nodiscard]] virtual bool accepts() const noexcept = 0;
    /// False: so much is on its way to the disk that publishers are to wait.
    [[nodiscard]] virtual bool has_room() const noexcept = 0;

    /// Never given twice, by no shard, and greater than all that this shard has given before.
    [[nodiscard]] virtual StoredSessionId next_session() = 0;
    [[nodiscard]] virtual StoredWillId next_will(StoredSessionId session) = 0;
    /// `is_shared`: more than one session will have it.
    [[nodiscard]] virtual StoredMessageId next_message(bool is_shared) = 0;

    // --- what is put down ---

    virtual void put_session(const KeptSession& session) = 0;
    /// With all that it has but wills.
    virtual void erase_session(StoredSessionId session, TenantId tenant,
                               std::string_view client_id) = 0;
    virtual void put_subscription(StoredSessionId session, const KeptSubscription& entry) = 0;
    virtual void erase_subscription(StoredSessionId session, std::string_view filter,
                                    std::string_view group) = 0;
    /// Behind the session, in the same batch.
    virtual void put_will(const KeptWill& will) = 0;
    /// From now on it is to be published whoever comes back. Once that is written, the topic's home
    /// is told, and erases it in the batch of its message.
    virtual void put_will_due(const StoredWillId& will) = 0;
    virtual void erase_will(const StoredWillId& will) = 0;

    /// The message itself, once, in front of its rows in the same batch; it goes with the last row.
    virtual void put_message(const MessageView& message, std::uint32_t rows) = 0;
    /// A row of a message put down in this batch, counted there.
    virtual void put_row(StoredSessionId session, const MessageView& message,
                         const QueueRow& row) = 0;
    /// The message is sent under this number.
    virtual void number_row(StoredSessionId session, StoredMessageId message,
                            std::uint16_t packet_id) = 0;
    /// `has_number`: number_row() was called for it.
    virtual void erase_row(StoredSessionId session, StoredMessageId message, bool has_number) = 0;
    /// PUBREC: the row goes, the number stays in use until PUBCOMP.
    virtual void release_row(StoredSessionId session, StoredMessageId message,
                             std::uint16_t packet_id) = 0;
    virtual void erase_released(StoredSessionId session, std::uint16_t packet_id) = 0;

    /// A QoS 2 message of this session has been taken: its PUBREL is due.
    virtual void put_incoming(StoredSessionId session, std::uint16_t packet_id) = 0;
    virtual void erase_incoming(StoredSessionId session, std::uint16_t packet_id) = 0;

    virtual void put_retained(const MessageView& message) = 0;
    virtual void erase_retained(TenantId tenant, std::string_view topic) = 0;

    // --- how far it has come ---

    [[nodiscard]] virtual Batch current() const noexcept = 0;
    /// Something was put down that is not yet handed over.
    [[nodiscard]] virtual bool has_put() const noexcept = 0;
    /// Ends the current batch, if anything stands in it, and sends it on its way. `sync`: somebody
    /// waits for the disk.
    virtual void hand_over(bool sync) = 0;
    /// Whoever makes progress, or has an answer, wakes the shard's network afterwards.
    [[nodiscard]] virtual Progress progress() const noexcept = 0;

    // --- reading ---

    /// Asks for what the session's queue has behind `after`, which is 0 at first: then what was
    /// numbered or released comes before all the rest, and all of it in the first chunk. What this
    /// shard has put down before is seen.
    virtual void read_queue(StoredSessionId session, StoredMessageId after,
                            std::uint32_t messages_max, std::uint32_t bytes_max,
                            std::uint32_t ticket) = 0;
    /// The oldest answer. Null: there is none.
    /// Lifetime  until the next call.
    [[nodiscard]] virtual const QueueChunk* take_chunk() = 0;
    [[nodiscard]] virtual bool has_chunk() const noexcept = 0;

    /// Asks how much the session's queue has. Counting ends where it is more than `messages_max`
    /// or `bytes_max`.
    virtual void count_queue(StoredSessionId session, std::uint32_t messages_max,
                             std::uint64_t bytes_max, std::uint32_t ticket) = 0;
    /// The oldest answer, once take_chunk() has none. Nullopt: there is none.
    [[nodiscard]] virtual std::optional<QueueCount> take_count() = 0;

    /// Asks for all that a session has beside its queue. `client_id` empty: nobody knows it any
    /// more, and it is looked for among all sessions. What this shard has put down before is seen.
    virtual void recall(StoredSessionId session, TenantId tenant, std::string_view client_id,
                        std::uint32_t ticket) = 0;
    /// The oldest answer, once take_chunk() has none. Null: there is none.
    /// Lifetime  until the next call.
    [[nodiscard]] virtual const RecalledSession* take_recalled() = 0;
};

}  // namespace mitu::broker
