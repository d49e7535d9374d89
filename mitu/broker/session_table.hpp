#pragma once
// SessionTable: the sessions of one shard, by number and by (tenant, client id).

#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mitu/base/hash.hpp"
#include "mitu/broker/session.hpp"

namespace mitu::broker {

/// Owns the sessions; others hold SessionRef.
/// Threading  shard-local.
class SessionTable {
public:
    SessionTable(SessionContext& context, ShardId shard) : context_{context}, shard_{shard} {}

    [[nodiscard]] Session* find(TenantId tenant, std::string_view client_id) noexcept {
        const auto it = by_name_.find(Name{tenant, client_id});
        return it == by_name_.end() ? nullptr : slots_[it->second].session.get();
    }
    /// Null for a stale or foreign reference.
    [[nodiscard]] Session* get(std::uint32_t index, std::uint32_t generation) noexcept {
        if (index >= slots_.size() || slots_[index].generation != generation) return nullptr;
        return slots_[index].session.get();
    }
    [[nodiscard]] Session* get(const SessionRef& ref) noexcept {
        return ref.shard == shard_ ? get(ref.index, ref.generation) : nullptr;
    }

    Session& create(TenantId tenant, std::string_view client_id) {
        std::uint32_t index = 0;
        if (free_.empty()) {
            index = static_cast<std::uint32_t>(slots_.size());
            slots_.emplace_back();
        } else {
            index = free_.back();
            free_.pop_back();
        }
        Slot& slot = slots_[index];
        if (++slot.generation == 0) slot.generation = 1;
        slot.session = std::make_unique<Session>(
            context_, SessionRef{index, slot.generation, shard_}, tenant, std::string{client_id});
        by_name_.emplace(Name{tenant, slot.session->client_id()}, index);
        return *slot.session;
    }

    /// By value: the caller's reference is often the session's own.
    void erase(SessionRef ref) {
        Slot& slot = slots_[ref.index];
        by_name_.erase(Name{slot.session->tenant(), slot.session->client_id()});
        slot.session.reset();
        free_.push_back(ref.index);
    }

    [[nodiscard]] std::size_t size() const noexcept { return by_name_.size(); }

    template <class Visit>
    void for_each(Visit visit) {
        for (auto& slot : slots_) {
            if (slot.session) visit(*slot.session);
        }
    }

private:
    struct Slot {
        std::unique_ptr<Session> session;
        std::uint32_t generation = 0;
    };
    struct Name {
        TenantId tenant;
        std::string_view client_id;  // borrows the session's own text
        bool operator==(const Name&) const noexcept = default;
    };
    struct NameHash {
        std::size_t operator()(const Name& name) const noexcept {
            return hash_bytes(name.client_id, name.tenant.value);
        }
    };

    SessionContext& context_;
    ShardId shard_;
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> free_;
    std::unordered_map<Name, std::uint32_t, NameHash> by_name_;
};

}  // namespace mitu::broker
