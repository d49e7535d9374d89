#include "mitu/admission/ban_list.hpp"

#include <algorithm>

#include "mitu/base/hash.hpp"

namespace mitu::admission {

std::string_view to_text(BanKind kind) noexcept {
    switch (kind) {
        case BanKind::client:
            return "client";
        case BanKind::user:
            return "user";
        case BanKind::network:
            return "network";
    }
    return "unknown";
}

// --- looking up ---

std::uint64_t BanSnapshot::key_of(BanKind kind, TenantId tenant, std::string_view name) noexcept {
    return hash_bytes(name, (std::uint64_t{tenant.value} << 8) | static_cast<std::uint64_t>(kind));
}

std::uint64_t BanSnapshot::key_of(const IpNetwork& network) noexcept {
    const std::string_view bytes{reinterpret_cast<const char*>(network.base.data()),
                                 network.base.size()};
    return hash_bytes(bytes, 0x1'0000'0000u | network.prefix_bits);
}

std::uint64_t BanSnapshot::key_of(const BanTarget& target) noexcept {
    return target.kind == BanKind::network ? key_of(target.network)
                                           : key_of(target.kind, target.tenant, target.name);
}

template <class IsMeant>
const Ban* BanSnapshot::find(std::uint64_t key, Instant now, IsMeant is_meant) const noexcept {
    const auto& bucket = buckets_[key % bucket_count];
    if (!bucket) return nullptr;
    const auto [first, last] = bucket->equal_range(key);
    for (auto it = first; it != last; ++it) {
        if (it->second.expires_at > now && is_meant(it->second.target)) return &it->second;
    }
    return nullptr;
}

const Ban* BanSnapshot::find_client(TenantId tenant, std::string_view id,
                                    Instant now) const noexcept {
    return find(key_of(BanKind::client, tenant, id), now, [&](const BanTarget& target) {
        return target.kind == BanKind::client && target.tenant == tenant && target.name == id;
    });
}

const Ban* BanSnapshot::find_user(TenantId tenant, std::string_view name,
                                  Instant now) const noexcept {
    return find(key_of(BanKind::user, tenant, name), now, [&](const BanTarget& target) {
        return target.kind == BanKind::user && target.tenant == tenant && target.name == name;
    });
}

const Ban* BanSnapshot::find_address(const IpAddress& ip, Instant now) const noexcept {
    for (std::size_t bits = networks_by_bits_.size(); bits-- != 0;) {
        if (networks_by_bits_[bits] == 0) continue;
        const auto prefix_bits = static_cast<std::uint8_t>(bits);
        const IpNetwork around{first_bits(ip, prefix_bits), prefix_bits};
        const Ban* const found = find(key_of(around), now, [&](const BanTarget& target) {
            return target.kind == BanKind::network && target.network == around;
        });
        if (found != nullptr) return found;
    }
    return nullptr;
}

std::vector<Ban> BanSnapshot::all() const {
    std::vector<Ban> bans;
    bans.reserve(count_);
    for (const auto& bucket : buckets_) {
        if (!bucket) continue;
        for (const auto& [key, ban] : *bucket) bans.push_back(ban);
    }
    std::ranges::sort(bans, {}, &Ban::target);
    return bans;
}

// --- changing ---

bool BanList::remove_from(BanSnapshot& next, const BanTarget& target) {
    const std::uint64_t key = BanSnapshot::key_of(target);
    auto& place = next.buckets_[key % BanSnapshot::bucket_count];
    if (!place) return false;
    const auto [first, last] = place->equal_range(key);
    if (std::none_of(first, last, [&](const auto& e) { return e.second.target == target; })) {
        return false;
    }
    auto bucket = std::make_shared<BanSnapshot::Bucket>(*place);
    std::erase_if(*bucket, [&](const auto& e) { return e.second.target == target; });
    place = std::move(bucket);
    --next.count_;
    if (target.kind == BanKind::network) --next.networks_by_bits_[target.network.prefix_bits];
    return true;
}

void BanList::publish(BanSnapshot&& next) {
    now_ = std::make_shared<const BanSnapshot>(std::move(next));
    generation_.fetch_add(1, std::memory_order_release);
}

bool BanList::set(Ban ban) {
    const MutexLock lock{mutex_};
    BanSnapshot next = *now_;
    if (!remove_from(next, ban.target) && next.count_ >= bans_max_) return false;
    const std::uint64_t key = BanSnapshot::key_of(ban.target);
    auto& place = next.buckets_[key % BanSnapshot::bucket_count];
    auto bucket = place ? std::make_shared<BanSnapshot::Bucket>(*place)
                        : std::make_shared<BanSnapshot::Bucket>();
    ++next.count_;
    if (ban.target.kind == BanKind::network) {
        ++next.networks_by_bits_[ban.target.network.prefix_bits];
    }
    bucket->emplace(key, std::move(ban));
    place = std::move(bucket);
    publish(std::move(next));
    return true;
}

bool BanList::lift(const BanTarget& target) {
    const MutexLock lock{mutex_};
    BanSnapshot next = *now_;
    if (!remove_from(next, target)) return false;
    publish(std::move(next));
    return true;
}

std::size_t BanList::expire(Instant now) {
    const MutexLock lock{mutex_};
    std::vector<BanTarget> expired;
    for (const auto& bucket : now_->buckets_) {
        if (!bucket) continue;
        for (const auto& [key, ban] : *bucket) {
            if (ban.expires_at <= now) expired.push_back(ban.target);
        }
    }
    if (expired.empty()) return 0;
    BanSnapshot next = *now_;
    for (const BanTarget& target : expired) remove_from(next, target);
    publish(std::move(next));
    return expired.size();
}

std::shared_ptr<const BanSnapshot> BanList::snapshot() const {
    const MutexLock lock{mutex_};
    return now_;
}

}  // namespace mitu::admission
