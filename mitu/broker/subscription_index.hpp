#pragma once
// SubscriptionIndex: which sessions get a message, on the topic's home shard.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mitu/base/strong_id.hpp"
#include "mitu/broker/chunked_list.hpp"
#include "mitu/broker/level_tree.hpp"
#include "mitu/broker/message_store.hpp"
#include "mitu/mqtt/packet.hpp"

namespace mitu::broker {

/// One subscription as the home shard knows it.
struct Subscriber {
    SessionRef session;
    mqtt::QoS qos = mqtt::QoS::at_most_once;
    bool no_local = false;
    bool retain_as_published = false;
    std::uint32_t subscription_identifier = 0;  // 0: none
    StoredSessionId kept = 0;                   // in the store; 0: its messages are not kept
};

/// So many members of a shared subscription are asked before one has to take the message.
inline constexpr std::uint32_t share_attempts_max = 16;

/// More overlapping subscriptions with identifiers than this name only so many in one PUBLISH.
inline constexpr std::uint16_t identifiers_per_recipient_max = 256;

/// One session that gets a message, with what its subscriptions say together.
struct Recipient {
    SessionRef session;
    mqtt::QoS qos = mqtt::QoS::at_most_once;  // the highest of its matching subscriptions
    bool retain_as_published = false;
    std::uint16_t identifier_count = 0;
    std::uint32_t identifier_begin = 0;  // into Matches::identifiers
    std::uint32_t share_serial = 0;      // not 0: as the chosen member of this shared subscription
    StoredSessionId kept = 0;
};

/// Reused from message to message, and as it is if the next message asks the same: publishers send
/// many to one topic, one behind the other.
struct Matches {
    std::vector<Recipient> recipients;
    std::vector<std::uint32_t> identifiers;

    // What it is the answer to.
    std::uint64_t version = 0;  // of the index; 0: nothing
    TenantId tenant;
    SessionRef publisher;
    std::string topic{};

    void clear() noexcept {
        recipients.clear();
        identifiers.clear();
        version = 0;
    }
};

/// Threading  shard-local.
/// Order      recipients come ordered by (shard, session), shared ones last.
/// Cost       a filter with one subscriber takes an entry of 32 bytes beside its nodes.
class SubscriptionIndex {
public:
    SubscriptionIndex() = default;
    ~SubscriptionIndex();
    SubscriptionIndex(const SubscriptionIndex&) = delete;
    SubscriptionIndex& operator=(const SubscriptionIndex&) = delete;

    /// Adds or replaces. `group` empty: not shared. True: it was new.
    bool add(TenantId tenant, std::string_view filter, std::string_view group,
             const Subscriber& subscriber);
    /// True: it was there.
    bool remove(TenantId tenant, std::string_view filter, std::string_view group,
                const SessionRef& session);

    /// Removes all that these sessions have, for when nobody knows any more what that is.
    /// Shape  how many there were.
    /// Cost   every filter in the index.
    std::size_t remove_sessions(std::span<const SessionRef> sessions);

    /// Who gets a message to `topic`: each session once, each shared subscription one member.
    /// `publisher` is left out where No Local says so [MQTT-3.8.3-3].
    /// Cost       nothing, if `matches` holds the answer to the same question, and no member of a
    ///            shared subscription is to be chosen.
    void match(TenantId tenant, std::string_view topic, const SessionRef& publisher,
               Matches& matches);

    /// The next member of a shared subscription: in turn, or the one behind `refused`, who could
    /// not take a message, so that all are asked whatever goes on beside; nullopt: no member is
    /// left, or enough have been asked (share_attempts_max, or all).
    [[nodiscard]] std::optional<Recipient> next_member(std::uint32_t share_serial,
                                                       std::uint32_t attempts,
                                                       const SessionRef& refused, Matches& matches);

    [[nodiscard]] std::size_t subscription_count() const noexcept { return subscription_count_; }

private:
    friend class ShardInspector;
    /// A Subscriber in 24 bytes.
    struct Packed {
        Packed() = default;
        explicit Packed(const Subscriber& s) noexcept;
        [[nodiscard]] SessionRef session() const noexcept {
            return {index, generation, ShardId{shard}};
        }
        std::uint32_t index = 0;
        std::uint32_t generation = 0;
        std::uint32_t identifier = 0;
        std::uint16_t shard = 0;
        std::uint8_t qos : 2 = 0;
        std::uint8_t no_local : 1 = 0;
        std::uint8_t retain_as_published : 1 = 0;
        std::uint8_t spare = 0;
        StoredSessionId kept = 0;
    };
    static_assert(sizeof(Packed) == 24);

    struct Group {
        std::string name;
        std::vector<Packed> members;  // in the order in which they joined
        std::uint32_t next = 0;
        std::uint32_t serial = 0;
    };
    /// What a filter with more than one plain subscriber has.
    struct Crowd {
        std::vector<Packed> subscribers;  // ordered by session
        std::vector<std::unique_ptr<Group>> groups;
    };
    /// The subscribers of one filter. Most have one: it stands in the entry itself, and the crowd
    /// comes when a second one or a group does.
    struct Entry {
        Packed only;             // generation 0: none; free: index is the next free entry
        Crowd* crowd = nullptr;  // owned
        [[nodiscard]] std::span<const Packed> subscribers() const noexcept;
    };
    static constexpr std::uint32_t no_entry = 0xFFFF'FFFF;
    /// What a node of the tree holds.
    struct Payload {
        std::uint32_t entry = no_entry;
        [[nodiscard]] bool empty() const noexcept { return entry == no_entry; }
    };
    using Tree = LevelTree<Payload, TreeOf::filters>;

    [[nodiscard]] std::uint32_t take_entry();
    void free_entry(std::uint32_t index) noexcept;
    [[nodiscard]] static Crowd& crowd_of(Entry& entry);
    [[nodiscard]] static bool add_plain(Entry& entry, const Packed& subscriber);
    [[nodiscard]] bool add_member(Entry& entry, std::string_view group, const Packed& subscriber);
    [[nodiscard]] static bool remove_plain(Entry& entry, const SessionRef& session);
    [[nodiscard]] bool remove_member(Entry& entry, std::string_view group,
                                     const SessionRef& session);
    void forget_if_empty(Tree::NodeIndex node);
    [[nodiscard]] static Recipient recipient(const Packed& subscriber, Matches& matches);
    static void merge(Matches& matches);

    Tree tree_;
    ChunkedList<Entry> entries_;
    std::uint32_t free_entry_ = no_entry;
    std::unordered_map<std::uint32_t, Group*> groups_by_serial_;
    std::uint32_t next_serial_ = 1;
    std::size_t subscription_count_ = 0;
    std::uint64_t version_ = 1;  // grows with every change
};

}  // namespace mitu::broker
