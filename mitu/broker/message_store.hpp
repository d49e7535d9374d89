#pragma once
// The messages that one shard holds: each stored once, however many clients wait for it.

#include <atomic>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/base/strong_id.hpp"
#include "mitu/base/time.hpp"
#include "mitu/broker/counters.hpp"
#include "mitu/mqtt/types.hpp"

namespace mitu::broker {

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
    std::string_view topic;
    ByteView properties;  // forwarded ones, encoded (mqtt::encode_forwarded_properties)
    ByteView payload;

    [[nodiscard]] std::uint64_t content_bytes() const noexcept {
        return topic.size() + properties.size() + payload.size();
    }
};

/// The bytes of a large message, shared between shards instead of copied: immutable once made.
/// Threading  any thread; the last release() frees.
class LargeBlock {
public:
    [[nodiscard]] static LargeBlock* create(const MessageView& message);
    void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept;
    [[nodiscard]] std::uint8_t* data() noexcept {
        return reinterpret_cast<std::uint8_t*>(this + 1);
    }

private:
    explicit LargeBlock() noexcept = default;
    std::atomic<std::uint32_t> references_{1};
};

/// A message of this shard. Index into the store, so that the bytes may move.
struct MessageHandle {
    std::uint32_t index = 0xFFFF'FFFF;
    auto operator<=>(const MessageHandle&) const noexcept = default;
    [[nodiscard]] bool is_none() const noexcept { return index == 0xFFFF'FFFF; }
};

/// Stores messages contiguously (topic, properties, payload) and counts who still needs them.
/// Threading  shard-local.
/// Cost       add(): one allocation; a reference: a 4-byte handle.
class MessageStore {
public:
    MessageStore(std::uint64_t bytes_max, Counters& counters) noexcept;
    ~MessageStore();
    MessageStore(const MessageStore&) = delete;
    MessageStore& operator=(const MessageStore&) = delete;

    /// Copies the message in, with one reference that the caller owns.
    /// Errors  nullopt: bytes_max is reached; nothing changed.
    [[nodiscard]] std::optional<MessageHandle> add(const MessageView& message);
    /// Takes over one reference to `block`, which holds the bytes of `message`.
    [[nodiscard]] std::optional<MessageHandle> adopt(const MessageView& message, LargeBlock* block);

    void retain(MessageHandle handle) noexcept;
    void set_publisher(MessageHandle handle, const SessionRef& publisher) noexcept;
    void release(MessageHandle handle) noexcept;

    /// Lifetime  until the handle's last release.
    [[nodiscard]] MessageView view(MessageHandle handle) const noexcept;
    [[nodiscard]] std::uint64_t content_bytes(MessageHandle handle) const noexcept;
    /// The shared block of a large message, or null.
    [[nodiscard]] LargeBlock* large_block(MessageHandle handle) const noexcept;
    /// Takes a message's bytes into a shared block, if they are not in one already.
    LargeBlock* share(MessageHandle handle);

    [[nodiscard]] std::uint32_t live_count() const noexcept { return live_count_; }
    [[nodiscard]] std::uint64_t live_bytes() const noexcept { return live_bytes_; }

private:
    struct Slot {
        std::uint8_t* bytes = nullptr;  // topic, properties, payload; owned unless large
        LargeBlock* large = nullptr;
        Instant expires_at;
        SessionRef publisher;
        std::uint32_t references = 0;
        std::uint32_t payload_bytes = 0;
        std::uint32_t properties_bytes = 0;
        std::uint32_t next_free = 0;
        std::uint16_t topic_bytes = 0;
        TenantId tenant;
        mqtt::QoS qos = mqtt::QoS::at_most_once;
        bool retain = false;
    };

    [[nodiscard]] std::optional<MessageHandle> take_slot(const MessageView& message);
    [[nodiscard]] const Slot& slot(MessageHandle handle) const noexcept;

    std::vector<Slot> slots_;
    std::uint32_t free_head_;
    std::uint32_t live_count_ = 0;
    std::uint64_t live_bytes_ = 0;
    std::uint64_t bytes_max_;
    Counters& counters_;
};

}  // namespace mitu::broker
