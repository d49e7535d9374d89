#pragma once
// The messages that one shard holds: each stored once, however many clients wait for it.

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "mitu/base/bytes.hpp"
#include "mitu/base/strong_id.hpp"
#include "mitu/base/time.hpp"
#include "mitu/broker/counters.hpp"
#include "mitu/broker/tenant_bytes.hpp"
#include "mitu/memory/record_heap.hpp"
#include "mitu/mqtt/types.hpp"

namespace mitu::broker {

/// A session in the store, for as long as it exists; never used again. 0: it is not kept there.
using StoredSessionId = std::uint64_t;
/// A message in the store; those of one topic grow with time. 0: it is not kept there.
using StoredMessageId = std::uint64_t;
/// A will in the store: whose it is, and a number that no other has or had.
struct StoredWillId {
    StoredSessionId session = 0;  // 0: its client's is not kept
    std::uint64_t number = 0;     // 0: it is not kept there
    [[nodiscard]] bool is_none() const noexcept { return number == 0; }
};

/// A session, named from any shard. A stale one misses politely.
struct SessionRef {
    std::uint32_t index = 0;
    std::uint32_t generation = 0;  // 0: none (the server itself published)
    ShardId shard;
    auto operator<=>(const SessionRef&) const noexcept = default;
};

/// An application message as it is routed; borrows.
struct MessageView {
    TenantId tenant = tenant_default;
    mqtt::QoS qos = mqtt::QoS::at_most_once;
    bool retain = false;
    Instant expires_at = Instant::never();
    SessionRef publisher;  // for No Local
    /// With retain, also for No Local: the publisher's name outlives its session. 0: the server.
    std::uint64_t publisher_key = 0;
    StoredMessageId stored_id = 0;
    std::string_view topic;
    ByteView properties;  // forwarded ones, encoded (mqtt::encode_forwarded_properties)
    ByteView payload;

    [[nodiscard]] std::uint64_t content_bytes() const noexcept {
        return topic.size() + properties.size() + payload.size();
    }
};

/// The content of a large message, shared between shards instead of copied: immutable once made.
/// Threading  any thread; the last release() frees.
class LargeBlock {
public:
    /// Null: no memory.
    [[nodiscard]] static LargeBlock* create(const MessageView& message);
    void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept;
    [[nodiscard]] std::uint64_t content_bytes() const noexcept { return content_bytes_; }
    [[nodiscard]] std::uint8_t* data() noexcept {
        return reinterpret_cast<std::uint8_t*>(this + 1);
    }

private:
    explicit LargeBlock(std::uint64_t content_bytes) noexcept : content_bytes_{content_bytes} {}
    std::uint64_t content_bytes_;
    std::atomic<std::uint32_t> references_{1};
};

/// A message of this shard, wherever its bytes are just now.
using MessageHandle = memory::RecordHandle;

/// Stores messages contiguously (header, topic, properties, payload) and counts who still needs
/// them.
/// Threading  shard-local.
/// Cost       add(): a copy into the shard's current batch; a reference: a 4-byte handle. Beside
///            its content a message takes 36 bytes, and 8 more if it expires, and if it is kept in
///            the store.
class MessageStore {
public:
    MessageStore(std::uint64_t bytes_max, Counters& counters,
                 const memory::RecordHeapOptions& heap = {}, TenantBytes tenants = {nullptr, 1});
    ~MessageStore();
    MessageStore(const MessageStore&) = delete;
    MessageStore& operator=(const MessageStore&) = delete;

    /// Copies the message in, with one reference that the caller owns. What is larger than a
    /// record may be gets a block of its own.
    /// Errors  nullopt: bytes_max or the tenant's quota is reached, or the system has no memory;
    ///         nothing changed, and refusal() says which.
    [[nodiscard]] std::optional<MessageHandle> add(const MessageView& message);
    /// Takes over one reference to `block`, which holds the bytes of `message`.
    [[nodiscard]] std::optional<MessageHandle> adopt(const MessageView& message, LargeBlock* block);

    /// Why there was no room the last time.
    [[nodiscard]] DropReason refusal() const noexcept { return refusal_; }
    void forget_refusal() noexcept { refusal_ = DropReason::no_memory; }
    [[nodiscard]] const TenantBytes& tenants() const noexcept { return tenants_; }

    void retain(MessageHandle handle) noexcept { records_.retain(handle); }
    void release(MessageHandle handle) noexcept;
    void set_publisher(MessageHandle handle, const SessionRef& publisher) noexcept;

    /// Lifetime  until the handle's last release, or tidy().
    [[nodiscard]] MessageView view(MessageHandle handle) const noexcept;
    [[nodiscard]] std::uint64_t content_bytes(MessageHandle handle) const noexcept;
    [[nodiscard]] StoredMessageId stored_id(MessageHandle handle) const noexcept {
        return parts(handle).stored_id;
    }
    /// The message's content in a block that other shards may share: the one it is in, or a new one
    /// that it is in from now on. Null: no memory.
    /// Shape  content of 8 bytes at least.
    [[nodiscard]] LargeBlock* share(MessageHandle handle);

    /// After a session that broke: whoever has references counts them, and what nobody has counted
    /// is released.
    using Recount = memory::RecordHeap::Recount;
    [[nodiscard]] Recount recount() const { return records_.recount(); }
    /// Shape  how many references nobody had.
    std::uint64_t settle(const Recount& count) {
        return records_.settle(count, [this](MessageHandle handle) { release(handle); });
    }

    /// Between turns, when nobody has a view: moves what lives out of what is mostly dead, and
    /// sets the gauges.
    void tidy();
    /// Now and then: memory that has not been needed since the last time goes back to the system.
    void trim() { records_.trim(); }
    /// tidy() had to stop; the next turn goes on.
    [[nodiscard]] bool has_more_to_tidy() const noexcept { return has_more_to_tidy_; }

    [[nodiscard]] std::uint32_t live_count() const noexcept { return records_.live_count(); }
    [[nodiscard]] std::uint64_t live_bytes() const noexcept { return live_bytes_; }
    [[nodiscard]] bool is_sound() const { return records_.is_sound(); }

private:
    /// In front of a message's content. Of a large message the content is a LargeBlock*.
    struct Header {
        std::uint32_t publisher_index = 0;
        std::uint32_t publisher_generation = 0;
        ShardId publisher_shard;
        TenantId tenant;
        std::uint16_t topic_bytes = 0;
        std::uint8_t qos : 2 = 0;
        std::uint8_t expires : 1 = 0;  // an Instant follows
        std::uint8_t retain : 1 = 0;   // a publisher_key follows
        std::uint8_t is_large : 1 = 0;
        std::uint8_t is_kept : 1 = 0;  // a stored_id follows
        std::uint8_t is_free : 1 = 0;  // its bytes are not the tenant's to answer for
        std::uint8_t unused = 0;
        std::uint32_t properties_bytes = 0;
    };
    static_assert(sizeof(Header) == 20);

    // A turn may take as long as it takes to move so much: some tens of microseconds.
    static constexpr std::uint64_t tidy_bytes_max = 512u << 10;

    /// A record taken apart.
    struct Parts {
        Header header;
        Instant expires_at = Instant::never();
        std::uint64_t publisher_key = 0;
        StoredMessageId stored_id = 0;
        std::uint8_t* content = nullptr;
        std::size_t content_bytes = 0;
        LargeBlock* block = nullptr;  // that the content is in
    };

    [[nodiscard]] static Parts take_apart(std::span<std::uint8_t> record) noexcept;
    [[nodiscard]] Parts parts(MessageHandle handle) const noexcept {
        return take_apart(records_.bytes(handle));
    }
    /// The record with its header, and where its content goes. Null: no memory.
    [[nodiscard]] std::optional<MessageHandle> make_record(const MessageView& message,
                                                           bool is_large, std::uint8_t*& content);

    memory::RecordHeap records_;
    bool has_more_to_tidy_ = false;
    std::uint64_t live_bytes_ = 0;  // content
    std::uint64_t bytes_max_;
    TenantBytes tenants_;
    DropReason refusal_ = DropReason::no_memory;
    Counters& counters_;
};

}  // namespace mitu::broker
