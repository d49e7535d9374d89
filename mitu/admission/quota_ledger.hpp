#pragma once
// QuotaLedger: what tenants, listeners and the server hold of what there is only so much of, and
// how fast they may go. Shared by all shards.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "mitu/admission/limit.hpp"
#include "mitu/admission/shared_bucket.hpp"
#include "mitu/admission/token_bucket.hpp"
#include "mitu/base/strong_id.hpp"

namespace mitu::admission {

/// What is held until it is given back.
enum class Quota : std::uint8_t {
    connections,
    sessions,
    subscriptions,
    retained_messages,
    retained_bytes,
    message_bytes,
};
inline constexpr std::size_t quota_count = static_cast<std::size_t>(Quota::message_bytes) + 1;
[[nodiscard]] Limit limit_of(Quota quota) noexcept;

inline constexpr std::uint64_t no_maximum = std::numeric_limits<std::int64_t>::max();

/// What one party may hold of one quota.
struct Allowance {
    std::uint64_t maximum = no_maximum;
    /// Kept for it, whatever others take. Tenants only.
    std::uint64_t reserved = 0;
};

using Allowances = std::array<Allowance, quota_count>;

struct TenantLimits {
    Allowances quotas{};
    Rate connect_rate{};
    Rate message_rate{};  // PUBLISH packets
    Rate byte_rate{};     // bytes of packets

    [[nodiscard]] Allowance& operator[](Quota q) noexcept {
        return quotas[static_cast<std::size_t>(q)];
    }
};

struct ListenerLimits {
    std::uint64_t connections_max = no_maximum;
    Rate connect_rate{};
    Rate message_rate{};                 // PUBLISH packets of all its clients together
    Rate byte_rate{};                    // bytes of packets
    std::uint32_t packet_bytes_max = 0;  // 0: the server's
    /// Something stands in front of MQTT that costs a lot, and a doorkeeper in front of that: the
    /// connect rates are taken there, and not again at CONNECT.
    bool has_doorkeeper = false;
};

struct ServerLimits {
    std::array<std::uint64_t, quota_count> maximum = [] {
        std::array<std::uint64_t, quota_count> none{};
        none.fill(no_maximum);
        return none;
    }();
    Rate connect_rate{};
    Rate message_rate{};  // PUBLISH packets of all clients together
    Rate byte_rate{};     // bytes of packets
};

/// What went between a tenant's clients and the server.
struct TenantTraffic {
    std::uint64_t connects = 0;  // that were accepted
    std::uint64_t packets_received = 0;
    std::uint64_t packets_sent = 0;
    std::uint64_t messages_received = 0;  // PUBLISH packets
    std::uint64_t messages_sent = 0;
    std::uint64_t bytes_received = 0;  // of packets
    std::uint64_t bytes_sent = 0;
    constexpr bool operator==(const TenantTraffic&) const noexcept = default;
};

/// One tenant's part of the ledger.
/// Threading  any thread; relaxed atomics, no lock.
class TenantAccount {
public:
    [[nodiscard]] std::uint64_t used(Quota quota) const noexcept;
    [[nodiscard]] std::uint64_t maximum(Quota quota) const noexcept {
        return static_cast<std::uint64_t>(
            holdings_[static_cast<std::size_t>(quota)].maximum.load(std::memory_order_relaxed));
    }
    [[nodiscard]] SharedBucket& connect_rate() noexcept { return connect_rate_; }
    [[nodiscard]] SharedBucket& message_rate() noexcept { return message_rate_; }
    [[nodiscard]] SharedBucket& byte_rate() noexcept { return byte_rate_; }

    /// Counts what this tenant was refused.
    void count_refusal(Limit limit) noexcept {
        refused_[static_cast<std::size_t>(limit)].fetch_add(1, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t refused(Limit limit) const noexcept {
        return refused_[static_cast<std::size_t>(limit)].load(std::memory_order_relaxed);
    }

    /// Adds what a shard has counted since it did so last.
    void count_traffic(const TenantTraffic& more) noexcept;
    [[nodiscard]] TenantTraffic traffic() const noexcept;

    /// Messages that did not reach a client, and sessions whose time was up.
    void count_dropped(std::uint64_t n) noexcept {
        dropped_.fetch_add(n, std::memory_order_relaxed);
    }
    void count_expired() noexcept { expired_.fetch_add(1, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t messages_dropped() const noexcept {
        return dropped_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t sessions_expired() const noexcept {
        return expired_.load(std::memory_order_relaxed);
    }

private:
    friend class QuotaLedger;
    struct Holding {
        std::atomic<std::int64_t> maximum{static_cast<std::int64_t>(no_maximum)};
        std::atomic<std::int64_t> reserved{0};
        std::atomic<std::int64_t> own{0};     // of what is reserved
        std::atomic<std::int64_t> common{0};  // of what is for all
    };
    std::array<Holding, quota_count> holdings_;
    SharedBucket connect_rate_;
    SharedBucket message_rate_;
    SharedBucket byte_rate_;
    std::array<std::atomic<std::uint64_t>, limit_count> refused_{};
    std::array<std::atomic<std::uint64_t>, 7> traffic_{};  // as TenantTraffic has them
    std::atomic<std::uint64_t> dropped_{0};
    std::atomic<std::uint64_t> expired_{0};
};

/// Counts what is held, in two parts for each tenant: of what is reserved for it, and of what is
/// for all. The common part is what the server has beyond all that is reserved, so that nobody can
/// take what is kept for somebody else.
///
/// Threading  any thread; relaxed atomics, no lock. set_*() are for one thread at a time, and hold
///            at once: who has more than it may have keeps it, and gets no more.
class QuotaLedger {
public:
    QuotaLedger() = default;
    ~QuotaLedger();
    QuotaLedger(const QuotaLedger&) = delete;
    QuotaLedger& operator=(const QuotaLedger&) = delete;

    /// Errors  false: more is reserved than the server has; nothing changed.
    [[nodiscard]] bool set_server(const ServerLimits& limits);
    [[nodiscard]] bool set_tenant(TenantId tenant, const TenantLimits& limits);
    void set_listener(std::uint16_t listener, const ListenerLimits& limits);

    /// Errors  whose bound was met; nothing changed.
    [[nodiscard]] std::optional<Scope> try_take(TenantId tenant, Quota quota, std::uint64_t n = 1);
    /// Takes it although no room may be left: for what is let in for other reasons.
    void take(TenantId tenant, Quota quota, std::uint64_t n = 1);
    /// Of what was taken, in whatever portions.
    void give_back(TenantId tenant, Quota quota, std::uint64_t n = 1) noexcept;
    /// Whether nothing bounds it: neither the tenant nor the server.
    [[nodiscard]] bool is_unlimited(TenantId tenant, Quota quota);
    /// How much may be taken ahead by each of `shards`, so that an eighth of what is kept for, or
    /// allowed to, the tenant at most lies idle elsewhere. 0: nothing.
    [[nodiscard]] std::uint64_t portion(TenantId tenant, Quota quota, std::uint32_t shards);

    [[nodiscard]] bool try_take_listener(std::uint16_t listener) noexcept;
    void take_listener(std::uint16_t listener) noexcept;
    void give_back_listener(std::uint16_t listener) noexcept;
    [[nodiscard]] std::uint64_t listener_connections(std::uint16_t listener) const noexcept;
    /// No more connections, as things are. May be outdated at once: a hint.
    [[nodiscard]] bool is_listener_full(std::uint16_t listener) const noexcept;
    [[nodiscard]] bool has_doorkeeper(std::uint16_t listener) const noexcept;
    [[nodiscard]] std::uint32_t listener_packet_bytes_max(std::uint16_t listener) const noexcept;
    /// What a bound stands at now: a count, bytes, or so many per second.
    /// Shape  nullopt: nothing is bounded, or it is not the ledger that bounds it.
    [[nodiscard]] std::optional<std::uint64_t> value_of(const Bound& bound, TenantId tenant,
                                                        std::uint16_t listener);
    [[nodiscard]] SharedBucket& listener_connect_rate(std::uint16_t listener) noexcept;
    [[nodiscard]] SharedBucket& server_connect_rate() noexcept { return connect_rate_; }

    /// Whether a listener or the server has a rate of messages or bytes: while none has, that is
    /// all a message asks.
    [[nodiscard]] bool has_traffic_rates() const noexcept {
        return has_traffic_rates_.load(std::memory_order_relaxed);
    }
    struct TrafficRates {
        SharedBucket messages;
        SharedBucket bytes;
        [[nodiscard]] bool is_limited() const noexcept {
            return messages.is_limited() || bytes.is_limited();
        }
    };
    [[nodiscard]] TrafficRates& listener_traffic(std::uint16_t index) noexcept {
        return listener(index).traffic;
    }
    [[nodiscard]] TrafficRates& server_traffic() noexcept { return traffic_; }

    /// Made at first use.
    /// Lifetime  the ledger.
    [[nodiscard]] TenantAccount& tenant(TenantId id);
    [[nodiscard]] std::uint64_t used(Quota quota) const noexcept;

    /// Calls visit(TenantId, const TenantAccount&) for each that was ever named.
    template <class Visit>
    void for_each_tenant(Visit visit) const {
        for (std::size_t i = 0; i < chunks_.size(); ++i) {
            const Chunk* const chunk = chunks_[i].load(std::memory_order_acquire);
            if (chunk == nullptr) continue;
            for (std::size_t k = 0; k < chunk_tenants; ++k) {
                if (!chunk->is_named[k].load(std::memory_order_relaxed)) continue;
                visit(TenantId{static_cast<std::uint16_t>(i * chunk_tenants + k)},
                      chunk->tenants[k]);
            }
        }
    }

private:
    static constexpr std::size_t chunk_tenants = 16;
    static constexpr std::size_t listeners_max = 64;
    struct Chunk {
        std::array<TenantAccount, chunk_tenants> tenants;
        std::array<std::atomic<bool>, chunk_tenants> is_named{};
    };
    struct Server {
        std::atomic<std::int64_t> maximum{static_cast<std::int64_t>(no_maximum)};
        std::atomic<std::int64_t> reserved{0};  // by all tenants together
        std::atomic<std::int64_t> common{0};    // taken of the rest
    };
    struct Listener {
        std::atomic<std::int64_t> maximum{static_cast<std::int64_t>(no_maximum)};
        std::atomic<std::int64_t> used{0};
        std::atomic<std::uint32_t> packet_bytes_max{0};
        std::atomic<bool> has_doorkeeper{false};
        SharedBucket connect_rate;
        TrafficRates traffic;
    };

    [[nodiscard]] static TenantAccount::Holding& holding(TenantAccount& account,
                                                         Quota quota) noexcept {
        return account.holdings_[static_cast<std::size_t>(quota)];
    }
    void note_traffic_rates() noexcept;
    [[nodiscard]] Listener& listener(std::uint16_t index) noexcept {
        return listeners_[index % listeners_max];
    }
    [[nodiscard]] const Listener& listener(std::uint16_t index) const noexcept {
        return listeners_[index % listeners_max];
    }

    static void settle(TenantAccount::Holding& held, Server& server) noexcept;

    std::array<std::atomic<Chunk*>, 65'536 / chunk_tenants> chunks_{};
    std::array<Server, quota_count> server_;
    std::array<Listener, listeners_max> listeners_;
    SharedBucket connect_rate_;
    TrafficRates traffic_;
    std::atomic<bool> has_traffic_rates_{false};
};

}  // namespace mitu::admission
