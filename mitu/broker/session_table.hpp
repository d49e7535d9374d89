#pragma once
// SessionTable: the sessions of one shard, by number and by (tenant, client id).

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string_view>
#include <vector>

#include "mitu/base/hash.hpp"
#include "mitu/broker/index_table.hpp"
#include "mitu/broker/session.hpp"

namespace mitu::broker {

/// Owns the sessions, in chunks that never move; others hold SessionRef. Beside each session stand
/// the shard's own notes about it.
/// Threading  shard-local.
/// Lifetime   a Session& is good until erase().
/// Cost       some 90 bytes of notes beside each session, and 10 to 13 to find it by name.
class SessionTable {
public:
    SessionTable(SessionContext& context, ShardId shard) : context_{context}, shard_{shard} {}
    ~SessionTable() = default;
    SessionTable(const SessionTable&) = delete;
    SessionTable& operator=(const SessionTable&) = delete;

    [[nodiscard]] Session* find(TenantId tenant, std::string_view client_id) noexcept {
        const std::uint32_t index =
            by_name_.find(hash_of(tenant, client_id), [&](std::uint32_t candidate) {
                Slot& found = slot(candidate);
                if (found.is_broken) return false;
                const Session& session = *found.session();
                return session.tenant() == tenant && session.client_id() == client_id;
            });
        return index == none ? nullptr : slot(index).session();
    }
    /// Null for a stale or foreign reference, and for a session that has broken.
    [[nodiscard]] Session* get(std::uint32_t index, std::uint32_t generation) noexcept {
        Slot* const found = find_slot(index, generation);
        return found != nullptr && !found->is_broken ? found->session() : nullptr;
    }
    [[nodiscard]] Session* get(const SessionRef& ref) noexcept {
        return ref.shard == shard_ ? get(ref.index, ref.generation) : nullptr;
    }
    /// Of a session that is here, broken or not.
    [[nodiscard]] SessionNotes& notes(const SessionRef& ref) noexcept {
        Slot* const found = find_slot(ref.index, ref.generation);
        MITU_CHECK(found != nullptr && ref.shard == shard_);
        return found->notes;
    }

    /// hash_bytes(client id, tenant): its name, for whoever knows all the names.
    [[nodiscard]] std::uint64_t name_hash(const SessionRef& ref) noexcept {
        const Slot* const found = find_slot(ref.index, ref.generation);
        MITU_CHECK(found != nullptr);
        return found->name_hash;
    }

    /// Takes over one session of the tenant's quota, which erase() gives back.
    /// Errors  null: there is no memory for its name.
    [[nodiscard]] Session* create(TenantId tenant, std::string_view client_id) {
        const std::uint32_t index = take_slot();
        Slot& taken = slot(index);
        const std::uint32_t generation =
            taken.generation == generation_max ? 1 : taken.generation + 1;
        ::new (static_cast<void*>(&taken.notes)) SessionNotes{};
        auto* const session = ::new (static_cast<void*>(taken.memory)) Session(
            context_, taken.notes, SessionRef{index, generation, shard_}, tenant, client_id);
        taken.generation = generation;
        taken.is_used = true;
        taken.is_broken = false;
        taken.notes.tenant = tenant;
        taken.name_hash = hash_of(tenant, client_id);
        by_name_.insert(taken.name_hash, index);
        context_.counters.sessions.add();
        if (session->has_name()) return session;
        erase(session->self());
        return nullptr;
    }

    /// From now on nobody finds it: what it says about itself is not to be believed any more.
    void set_broken(const SessionRef& ref) noexcept {
        Slot* const found = find_slot(ref.index, ref.generation);
        MITU_CHECK(found != nullptr);
        found->is_broken = true;
    }
    /// The session that get() does not give any more.
    [[nodiscard]] Session& broken(const SessionRef& ref) noexcept {
        Slot* const found = find_slot(ref.index, ref.generation);
        MITU_CHECK(found != nullptr && found->is_broken);
        return *found->session();
    }

    /// Whether there is one, broken or not.
    [[nodiscard]] bool has(const SessionRef& ref) noexcept {
        return ref.shard == shard_ && find_slot(ref.index, ref.generation) != nullptr;
    }
    /// All that a broken session had in memory goes back, unread. It keeps its place, name and
    /// reference, and what the shard notes of it that has nothing to do with a connection.
    void empty(const SessionRef& ref) noexcept {
        Slot* const found = find_slot(ref.index, ref.generation);
        MITU_CHECK(found != nullptr && found->is_broken);
        context_.memory.give_back_all(found->notes.memory);
        found->notes.memory = {};
        found->notes.timer_at = Instant::never();
        ++found->notes.lives;
    }
    /// Another session in the place of one that is broken and was emptied.
    /// Errors  null: there is no memory for its name, and it stays broken.
    [[nodiscard]] Session* renew(const SessionRef& ref, std::string_view client_id) {
        Slot* const found = find_slot(ref.index, ref.generation);
        MITU_CHECK(found != nullptr && found->is_broken);
        SessionNotes& notes = found->notes;
        auto* const session = ::new (static_cast<void*>(found->memory))
            Session(context_, notes, ref, notes.tenant, client_id);
        if (!session->has_name()) return nullptr;
        found->is_broken = false;
        return session;
    }

    /// By value: the caller's reference is often the session's own. All of its memory goes back; of
    /// what it says itself nothing is read.
    void erase(SessionRef ref) {
        Slot* const found = find_slot(ref.index, ref.generation);
        MITU_CHECK(found != nullptr);
        Slot& gone = *found;
        by_name_.erase(gone.name_hash, ref.index);
        context_.memory.give_back_all(gone.notes.memory);
        if (context_.ledger != nullptr) {
            using admission::Quota;
            context_.ledger->give_back(gone.notes.tenant, Quota::sessions);
            context_.ledger->give_back(gone.notes.tenant, Quota::subscriptions,
                                       gone.notes.subscriptions_taken);
        }
        std::destroy_at(&gone.notes);
        gone.is_used = false;
        context_.counters.sessions.subtract();
        std::memcpy(gone.memory, &free_, sizeof(free_));
        free_ = ref.index;
    }

    [[nodiscard]] std::size_t size() const noexcept { return by_name_.size(); }

    /// But for those that have broken.
    template <class Visit>
    void for_each(Visit visit) {
        for (std::uint32_t i = 0; i < slot_count_; ++i) {
            if (slot(i).is_used && !slot(i).is_broken) visit(*slot(i).session());
        }
    }

    /// The same for `slots_max` places from `begin` on, until visit() says false; returns where to
    /// go on, nullopt at the end. A session keeps its place as long as it is there, so that a walk
    /// in pieces sees each that was there all the time exactly once.
    template <class Visit>
    [[nodiscard]] std::optional<std::uint32_t> visit_from(std::uint32_t begin,
                                                          std::uint32_t slots_max, Visit visit) {
        std::uint32_t i = begin;
        for (; i < slot_count_ && i - begin < slots_max; ++i) {
            if (!slot(i).is_used || slot(i).is_broken) continue;
            if (!visit(*slot(i).session())) break;
        }
        if (i >= slot_count_) return std::nullopt;
        return i;
    }

private:
    static constexpr std::uint32_t none = IndexTable::none;
    static constexpr std::uint32_t generation_max = 0xFFFF'FFFF;
    static constexpr std::uint32_t chunk_log2 = 6;
    static constexpr std::uint32_t chunk_slots = 1u << chunk_log2;

    /// Room for a session. A free one holds the next free index.
    struct Slot {
        Slot() noexcept {}
        ~Slot() {
            if (is_used) std::destroy_at(&notes);
        }
        Slot(const Slot&) = delete;
        Slot& operator=(const Slot&) = delete;

        alignas(Session) std::byte memory[sizeof(Session)];
        union {
            SessionNotes notes;  // while it is used
        };
        std::uint64_t name_hash;
        std::uint32_t generation = 0;
        bool is_used = false;
        bool is_broken = false;
        [[nodiscard]] Session* session() noexcept {
            return std::launder(reinterpret_cast<Session*>(memory));
        }
    };

    [[nodiscard]] Slot& slot(std::uint32_t index) noexcept {
        return chunks_[index >> chunk_log2][index & (chunk_slots - 1)];
    }
    [[nodiscard]] Slot* find_slot(std::uint32_t index, std::uint32_t generation) noexcept {
        if (index >= slot_count_) return nullptr;
        Slot& found = slot(index);
        return found.is_used && found.generation == generation ? &found : nullptr;
    }

    [[nodiscard]] static std::uint64_t hash_of(TenantId tenant,
                                               std::string_view client_id) noexcept {
        return hash_bytes(client_id, tenant.value);
    }

    [[nodiscard]] std::uint32_t take_slot() {
        const std::uint32_t index = free_;
        if (index != none) {
            std::memcpy(&free_, slot(index).memory, sizeof(free_));
            return index;
        }
        if (slot_count_ == chunks_.size() * chunk_slots) {
            chunks_.push_back(std::make_unique_for_overwrite<Slot[]>(chunk_slots));
        }
        return slot_count_++;
    }

    SessionContext& context_;
    ShardId shard_;
    std::vector<std::unique_ptr<Slot[]>> chunks_;
    std::uint32_t slot_count_ = 0;
    std::uint32_t free_ = none;  // the one that became free last
    IndexTable by_name_;
};

}  // namespace mitu::broker
