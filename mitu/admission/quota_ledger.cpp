#include "mitu/admission/quota_ledger.hpp"

#include <algorithm>

namespace mitu::admission {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

std::int64_t bounded(std::uint64_t n) noexcept {
    return static_cast<std::int64_t>(std::min(n, no_maximum));
}

/// Adds as much of n as keeps the count at or under `maximum`. Returns how much that was.
std::int64_t add_up_to(std::atomic<std::int64_t>& count, std::int64_t n,
                       std::int64_t maximum) noexcept {
    std::int64_t before = count.load(relaxed);
    for (;;) {
        const std::int64_t added = std::min(n, maximum - before);
        if (added <= 0) return 0;
        if (count.compare_exchange_weak(before, before + added, relaxed)) return added;
    }
}

/// All of n, or nothing.
bool add_all(std::atomic<std::int64_t>& count, std::int64_t n, std::int64_t maximum) noexcept {
    std::int64_t before = count.load(relaxed);
    do {
        if (before > maximum - n) return false;
    } while (!count.compare_exchange_weak(before, before + n, relaxed));
    return true;
}

}  // namespace

Limit limit_of(Quota quota) noexcept {
    switch (quota) {
        case Quota::connections:
            return Limit::connections;
        case Quota::sessions:
            return Limit::sessions;
        case Quota::subscriptions:
            return Limit::subscriptions;
        case Quota::retained_messages:
            return Limit::retained_messages;
        case Quota::retained_bytes:
            return Limit::retained_bytes;
        case Quota::message_bytes:
            return Limit::message_bytes;
    }
    return Limit::memory;
}

std::uint64_t TenantAccount::used(Quota quota) const noexcept {
    const Holding& held = holdings_[static_cast<std::size_t>(quota)];
    return static_cast<std::uint64_t>(held.own.load(relaxed) + held.common.load(relaxed));
}

QuotaLedger::~QuotaLedger() {
    for (auto& chunk : chunks_) delete chunk.load(relaxed);
}

TenantAccount& QuotaLedger::tenant(TenantId id) {
    auto& place = chunks_[id.value / chunk_tenants];
    Chunk* chunk = place.load(std::memory_order_acquire);
    if (chunk == nullptr) {
        auto fresh = std::make_unique<Chunk>();
        if (place.compare_exchange_strong(chunk, fresh.get(), std::memory_order_acq_rel)) {
            chunk = fresh.release();
        }
    }
    const std::size_t at = id.value % chunk_tenants;
    if (!chunk->is_named[at].load(relaxed)) chunk->is_named[at].store(true, relaxed);
    return chunk->tenants[at];
}

// --- what is allowed ---

bool QuotaLedger::set_server(const ServerLimits& limits) {
    for (std::size_t q = 0; q < quota_count; ++q) {
        if (bounded(limits.maximum[q]) < server_[q].reserved.load(relaxed)) return false;
    }
    for (std::size_t q = 0; q < quota_count; ++q) {
        server_[q].maximum.store(bounded(limits.maximum[q]), relaxed);
    }
    connect_rate_.set_rate(limits.connect_rate);
    traffic_.messages.set_rate(limits.message_rate);
    traffic_.bytes.set_rate(limits.byte_rate);
    note_traffic_rates();
    return true;
}

void QuotaLedger::note_traffic_rates() noexcept {
    bool has_any = traffic_.is_limited();
    for (const Listener& one : listeners_) has_any |= one.traffic.is_limited();
    has_traffic_rates_.store(has_any, relaxed);
}

bool QuotaLedger::set_tenant(TenantId id, const TenantLimits& limits) {
    TenantAccount& account = tenant(id);
    std::array<std::int64_t, quota_count> reserved_by_all{};
    for (std::size_t q = 0; q < quota_count; ++q) {
        const std::int64_t others =
            server_[q].reserved.load(relaxed) - account.holdings_[q].reserved.load(relaxed);
        const std::int64_t wanted =
            std::min(bounded(limits.quotas[q].reserved), bounded(limits.quotas[q].maximum));
        if (wanted > server_[q].maximum.load(relaxed) - others) return false;
        reserved_by_all[q] = others + wanted;
    }
    for (std::size_t q = 0; q < quota_count; ++q) {
        const Allowance& allowed = limits.quotas[q];
        account.holdings_[q].maximum.store(bounded(allowed.maximum), relaxed);
        account.holdings_[q].reserved.store(
            std::min(bounded(allowed.reserved), bounded(allowed.maximum)), relaxed);
        server_[q].reserved.store(reserved_by_all[q], relaxed);
        settle(account.holdings_[q], server_[q]);
    }
    account.connect_rate_.set_rate(limits.connect_rate);
    account.message_rate_.set_rate(limits.message_rate);
    account.byte_rate_.set_rate(limits.byte_rate);
    return true;
}

/// What is held counts as reserved as far as it is, and only the rest as for all: else a place that
/// is kept for a tenant would stand empty while it holds another, or one that is kept no more would
/// be taken twice.
void QuotaLedger::settle(TenantAccount::Holding& held, Server& server) noexcept {
    const std::int64_t reserved = held.reserved.load(relaxed);
    const std::int64_t own = held.own.load(relaxed);
    if (own > reserved) {
        const std::int64_t surplus = own - reserved;
        server.common.fetch_add(surplus, relaxed);
        held.common.fetch_add(surplus, relaxed);
        held.own.fetch_sub(surplus, relaxed);
        return;
    }
    const std::int64_t wanted = std::min(reserved - own, held.common.load(relaxed));
    if (wanted <= 0) return;
    held.own.fetch_add(wanted, relaxed);
    // Other shards give back meanwhile, of what is for all first.
    std::int64_t common = held.common.load(relaxed);
    std::int64_t moved = 0;
    do {
        moved = std::clamp(common, std::int64_t{0}, wanted);
    } while (!held.common.compare_exchange_weak(common, common - moved, relaxed));
    server.common.fetch_sub(moved, relaxed);
    if (moved < wanted) held.own.fetch_sub(wanted - moved, relaxed);
}

void QuotaLedger::set_listener(std::uint16_t index, const ListenerLimits& limits) {
    Listener& changed = listener(index);
    changed.maximum.store(bounded(limits.connections_max), relaxed);
    changed.packet_bytes_max.store(limits.packet_bytes_max, relaxed);
    changed.has_doorkeeper.store(limits.has_doorkeeper, relaxed);
    changed.connect_rate.set_rate(limits.connect_rate);
    changed.traffic.messages.set_rate(limits.message_rate);
    changed.traffic.bytes.set_rate(limits.byte_rate);
    note_traffic_rates();
}

// --- what is held ---

std::optional<Scope> QuotaLedger::try_take(TenantId id, Quota quota, std::uint64_t count) {
    TenantAccount::Holding& held = holding(tenant(id), quota);
    Server& server = server_[static_cast<std::size_t>(quota)];
    const std::int64_t n = bounded(count);
    const std::int64_t reserved = held.reserved.load(relaxed);
    const std::int64_t maximum = held.maximum.load(relaxed);
    // Who had more of what is for all before something was reserved has it still: both parts
    // together stay at the maximum.
    const std::int64_t own_max = std::min(reserved, maximum - held.common.load(relaxed));
    const std::int64_t from_own = add_up_to(held.own, n, own_max);
    const std::int64_t rest = n - from_own;
    if (rest == 0) return std::nullopt;
    const auto refuse = [&](Scope scope) {
        if (from_own != 0) held.own.fetch_sub(from_own, relaxed);
        return scope;
    };
    if (held.common.load(relaxed) > maximum - reserved - rest) return refuse(Scope::tenant);
    // The tenant's own count last: what stands in it may be given back by another shard at once.
    const std::int64_t for_all = server.maximum.load(relaxed) - server.reserved.load(relaxed);
    if (!add_all(server.common, rest, for_all)) return refuse(Scope::server);
    if (!add_all(held.common, rest, maximum - reserved)) {
        server.common.fetch_sub(rest, relaxed);
        return refuse(Scope::tenant);
    }
    return std::nullopt;
}

void QuotaLedger::take(TenantId id, Quota quota, std::uint64_t count) {
    TenantAccount::Holding& held = holding(tenant(id), quota);
    const std::int64_t n = bounded(count);
    const std::int64_t rest = n - add_up_to(held.own, n, held.reserved.load(relaxed));
    server_[static_cast<std::size_t>(quota)].common.fetch_add(rest, relaxed);
    held.common.fetch_add(rest, relaxed);
}

void QuotaLedger::give_back(TenantId id, Quota quota, std::uint64_t count) noexcept {
    TenantAccount::Holding& held = holding(tenant(id), quota);
    Server& server = server_[static_cast<std::size_t>(quota)];
    std::int64_t rest = bounded(count);
    // What is for all goes back first, so that others can have it.
    std::int64_t common = held.common.load(relaxed);
    std::int64_t returned = 0;
    do {
        returned = std::clamp(common, std::int64_t{0}, rest);
        if (returned == 0) break;
    } while (!held.common.compare_exchange_weak(common, common - returned, relaxed));
    server.common.fetch_sub(returned, relaxed);
    rest -= returned;
    if (rest != 0) held.own.fetch_sub(rest, relaxed);
}

bool QuotaLedger::is_unlimited(TenantId id, Quota quota) {
    const Server& server = server_[static_cast<std::size_t>(quota)];
    return holding(tenant(id), quota).maximum.load(relaxed) == bounded(no_maximum) &&
           server.maximum.load(relaxed) == bounded(no_maximum);
}

std::uint64_t QuotaLedger::portion(TenantId id, Quota quota, std::uint32_t shards) {
    const TenantAccount::Holding& held = holding(tenant(id), quota);
    const std::int64_t reserved = held.reserved.load(relaxed);
    const std::int64_t all =
        reserved != 0 ? reserved
                      : std::min(held.maximum.load(relaxed),
                                 server_[static_cast<std::size_t>(quota)].maximum.load(relaxed));
    return static_cast<std::uint64_t>(all) / 16 / std::max(shards, 1u);
}

std::uint64_t QuotaLedger::used(Quota quota) const noexcept {
    std::uint64_t sum = 0;
    for_each_tenant([&](TenantId, const TenantAccount& account) { sum += account.used(quota); });
    return sum;
}

// --- listeners ---

bool QuotaLedger::try_take_listener(std::uint16_t index) noexcept {
    Listener& taken = listener(index);
    return add_all(taken.used, 1, taken.maximum.load(relaxed));
}

void QuotaLedger::take_listener(std::uint16_t index) noexcept {
    listener(index).used.fetch_add(1, relaxed);
}

void QuotaLedger::give_back_listener(std::uint16_t index) noexcept {
    listener(index).used.fetch_sub(1, relaxed);
}

std::uint64_t QuotaLedger::listener_connections(std::uint16_t index) const noexcept {
    return static_cast<std::uint64_t>(listener(index).used.load(relaxed));
}

bool QuotaLedger::is_listener_full(std::uint16_t index) const noexcept {
    const Listener& looked_at = listener(index);
    return looked_at.used.load(relaxed) >= looked_at.maximum.load(relaxed);
}

bool QuotaLedger::has_doorkeeper(std::uint16_t index) const noexcept {
    return listener(index).has_doorkeeper.load(relaxed);
}

std::uint32_t QuotaLedger::listener_packet_bytes_max(std::uint16_t index) const noexcept {
    return listener(index).packet_bytes_max.load(relaxed);
}

void TenantAccount::count_traffic(const TenantTraffic& more) noexcept {
    const std::array<std::uint64_t, 7> all{
        more.connects,      more.packets_received, more.packets_sent, more.messages_received,
        more.messages_sent, more.bytes_received,   more.bytes_sent};
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i] != 0) traffic_[i].fetch_add(all[i], relaxed);
    }
}

TenantTraffic TenantAccount::traffic() const noexcept {
    const auto at = [&](std::size_t i) { return traffic_[i].load(relaxed); };
    return {at(0), at(1), at(2), at(3), at(4), at(5), at(6)};
}

std::optional<std::uint64_t> QuotaLedger::value_of(const Bound& bound, TenantId whose,
                                                   std::uint16_t listener_index) {
    const auto if_set = [](std::uint64_t value, std::uint64_t none) {
        return value != none ? std::optional{value} : std::nullopt;
    };
    const auto rate = [&](const SharedBucket& bucket) { return if_set(bucket.per_second(), 0); };
    if (bound.scope == Scope::tenant) {
        TenantAccount& account = tenant(whose);
        if (bound.limit == Limit::connect_rate) return rate(account.connect_rate());
        if (bound.limit == Limit::message_rate) return rate(account.message_rate());
        if (bound.limit == Limit::byte_rate) return rate(account.byte_rate());
    }
    if (bound.scope == Scope::listener) {
        const Listener& entrance = listener(listener_index);
        if (bound.limit == Limit::connect_rate) return rate(entrance.connect_rate);
        if (bound.limit == Limit::packet_bytes) return if_set(entrance.packet_bytes_max, 0);
        if (bound.limit != Limit::connections) return std::nullopt;
        return if_set(static_cast<std::uint64_t>(entrance.maximum.load(relaxed)), no_maximum);
    }
    if (bound.scope == Scope::server && bound.limit == Limit::connect_rate) {
        return rate(connect_rate_);
    }
    for (std::size_t i = 0; i < quota_count; ++i) {
        const auto quota = static_cast<Quota>(i);
        if (limit_of(quota) != bound.limit) continue;
        if (bound.scope == Scope::tenant) return if_set(tenant(whose).maximum(quota), no_maximum);
        if (bound.scope == Scope::server) {
            return if_set(static_cast<std::uint64_t>(server_[i].maximum.load(relaxed)), no_maximum);
        }
    }
    return std::nullopt;
}

SharedBucket& QuotaLedger::listener_connect_rate(std::uint16_t index) noexcept {
    return listener(index).connect_rate;
}

}  // namespace mitu::admission
