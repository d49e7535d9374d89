#pragma once
// RetainedStore: the last retained message of each topic, on the topic's home shard.

#include <cstdint>
#include <string_view>

#include "mitu/admission/limit.hpp"
#include "mitu/admission/quota_ledger.hpp"
#include "mitu/broker/chunked_list.hpp"
#include "mitu/broker/journal.hpp"
#include "mitu/broker/level_tree.hpp"
#include "mitu/broker/message_store.hpp"

namespace mitu::broker {

/// Owns one reference of each message it keeps.
/// Threading  shard-local.
class RetainedStore {
public:
    /// `ledger` null: tenants have no quotas.
    RetainedStore(MessageStore& messages, std::uint32_t messages_max,
                  admission::QuotaLedger* ledger = nullptr)
        : messages_{messages}, messages_max_{messages_max}, ledger_{ledger} {}

    /// Keeps `message` as the retained one of its topic (takes a reference of its own); an empty
    /// payload removes instead [MQTT-3.3.1-6].
    /// The server's own (is_sys_topic) is taken beside messages_max and quotas.
    /// Errors  false: messages_max topics have one already, or a quota is spent; nothing changed,
    ///         and refusal() says which.
    [[nodiscard]] bool put(MessageHandle message);
    [[nodiscard]] const admission::Bound& refusal() const noexcept { return refusal_; }

    /// Calls visit(handle) for every retained message that `filter` matches and that has not
    /// expired. `visit` must not change the store.
    template <class Visit>
    void match(TenantId tenant, std::string_view filter, Instant now, Visit&& visit) const {
        tree_.match_filter(tenant, Levels{filter}, [&](const Entry& entry) {
            if (messages_.view(entry.message).expires_at > now) visit(entry.message);
        });
    }

    /// Calls visit(handle) for every retained message.
    template <class Visit>
    void for_each(Visit visit) const {
        tree_.for_each([&](const Entry& entry) { visit(entry.message); });
    }

    /// Lets go of what has expired, here and in the journal, if there is one.
    void expire(Instant now, Journal* journal = nullptr);
    /// When expire() has something to do next, or earlier.
    [[nodiscard]] Instant next_deadline() const noexcept {
        return expiries_.empty() ? Instant::never() : expiries_.front().at;
    }
    [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
    /// At most a small multiple of count().
    [[nodiscard]] std::size_t note_count() const noexcept { return expiries_.size(); }

    /// Lets go of the topic's message. False: it has none.
    bool erase(TenantId tenant, std::string_view topic);

private:
    friend class ShardInspector;
    struct Entry {
        MessageHandle message;
        [[nodiscard]] bool empty() const noexcept { return message.is_none(); }
    };
    using Tree = LevelTree<Entry, TreeOf::topics>;
    /// A note that a node may hold something expired; it may be outdated.
    struct Expiry {
        Instant at;
        std::uint32_t node = 0;
        auto operator<=>(const Expiry&) const noexcept = default;
    };

    void remove(std::uint32_t node);
    [[nodiscard]] bool try_take(TenantId tenant, bool is_new, std::uint64_t bytes_before,
                                std::uint64_t bytes);
    void note_expiry(const Expiry& expiry);

    MessageStore& messages_;
    std::uint32_t messages_max_;
    admission::QuotaLedger* ledger_;
    admission::Bound refusal_{admission::Limit::retained_messages, admission::Scope::server};
    std::uint32_t count_ = 0;
    std::uint32_t free_count_ = 0;  // of them the server's own, which no bound is about
    Tree tree_;
    ChunkedList<Expiry> expiries_;  // a heap, the earliest first
};

}  // namespace mitu::broker
