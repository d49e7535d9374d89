#pragma once
// TenantBytes: what the messages of each tenant take in one shard's memory, within its quota.

#include <cstdint>
#include <vector>

#include "mitu/admission/limit.hpp"
#include "mitu/admission/quota_ledger.hpp"
#include "mitu/base/strong_id.hpp"

namespace mitu::broker {

/// Takes portions from the ledger, and counts in plain numbers within them. A message counts once
/// for each shard that holds it, however many clients wait for it.
///
/// Threading  shard-local.
/// Cost       an addition and a comparison; without a ledger not even that.
class TenantBytes {
public:
    /// `ledger` null: nothing is counted.
    TenantBytes(admission::QuotaLedger* ledger, std::uint32_t shards) noexcept
        : ledger_{ledger}, shards_{shards} {}

    /// False: the tenant has no room, or the server has none that is not reserved for others.
    [[nodiscard]] bool try_add(TenantId tenant, std::uint64_t bytes) {
        if (ledger_ == nullptr) return true;
        if (tenant.value >= held_.size()) held_.resize(std::size_t{tenant.value} + 1);
        Held& held = held_[tenant.value];
        if (held.stored + bytes > held.granted) [[unlikely]] {
            if (!grow(tenant, held, bytes)) return false;
        }
        held.stored += bytes;
        return true;
    }
    void subtract(TenantId tenant, std::uint64_t bytes) noexcept {
        if (ledger_ == nullptr) return;
        Held& held = held_[tenant.value];
        held.stored -= bytes;
        if (held.stored == 0 || held.granted - held.stored > held.idle_max) [[unlikely]] {
            shrink(tenant, held);
        }
    }
    /// Of this shard.
    [[nodiscard]] std::uint64_t stored(TenantId tenant) const noexcept {
        return tenant.value < held_.size() ? held_[tenant.value].stored : 0;
    }
    /// Whose bound try_add() has met last.
    [[nodiscard]] admission::Scope refused_by() const noexcept { return refused_by_; }

private:
    struct Held {
        std::uint64_t stored = 0;
        std::uint64_t granted = 0;
        std::uint64_t idle_max = 0;  // beyond it the rest goes back
    };

    [[nodiscard]] bool grow(TenantId tenant, Held& held, std::uint64_t bytes);
    void shrink(TenantId tenant, Held& held) noexcept;

    admission::QuotaLedger* ledger_;
    std::uint32_t shards_;
    std::vector<Held> held_;  // by tenant
    admission::Scope refused_by_ = admission::Scope::tenant;
};

}  // namespace mitu::broker
