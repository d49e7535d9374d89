#pragma once
// Authority: what the operator of the virtual server has ordered, and since when. The checkers ask
// it what had to hold; it knows nothing of what the server made of it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/admission/ban_list.hpp"
#include "mitu/admission/flapping.hpp"
#include "mitu/admission/memory_pressure.hpp"
#include "mitu/admission/quota_ledger.hpp"
#include "mitu/base/ip_network.hpp"
#include "mitu/base/time.hpp"
#include "sim/catalog.hpp"
#include "sim/client_key.hpp"

namespace mitu::sim {

/// So long before; never before the beginning of all time.
[[nodiscard]] constexpr Instant before(Instant at, Duration by) noexcept {
    return Instant::from_ns(std::max<std::int64_t>(at.since_start_ns() - by.count_ns(), 0));
}

/// A value that the operator changes, with its past. A new value counts from when the change
/// begins, and the one before until the change is done everywhere.
template <class Value>
class Ordered {
public:
    struct Entry {
        Instant since;
        Instant done = Instant::never();
        Value value{};
    };

    Ordered() { entries_.push_back({Instant{}, Instant{}, Value{}}); }

    void begin(const Value& value, Instant now) {
        entries_.push_back({now, Instant::never(), value});
    }
    void finish(Instant now) {
        for (Entry& entry : entries_) entry.done = std::min(entry.done, now);
    }
    void set(const Value& value, Instant now) {
        begin(value, now);
        finish(now);
    }
    [[nodiscard]] const Value& now() const noexcept { return entries_.back().value; }
    /// When the last change was done; never: it is under way.
    [[nodiscard]] Instant done() const noexcept { return entries_.back().done; }
    /// Whether `is_so` holds for a value that may have been in force between `since` and now.
    template <class IsSo>
    [[nodiscard]] bool any_since(Instant since, IsSo is_so) const {
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            const bool is_over = i + 1 < entries_.size() && entries_[i + 1].done < since;
            if (!is_over && is_so(entries_[i].value)) return true;
        }
        return false;
    }
    template <class IsSo>
    [[nodiscard]] bool all_since(Instant since, IsSo is_so) const {
        return !any_since(since, [&](const Value& value) { return !is_so(value); });
    }

private:
    std::vector<Entry> entries_;
};

/// Lifetime   the world owns it.
class Authority {
public:
    // --- rights ---
    Ordered<Rights> rights;
    [[nodiscard]] bool may_publish_since(const ClientKey& client, std::string_view topic,
                                         Instant since, bool all) const;
    [[nodiscard]] bool may_receive_since(const ClientKey& client, std::string_view topic,
                                         Instant since, bool all) const;

    // --- bans ---
    struct BanOrder {
        admission::BanKind kind = admission::BanKind::client;
        ClientKey client{};   // client or user: who
        IpNetwork network{};  // network
        Instant since;
        Instant until = Instant::never();  // expired, or lifted
    };
    std::vector<BanOrder> bans;
    void lift_bans(Instant now);
    /// Whether one is in force at some time between the two, or (`all_the_time`) at every.
    [[nodiscard]] bool is_banned(const ClientKey& client, Instant from, Instant to,
                                 bool all_the_time) const;

    // --- quotas and memory ---
    bool has_admission = false;
    admission::FlappingOptions flapping{};
    std::map<std::string, Ordered<admission::TenantLimits>> limits;  // by tenant
    Ordered<std::uint64_t> connections_max;                          // of the server
    Ordered<std::uint32_t> memory_bp;                                // of the budget, that is used
    [[nodiscard]] bool was_on_since(admission::SheddingStep step, Instant since) const;
    /// Whether a tenant's clients may ever have been refused subscriptions.
    [[nodiscard]] bool was_ever_short_of_subscriptions(const std::string& tenant) const;
    /// Whether a rate was ever set for the tenant's messages.
    [[nodiscard]] bool was_ever_paced(const std::string& tenant) const;

    // --- credentials ---
    Duration login_holds_max{};  // 0: for good
};

/// Where a client of the virtual world comes from: 10.TENANT.KIND.NUMBER.
[[nodiscard]] IpAddress address_of(const ClientKey& client);

}  // namespace mitu::sim
