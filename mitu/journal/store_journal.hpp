#pragma once
// StoreJournal: a shard's journal in the store. What it puts down goes into one batch a turn; the
// committer says how far that has come; the reader brings queues back.

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/strong_id.hpp"
#include "mitu/broker/journal.hpp"
#include "mitu/ports/clock.hpp"
#include "mitu/store/batch.hpp"
#include "mitu/store/committer.hpp"
#include "mitu/store/reader.hpp"

namespace mitu::journal {

/// What a tenant is called in the store, and what an acknowledgement means to it.
struct TenantTerms {
    std::string name;
    broker::Durability durability = broker::Durability::sync;
};

/// What the journals of one run share. Immutable while shards run, but for what is atomic itself.
struct JournalTerms {
    std::vector<TenantTerms> tenants;  // by TenantId
    std::uint32_t generation = 1;      // of this run: no id is given twice
    /// Messages written down from now on have numbers above all that were.
    std::uint64_t first_microsecond = 0;
    std::uint64_t batch_bytes_max = 4u << 20;  // above it publishers wait

    [[nodiscard]] const TenantTerms& of(TenantId tenant) const noexcept {
        static const TenantTerms nobody{"", broker::Durability::none};
        return tenant.value < tenants.size() ? tenants[tenant.value] : nobody;
    }
};

/// A message's number: microseconds, the shard, and whether several queues share its content.
/// Shape  55 bits of time (a thousand years), 8 of shard, 1.
struct MessageNumber {
    static constexpr std::uint64_t step = 1u << 9;
    [[nodiscard]] static constexpr bool is_shared(broker::StoredMessageId id) noexcept {
        return (id & 1) != 0;
    }
};

/// Where QoS 2 numbers stand whose PUBREC has come: no message has so low a number.
[[nodiscard]] constexpr store::Position position_of_released(std::uint16_t packet_id) noexcept {
    return packet_id;
}

/// A connected session's record has this for `extra`.
inline constexpr std::array<std::uint8_t, 1> connected_mark{1};

/// Lifetime  borrows the record. Tenant, number and expiry are the caller's to add.
[[nodiscard]] broker::MessageView view_of(const store::MessageRecord& record) noexcept;

/// All but tenant and name. `last_seen`: of who is not connected.
[[nodiscard]] broker::KeptSession kept_session(const store::SessionRecord& record,
                                               Instant last_seen) noexcept;

/// A row of wills that is not a mark. Nullopt: it is damaged.
/// Lifetime  borrows both.
[[nodiscard]] std::optional<broker::KeptWill> kept_will(ByteView key,
                                                        const store::WillRecord& record,
                                                        TenantId tenant) noexcept;

/// Threading  its shard's.
/// Lifetime   everything that it is given outlives it.
class StoreJournal final : public broker::Journal {
public:
    StoreJournal(ShardId shard, const JournalTerms& terms, store::Committer& committer,
                 store::Reader& reader, const ports::Clock& clock);

    [[nodiscard]] broker::Durability durability(TenantId tenant) const noexcept override {
        return terms_.of(tenant).durability;
    }
    [[nodiscard]] bool accepts() const noexcept override { return committer_.accepts_growth(); }
    [[nodiscard]] bool has_room() const noexcept override {
        return batch_.size_bytes() < terms_.batch_bytes_max && committer_.may_submit(shard_);
    }
    [[nodiscard]] broker::StoredSessionId next_session() override;
    [[nodiscard]] broker::StoredWillId next_will(broker::StoredSessionId session) override;
    [[nodiscard]] broker::StoredMessageId next_message(bool is_shared) override;

    void put_session(const broker::KeptSession& session) override;
    void erase_session(broker::StoredSessionId session, TenantId tenant,
                       std::string_view client_id) override;
    void put_subscription(broker::StoredSessionId session,
                          const broker::KeptSubscription& entry) override;
    void erase_subscription(broker::StoredSessionId session, std::string_view filter,
                            std::string_view group) override;
    void put_will(const broker::KeptWill& will) override;
    void put_will_due(const broker::StoredWillId& will) override;
    void erase_will(const broker::StoredWillId& will) override;
    void put_message(const broker::MessageView& message, std::uint32_t rows) override;
    void put_row(broker::StoredSessionId session, const broker::MessageView& message,
                 const broker::QueueRow& row) override;
    void number_row(broker::StoredSessionId session, broker::StoredMessageId message,
                    std::uint16_t packet_id) override;
    void erase_row(broker::StoredSessionId session, broker::StoredMessageId message,
                   bool has_number) override;
    void release_row(broker::StoredSessionId session, broker::StoredMessageId message,
                     std::uint16_t packet_id) override;
    void erase_released(broker::StoredSessionId session, std::uint16_t packet_id) override;
    void put_incoming(broker::StoredSessionId session, std::uint16_t packet_id) override;
    void erase_incoming(broker::StoredSessionId session, std::uint16_t packet_id) override;
    void put_retained(const broker::MessageView& message) override;
    void erase_retained(TenantId tenant, std::string_view topic) override;

    [[nodiscard]] Batch current() const noexcept override { return submitted_ + 1; }
    [[nodiscard]] bool has_put() const noexcept override {
        return !batch_.is_empty() && committer_.may_submit(shard_);
    }
    void hand_over(bool sync) override;
    [[nodiscard]] Progress progress() const noexcept override;

    void read_queue(broker::StoredSessionId session, broker::StoredMessageId after,
                    std::uint32_t messages_max, std::uint32_t bytes_max,
                    std::uint32_t ticket) override;
    [[nodiscard]] const broker::QueueChunk* take_chunk() override;
    [[nodiscard]] bool has_chunk() const noexcept override;
    void count_queue(broker::StoredSessionId session, std::uint32_t messages_max,
                     std::uint64_t bytes_max, std::uint32_t ticket) override;
    [[nodiscard]] std::optional<broker::QueueCount> take_count() override;
    void recall(broker::StoredSessionId session, TenantId tenant, std::string_view client_id,
                std::uint32_t ticket) override;
    [[nodiscard]] const broker::RecalledSession* take_recalled() override;

private:
    /// A question that is not yet answered in full.
    struct Reading {
        broker::StoredSessionId session = 0;
        broker::StoredMessageId after = 0;
        std::uint32_t messages_max = 0;
        std::uint32_t bytes_max = 0;
        bool has_flights = false;
        std::vector<std::pair<store::Position, std::uint16_t>> numbers{};  // by position
        std::vector<std::uint16_t> released{};
    };

    // store_count.cpp
    struct Counting {
        broker::QueueCount count;
        std::uint32_t messages_max = 0;
        std::uint64_t bytes_max = 0;
    };
    void ask_to_count(std::uint32_t ticket, store::Range from);
    /// False: the chunk answers no such question.
    [[nodiscard]] bool take_counted();

    // store_recall.cpp
    struct Recall {
        broker::StoredSessionId session = 0;
        TenantId tenant;
        std::string client_id{};  // empty: it is being looked for
    };
    /// An answer, and what it borrows.
    struct Recalled {
        store::Chunk rows;
        std::string client_id;
        std::vector<std::string_view> filters;
        std::vector<std::uint16_t> incoming;
        broker::RecalledSession view;
    };
    void look_for_name(std::uint32_t ticket, store::Range from);
    void ask_for_rows(std::uint32_t ticket, const Recall& recall);
    /// False: the chunk answers no such question.
    [[nodiscard]] bool take_recall();
    void find_name(std::uint32_t ticket, Recall& recall);
    void take_rows(Recalled& recalled);
    void answer_recall(std::uint32_t ticket, broker::RecalledSession::Outcome outcome,
                       std::unique_ptr<Recalled> recalled = nullptr);

    [[nodiscard]] WallTime wall_of(Instant at) const noexcept;
    [[nodiscard]] Instant instant_of(WallTime at) const noexcept;
    /// Lifetime  borrows the message, and `key`, which it fills.
    [[nodiscard]] store::MessageRecord record_of(const broker::MessageView& message,
                                                 std::string& key) const;
    void ask(store::ReadRequest&& request);
    /// False: they could not be read.
    [[nodiscard]] bool take_flights(std::uint32_t ticket, Reading& reading);
    void make_chunk(std::uint32_t ticket, const Reading& reading);
    void take_out_what_is_not_there(const Reading& reading);
    void keep_lone_number(broker::StoredSessionId session, store::Position position,
                          std::uint16_t packet_id);

    ShardId shard_;
    const JournalTerms& terms_;
    store::Committer& committer_;
    store::Reader& reader_;
    const ports::Clock& clock_;
    store::IdMint ids_;
    std::uint64_t last_message_us_ = 0;
    std::uint64_t marked_us_ = 0;  // the mark in the store is not below it
    store::Batch batch_;
    store::Ticket submitted_ = 0;
    mutable store::Ticket done_ = 0;
    mutable std::vector<store::CommitReport> reports_;

    std::deque<store::ReadRequest> unasked_;      // the reader had no room
    std::map<std::uint32_t, Reading> reading_;    // by ticket
    std::map<std::uint32_t, Counting> counting_;  // by ticket
    std::deque<broker::QueueCount> counted_;
    std::map<std::uint32_t, Recall> recalls_;  // by ticket
    std::deque<std::unique_ptr<Recalled>> recalled_;
    std::unique_ptr<Recalled> recalled_now_;  // that was taken last
    std::vector<store::Chunk> chunks_;
    std::size_t chunk_at_ = 0;
    store::Chunk chunk_;  // what chunk_view_ borrows
    broker::QueueChunk chunk_view_;
    std::vector<broker::QueuedMessage> messages_;
    std::vector<std::vector<std::uint32_t>> identifiers_;
};

}  // namespace mitu::journal
