#pragma once
// BanList: who may not come in, for how long, why, and who said so.

#include <array>
#include <atomic>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mitu/base/ip_network.hpp"
#include "mitu/base/mutex.hpp"
#include "mitu/base/strong_id.hpp"
#include "mitu/base/time.hpp"

namespace mitu::admission {

/// Client ids and users belong to a tenant; addresses to none.
enum class BanKind : std::uint8_t { client, user, network };
[[nodiscard]] std::string_view to_text(BanKind kind) noexcept;

struct BanTarget {
    BanKind kind = BanKind::client;
    TenantId tenant = tenant_default;  // of a client or user
    std::string name{};                // client id or user
    IpNetwork network{};               // one address is a network of its own
    auto operator<=>(const BanTarget&) const noexcept = default;

    [[nodiscard]] static BanTarget client(TenantId tenant, std::string_view id) {
        return {BanKind::client, tenant, std::string{id}, {}};
    }
    [[nodiscard]] static BanTarget user(TenantId tenant, std::string_view name) {
        return {BanKind::user, tenant, std::string{name}, {}};
    }
    [[nodiscard]] static BanTarget from(const IpNetwork& network) {
        return {BanKind::network, tenant_default, {}, network};
    }
};

struct Ban {
    BanTarget target;
    std::string reason;  // for people; clients are not told
    std::string set_by;  // a user, or the part of the server that did it
    Instant since;
    Instant expires_at = Instant::never();
};

/// The bans of one moment.
/// Threading  immutable.
class BanSnapshot {
public:
    /// Null: not banned. An expired ban is none.
    /// Cost  one look-up, whatever the number of bans; for an address one for each length of
    ///       prefix that there is a ban of (129 at most).
    [[nodiscard]] const Ban* find_client(TenantId tenant, std::string_view id,
                                         Instant now) const noexcept;
    [[nodiscard]] const Ban* find_user(TenantId tenant, std::string_view name,
                                       Instant now) const noexcept;
    [[nodiscard]] const Ban* find_address(const IpAddress& ip, Instant now) const noexcept;
    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    /// In the order of their targets.
    [[nodiscard]] std::vector<Ban> all() const;

private:
    friend class BanList;
    // Change copies one bucket, so that a thousand bans in a storm do not copy a thousand each.
    static constexpr std::size_t bucket_count = 256;
    using Bucket = std::unordered_multimap<std::uint64_t, Ban>;

    [[nodiscard]] static std::uint64_t key_of(const BanTarget& target) noexcept;
    [[nodiscard]] static std::uint64_t key_of(BanKind kind, TenantId tenant,
                                              std::string_view name) noexcept;
    [[nodiscard]] static std::uint64_t key_of(const IpNetwork& network) noexcept;
    template <class IsMeant>
    [[nodiscard]] const Ban* find(std::uint64_t key, Instant now, IsMeant is_meant) const noexcept;

    std::array<std::shared_ptr<const Bucket>, bucket_count> buckets_;
    std::array<std::uint32_t, 129> networks_by_bits_{};  // how many
    std::size_t count_ = 0;
};

/// Threading  any thread writes, under a lock; shards read through a BanView.
class BanList {
public:
    explicit BanList(std::size_t bans_max = 1'000'000) : bans_max_{bans_max} {}

    /// Sets a ban, or replaces the one of the same target.
    /// Errors  false: bans_max are set already.
    [[nodiscard]] bool set(Ban ban);
    /// False: there was none.
    bool lift(const BanTarget& target);
    /// Forgets what has expired. Returns how many.
    std::size_t expire(Instant now);

    [[nodiscard]] std::shared_ptr<const BanSnapshot> snapshot() const;
    /// Grows with every change.
    [[nodiscard]] std::uint64_t generation() const noexcept {
        return generation_.load(std::memory_order_acquire);
    }

private:
    bool remove_from(BanSnapshot& next, const BanTarget& target);
    void publish(BanSnapshot&& next) MITU_REQUIRES(mutex_);

    std::size_t bans_max_;
    mutable Mutex mutex_;
    std::shared_ptr<const BanSnapshot> now_ MITU_GUARDED_BY(mutex_) =
        std::make_shared<const BanSnapshot>();
    std::atomic<std::uint64_t> generation_{1};
};

/// One shard's eyes on a BanList: takes the lock only when something has changed.
/// Threading  shard-local.
class BanView {
public:
    [[nodiscard]] const BanSnapshot& look(const BanList& list) {
        const std::uint64_t generation = list.generation();
        if (generation != generation_) {
            bans_ = list.snapshot();
            generation_ = generation;
        }
        return *bans_;
    }

private:
    std::uint64_t generation_ = 0;
    std::shared_ptr<const BanSnapshot> bans_;
};

}  // namespace mitu::admission
