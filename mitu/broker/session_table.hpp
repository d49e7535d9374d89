#pragma once
// SessionTable: the sessions of one shard, by number and by (tenant, client id).

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <vector>

#include "mitu/base/hash.hpp"
#include "mitu/broker/index_table.hpp"
#include "mitu/broker/session.hpp"

namespace mitu::broker {

/// Owns the sessions, in chunks that never move; others hold SessionRef.
/// Threading  shard-local.
/// Lifetime   a Session& is good until erase().
/// Cost       8 bytes beside each session, and 10 to 13 to find it by name.
class SessionTable {
public:
    SessionTable(SessionContext& context, ShardId shard) : context_{context}, shard_{shard} {}
    ~SessionTable() {
        for_each([](Session& session) { std::destroy_at(&session); });
    }
    SessionTable(const SessionTable&) = delete;
    SessionTable& operator=(const SessionTable&) = delete;

    [[nodiscard]] Session* find(TenantId tenant, std::string_view client_id) noexcept {
        const std::uint32_t index =
            by_name_.find(hash_of(tenant, client_id), [&](std::uint32_t candidate) {
                const Session& session = *slot(candidate).session();
                return session.tenant() == tenant && session.client_id() == client_id;
            });
        return index == none ? nullptr : slot(index).session();
    }
    /// Null for a stale or foreign reference.
    [[nodiscard]] Session* get(std::uint32_t index, std::uint32_t generation) noexcept {
        if (index >= slot_count_) return nullptr;
        Slot& found = slot(index);
        return found.is_used && found.generation == generation ? found.session() : nullptr;
    }
    [[nodiscard]] Session* get(const SessionRef& ref) noexcept {
        return ref.shard == shard_ ? get(ref.index, ref.generation) : nullptr;
    }

    Session& create(TenantId tenant, std::string_view client_id) {
        const std::uint32_t index = take_slot();
        Slot& taken = slot(index);
        taken.generation = taken.generation == generation_max ? 1 : taken.generation + 1;
        taken.is_used = true;
        auto* const session = ::new (static_cast<void*>(taken.memory))
            Session(context_, SessionRef{index, taken.generation, shard_}, tenant, client_id);
        by_name_.insert(hash_of(tenant, client_id), index);
        return *session;
    }

    /// By value: the caller's reference is often the session's own.
    void erase(SessionRef ref) {
        Slot& gone = slot(ref.index);
        Session* const session = gone.session();
        by_name_.erase(hash_of(session->tenant(), session->client_id()), ref.index);
        std::destroy_at(session);
        gone.is_used = false;
        std::memcpy(gone.memory, &free_, sizeof(free_));
        free_ = ref.index;
    }

    [[nodiscard]] std::size_t size() const noexcept { return by_name_.size(); }

    template <class Visit>
    void for_each(Visit visit) {
        for (std::uint32_t i = 0; i < slot_count_; ++i) {
            if (slot(i).is_used) visit(*slot(i).session());
        }
    }

private:
    static constexpr std::uint32_t none = IndexTable::none;
    static constexpr std::uint32_t generation_max = 0xFFFF'FFFF;
    static constexpr std::uint32_t chunk_log2 = 6;
    static constexpr std::uint32_t chunk_slots = 1u << chunk_log2;

    /// Room for a session. A free one holds the next free index.
    struct Slot {
        alignas(Session) std::byte memory[sizeof(Session)];
        std::uint32_t generation;
        bool is_used;
        [[nodiscard]] Session* session() noexcept {
            return std::launder(reinterpret_cast<Session*>(memory));
        }
    };

    [[nodiscard]] Slot& slot(std::uint32_t index) noexcept {
        return chunks_[index >> chunk_log2][index & (chunk_slots - 1)];
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
        slot(slot_count_).generation = 0;
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
