#include "mitu/admission/quota_ledger.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "mitu/base/random.hpp"

namespace mitu::admission {
namespace {

constexpr TenantId a{1};
constexpr TenantId b{2};
constexpr TenantId c{3};
constexpr Quota sessions = Quota::sessions;

ServerLimits server_with(Quota quota, std::uint64_t maximum) {
    ServerLimits limits;
    limits.maximum[static_cast<std::size_t>(quota)] = maximum;
    return limits;
}

TenantLimits tenant_with(Quota quota, Allowance allowance) {
    TenantLimits limits;
    limits[quota] = allowance;
    return limits;
}

TEST(quota_ledger, without_limits_counts_and_refuses_nothing) {
    QuotaLedger ledger;
    EXPECT_TRUE(ledger.is_unlimited(a, sessions));
    EXPECT_EQ(ledger.try_take(a, sessions, 1'000'000'000), std::nullopt);
    EXPECT_EQ(ledger.tenant(a).used(sessions), 1'000'000'000u);
    ledger.give_back(a, sessions, 1'000'000'000);
    EXPECT_EQ(ledger.used(sessions), 0u);
}

TEST(quota_ledger, says_whose_bound_was_met_and_changes_nothing) {
    QuotaLedger ledger;
    ASSERT_TRUE(ledger.set_server(server_with(sessions, 10)));
    ASSERT_TRUE(ledger.set_tenant(a, tenant_with(sessions, {.maximum = 4, .reserved = 2})));
    EXPECT_EQ(ledger.try_take(a, sessions, 5), Scope::tenant);
    EXPECT_EQ(ledger.tenant(a).used(sessions), 0u);
    EXPECT_EQ(ledger.try_take(b, sessions, 8), std::nullopt);
    EXPECT_EQ(ledger.try_take(b, sessions, 1), Scope::server);
    EXPECT_EQ(ledger.try_take(a, sessions, 3), Scope::server);
    EXPECT_EQ(ledger.tenant(a).used(sessions), 0u);
    EXPECT_EQ(ledger.try_take(a, sessions, 2), std::nullopt);
}

TEST(quota_ledger, refuses_to_promise_more_than_there_is) {
    QuotaLedger ledger;
    ASSERT_TRUE(ledger.set_server(server_with(sessions, 10)));
    EXPECT_TRUE(ledger.set_tenant(a, tenant_with(sessions, {.reserved = 6})));
    EXPECT_FALSE(ledger.set_tenant(b, tenant_with(sessions, {.reserved = 5})));
    EXPECT_TRUE(ledger.set_tenant(b, tenant_with(sessions, {.reserved = 4})));
    EXPECT_TRUE(ledger.set_tenant(a, tenant_with(sessions, {.reserved = 5})));  // its own is free
    EXPECT_FALSE(ledger.set_server(server_with(sessions, 8)));
}

/// Whatever the others take and in whatever portions: what is reserved is there.
TEST(quota_ledger, gives_everybody_what_is_reserved_for_it_whatever_others_take) {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        Prng prng{seed};
        QuotaLedger ledger;
        const std::uint64_t all = 20 + prng.below(100);
        ASSERT_TRUE(ledger.set_server(server_with(sessions, all)));
        std::uint64_t reserved[4]{};
        std::uint64_t held[4]{};
        for (const TenantId tenant : {a, b, c}) {
            reserved[tenant.value] = prng.below(all / 4);
            ASSERT_TRUE(ledger.set_tenant(
                tenant, tenant_with(sessions, {.maximum = prng.chance(0.5) ? all / 2 : no_maximum,
                                               .reserved = reserved[tenant.value]})));
        }
        for (int i = 0; i < 500; ++i) {
            const TenantId tenant{static_cast<std::uint16_t>(1 + prng.below(3))};
            std::uint64_t& mine = held[tenant.value];
            if (prng.chance(0.4)) {
                const std::uint64_t n = prng.below(mine + 1);
                ledger.give_back(tenant, sessions, n);
                mine -= n;
                continue;
            }
            const std::uint64_t n = 1 + prng.below(6);
            const bool is_promised = mine + n <= reserved[tenant.value];
            const auto refused = ledger.try_take(tenant, sessions, n);
            if (!refused) mine += n;
            ASSERT_FALSE(is_promised && refused) << "seed " << seed << " step " << i;
            ASSERT_LE(held[1] + held[2] + held[3], all);
            ASSERT_EQ(ledger.tenant(tenant).used(sessions), mine);
        }
        for (const TenantId tenant : {a, b, c}) {
            ledger.give_back(tenant, sessions, held[tenant.value]);
        }
        EXPECT_EQ(ledger.used(sessions), 0u);
        // Nothing has leaked from the common part either.
        EXPECT_EQ(
            ledger.try_take(TenantId{9}, sessions, all - reserved[1] - reserved[2] - reserved[3]),
            std::nullopt);
    }
}

TEST(quota_ledger, survives_threads_that_take_and_give_back_at_once) {
    QuotaLedger ledger;
    ASSERT_TRUE(ledger.set_server(server_with(sessions, 100)));
    ASSERT_TRUE(ledger.set_tenant(a, tenant_with(sessions, {.maximum = 60, .reserved = 20})));
    std::atomic<int> broken_promises{0};
    const auto work = [&](TenantId tenant, std::uint64_t seed, std::uint64_t held_max) {
        Prng prng{seed};
        std::uint64_t held = 0;
        for (int i = 0; i < 20'000; ++i) {
            if (held < held_max && prng.chance(0.6)) {
                const std::uint64_t n = 1 + prng.below(held_max - held);
                const auto refused = ledger.try_take(tenant, sessions, n);
                if (!refused) held += n;
                if (refused && tenant == a) ++broken_promises;
            } else {
                const std::uint64_t n = prng.below(held + 1);
                ledger.give_back(tenant, sessions, n);
                held -= n;
            }
        }
        ledger.give_back(tenant, sessions, held);
    };
    // Those of `a` never want more than the twenty that are theirs, between them.
    std::vector<std::thread> threads;
    threads.emplace_back(work, a, 1, 10);
    threads.emplace_back(work, a, 2, 10);
    threads.emplace_back(work, b, 3, 200);
    threads.emplace_back(work, b, 4, 200);
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(broken_promises.load(), 0);
    EXPECT_EQ(ledger.used(sessions), 0u);
    EXPECT_EQ(ledger.try_take(c, sessions, 80), std::nullopt);
}

TEST(quota_ledger, holds_a_lowered_bound_from_then_on_and_takes_nothing_away) {
    QuotaLedger ledger;
    ASSERT_EQ(ledger.try_take(a, sessions, 10), std::nullopt);
    ASSERT_TRUE(ledger.set_tenant(a, tenant_with(sessions, {.maximum = 5, .reserved = 5})));
    EXPECT_EQ(ledger.tenant(a).used(sessions), 10u);
    ledger.give_back(a, sessions, 10);
    EXPECT_EQ(ledger.try_take(a, sessions, 5), std::nullopt);
    EXPECT_EQ(ledger.try_take(a, sessions, 1), Scope::tenant);
    ledger.give_back(a, sessions, 5);
    EXPECT_EQ(ledger.used(sessions), 0u);
}

TEST(quota_ledger, gives_no_more_than_the_maximum_to_who_has_it_before_something_is_reserved) {
    QuotaLedger ledger;
    ASSERT_EQ(ledger.try_take(a, sessions, 4), std::nullopt);
    ASSERT_TRUE(ledger.set_tenant(a, tenant_with(sessions, {.maximum = 4, .reserved = 2})));
    EXPECT_EQ(ledger.try_take(a, sessions, 1), Scope::tenant);
    ledger.give_back(a, sessions, 1);
    EXPECT_EQ(ledger.try_take(a, sessions, 1), std::nullopt);
    EXPECT_EQ(ledger.try_take(a, sessions, 1), Scope::tenant);
    ledger.give_back(a, sessions, 4);
    EXPECT_EQ(ledger.used(sessions), 0u);
}

TEST(quota_ledger, counts_what_a_tenant_has_as_what_is_reserved_for_it_from_now_on) {
    QuotaLedger ledger;
    ASSERT_TRUE(ledger.set_server(server_with(sessions, 5)));
    ASSERT_EQ(ledger.try_take(a, sessions, 3), std::nullopt);
    ASSERT_TRUE(ledger.set_tenant(a, tenant_with(sessions, {.reserved = 3})));
    EXPECT_EQ(ledger.try_take(b, sessions, 2), std::nullopt);  // no place stands empty
    EXPECT_EQ(ledger.try_take(b, sessions, 1), Scope::server);
    ASSERT_TRUE(ledger.set_tenant(a, tenant_with(sessions, {.reserved = 0})));
    EXPECT_EQ(ledger.try_take(b, sessions, 1), Scope::server);  // and none is taken twice
    EXPECT_EQ(ledger.used(sessions), 5u);
    ledger.give_back(a, sessions, 3);
    EXPECT_EQ(ledger.try_take(b, sessions, 3), std::nullopt);
    ledger.give_back(b, sessions, 5);
    EXPECT_EQ(ledger.used(sessions), 0u);
}

TEST(quota_ledger, counts_listeners_apart) {
    QuotaLedger ledger;
    ledger.set_listener(3, {.connections_max = 1, .packet_bytes_max = 512});
    EXPECT_TRUE(ledger.try_take_listener(3));
    EXPECT_FALSE(ledger.try_take_listener(3));
    EXPECT_TRUE(ledger.try_take_listener(4));
    ledger.give_back_listener(3);
    EXPECT_TRUE(ledger.try_take_listener(3));
    EXPECT_EQ(ledger.listener_packet_bytes_max(3), 512u);
    EXPECT_EQ(ledger.listener_connections(3), 1u);
}

TEST(quota_ledger, leaves_most_of_what_is_reserved_where_it_can_be_had) {
    QuotaLedger ledger;
    ASSERT_TRUE(ledger.set_server(server_with(Quota::message_bytes, 1 << 20)));
    ASSERT_TRUE(ledger.set_tenant(a, tenant_with(Quota::message_bytes, {.reserved = 1 << 16})));
    EXPECT_EQ(ledger.portion(a, Quota::message_bytes, 4), (1u << 16) / 64);
    EXPECT_EQ(ledger.portion(a, sessions, 4), no_maximum / 64);
}

TEST(quota_ledger, tells_what_a_bound_stands_at) {
    QuotaLedger ledger;
    ASSERT_TRUE(ledger.set_server(server_with(sessions, 100)));
    TenantLimits limits = tenant_with(sessions, {.maximum = 7});
    limits.message_rate = {.per_second = 50};
    ASSERT_TRUE(ledger.set_tenant(a, limits));
    ledger.set_listener(3, {.connections_max = 9, .packet_bytes_max = 512});
    using Value = std::optional<std::uint64_t>;
    EXPECT_EQ(ledger.value_of({Limit::sessions, Scope::server}, a, 0), Value{100});
    EXPECT_EQ(ledger.value_of({Limit::sessions, Scope::tenant}, a, 0), Value{7});
    EXPECT_EQ(ledger.value_of({Limit::message_rate, Scope::tenant}, a, 0), Value{50});
    EXPECT_EQ(ledger.value_of({Limit::connections, Scope::listener}, a, 3), Value{9});
    EXPECT_EQ(ledger.value_of({Limit::packet_bytes, Scope::listener}, a, 3), Value{512});
    EXPECT_EQ(ledger.value_of({Limit::connections, Scope::listener}, a, 4), Value{});
    EXPECT_EQ(ledger.value_of({Limit::sessions, Scope::tenant}, TenantId{9}, 0), Value{});
    EXPECT_EQ(ledger.value_of({Limit::ban, Scope::client}, a, 0), Value{});
}

}  // namespace
}  // namespace mitu::admission
