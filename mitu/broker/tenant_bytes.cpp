#include "mitu/broker/tenant_bytes.hpp"

#include <algorithm>

namespace mitu::broker {

using admission::Quota;

namespace {

// Large enough for thousands of messages between two looks at the ledger.
constexpr std::uint64_t portion_bytes_max = 1u << 20;

}  // namespace

bool TenantBytes::grow(TenantId tenant, Held& held, std::uint64_t bytes) {
    const std::uint64_t portion =
        std::min(portion_bytes_max, ledger_->portion(tenant, Quota::message_bytes, shards_));
    const std::uint64_t missing = held.stored + bytes - held.granted;
    if (!ledger_->try_take(tenant, Quota::message_bytes, missing + portion)) {
        held.granted += missing + portion;
        held.idle_max = 2 * portion;
        return true;
    }
    // Near the bound: exactly what is needed.
    if (const auto refused = ledger_->try_take(tenant, Quota::message_bytes, missing)) {
        refused_by_ = *refused;
        ledger_->tenant(tenant).count_refusal(admission::Limit::message_bytes);
        return false;
    }
    held.granted += missing;
    held.idle_max = 0;
    return true;
}

void TenantBytes::shrink(TenantId tenant, Held& held) noexcept {
    // With something stored, half of what may lie idle stays for the next message.
    const std::uint64_t kept = held.stored == 0 ? 0 : held.idle_max / 2;
    const std::uint64_t idle = held.granted - held.stored;
    if (idle <= kept) return;
    ledger_->give_back(tenant, Quota::message_bytes, idle - kept);
    held.granted -= idle - kept;
}

}  // namespace mitu::broker
