#pragma once
// Effects: what a session asks its shard to do. Plain values in the turn's arena; the session
// itself touches nothing but its own memory, the message store and this. That a connection is to be
// closed shows in Session::is_attached(): false after a call that began attached.

#include <cstdint>
#include <new>
#include <string_view>
#include <type_traits>
#include <variant>

#include "mitu/base/bytes.hpp"
#include "mitu/broker/message_store.hpp"
#include "mitu/broker/subscription_index.hpp"
#include "mitu/memory/arena.hpp"
#include "mitu/memory/arena_vector.hpp"
#include "mitu/mqtt/types.hpp"

namespace mitu::broker {

/// Names one thing that a session waits for. The answer comes back as Session::on_completion with
/// the same token, in this turn or a later one; an answer nobody waits for any more is ignored.
struct Token {
    std::uint32_t serial = 0;  // 0: no answer wanted
    std::uint32_t entry = 0;   // which filter of a SUBSCRIBE or UNSUBSCRIBE
};

/// Where a message came from, and who waits for what becomes of it.
struct Origin {
    SessionRef session;
    Token token;
    /// QoS 2 of a session in the store: the number under which it came, to be written down with it.
    /// Of a message that another member of a group is to have: the number beside the row.
    StoredSessionId kept = 0;
    std::uint16_t packet_id = 0;
    /// In the store, until this message is.
    StoredWillId will{};
};

/// Route one application message. One effect per PUBLISH, never one per subscriber.
/// Lifetime  `message` borrows the packet, or the stored message `hold`.
struct RouteEffect {
    Token token;
    MessageView message;
    MessageHandle hold;           // not none: the shard releases it once the message is routed
    std::uint16_t packet_id = 0;  // QoS 2 of a session in the store: under which it came
    StoredWillId will{};          // in the store
};

/// Lifetime  the texts borrow the packet.
struct SubscribeEffect {
    Token token;
    std::string_view filter;  // without `$share/NAME/`
    std::string_view group;   // empty: not shared
    Subscriber subscriber;
    bool send_retained = false;
};

/// Lifetime  the texts borrow the packet, or the session until it is erased.
struct UnsubscribeEffect {
    Token token;
    std::string_view filter;
    std::string_view group;
};

/// A message of a shared subscription that this session will not deliver: give it to another.
struct RedispatchEffect {
    MessageHandle message;  // the shard releases it
    std::uint32_t share_serial = 0;
    std::uint8_t attempts = 0;
    bool is_kept = false;         // it stands in the session's queue in the store
    std::uint16_t packet_id = 0;  // with this number beside it; 0: none
};

/// What becomes of a row of the session's queue in the store, or of a number in use.
struct QueueEffect {
    enum class Kind : std::uint8_t {
        number,          // it is sent under `packet_id`, once that is written down
        erase,           // it was acknowledged, or nobody will have it; with `packet_id`, if any
        release,         // PUBREC: the number stays in use
        end_release,     // PUBCOMP
        erase_incoming,  // PUBREL
    };
    Kind kind = Kind::erase;
    mqtt::QoS qos = mqtt::QoS::at_least_once;
    std::uint16_t packet_id = 0;
    StoredMessageId message = 0;
};

/// A will in the store that nobody is to have.
struct ForgetWillEffect {
    StoredWillId will;
};

/// AUTH came: the shard, which knows the exchange, goes on with it.
/// Lifetime  `method` and `data` borrow the packet.
struct AuthenticateEffect {
    mqtt::ReasonCode reason = mqtt::ReasonCode::success;
    std::string_view method;
    ByteView data;
};

using Effect = std::variant<RouteEffect, SubscribeEffect, UnsubscribeEffect, RedispatchEffect,
                            QueueEffect, ForgetWillEffect, AuthenticateEffect>;
static_assert(std::is_trivially_destructible_v<Effect>);

/// A packet has one effect nearly always: the first two go to no allocator.
class EffectList {
public:
    EffectList() noexcept {}  // the room is left as it is
    EffectList(const EffectList&) = delete;
    EffectList& operator=(const EffectList&) = delete;

    template <class Kind>
    void add(memory::Arena& memory, const Kind& effect) {
        if (size_ < here_max) {
            new (&here_.room[size_]) Effect(effect);
        } else {
            more_.push_back(memory, Effect(effect));
        }
        ++size_;
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] const Effect& operator[](std::size_t i) const noexcept {
        return i < here_max ? here_.room[i] : more_[i - here_max];
    }
    void clear() noexcept {
        size_ = 0;
        more_.clear();
    }

private:
    static constexpr std::size_t here_max = 2;
    union Room {
        Room() noexcept {}
        Effect room[here_max];
    };
    Room here_;
    std::size_t size_ = 0;
    memory::ArenaVector<Effect> more_;
};

/// What one call of a session brings about. In a fault zone it is written like everything there,
/// and read when the zone is left; after a fault nobody reads it.
///
/// Lifetime  until its end; what it names in the arena goes with it, so the youngest goes first.
class Effects {
public:
    explicit Effects(memory::Arena& turn_memory) noexcept
        : memory{turn_memory}, scope_{turn_memory} {}

    memory::Arena& memory;
    /// Packets for the session's own connection, encoded, in order.
    memory::ArenaVector<std::uint8_t> out;
    std::uint32_t packets = 0;  // in `out`
    EffectList list;
    /// Scratch for the encoded properties of the PUBLISH at hand; a RouteEffect borrows it.
    memory::ArenaVector<std::uint8_t> properties;

    template <class Kind>
    void add(const Kind& effect) {
        list.add(memory, effect);
    }

private:
    memory::ArenaScope scope_;
};

}  // namespace mitu::broker
