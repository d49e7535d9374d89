#include "mitu/admission/refusal_log.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace mitu::admission {
namespace {

constexpr Instant start = Instant::from_ns(1'000'000'000);
enum class Why : std::uint8_t { full, expired };
constexpr Bound queue{Limit::queue, Scope::client};

TEST(refusal_ring, keeps_the_last_few_the_newest_first) {
    RefusalRing<int, 4> ring;
    for (int i = 0; i < 10; ++i) ring.note(i, queue, start + Duration::seconds(i));
    std::vector<int> reasons;
    ring.for_each([&](const auto& entry) { reasons.push_back(entry.reason); });
    EXPECT_EQ(reasons, (std::vector<int>{9, 8, 7, 6}));
}

TEST(refusal_ring, counts_the_same_in_a_row_in_one_line) {
    RefusalRing<Why> ring;
    for (int i = 0; i < 1'000; ++i) ring.note(Why::full, queue, start + Duration::seconds(i));
    ring.note(Why::expired, {Limit::queue, Scope::tenant}, start);
    EXPECT_EQ(ring.count(), 2u);
    ring.for_each([&](const RefusalRing<Why>::Entry& entry) {
        if (entry.reason != Why::full) return;
        EXPECT_EQ(entry.count, 1'000u);
        EXPECT_EQ(entry.last, start + Duration::seconds(999));
    });
}

RefusedAttempt attempt(std::string id, std::uint8_t reason = 0x97, bool has_tenant = true) {
    RefusedAttempt made;
    made.client_id = std::move(id);
    made.has_tenant = has_tenant;
    made.reason = reason;
    made.last = start;
    return made;
}

TEST(refused_attempts, count_one_line_for_each_client_and_reason) {
    RefusedAttempts log{4};
    for (int i = 0; i < 5; ++i) log.note(attempt("a"));
    log.note(attempt("a", 0x87));
    log.note(attempt("b"));
    ASSERT_EQ(log.size(), 3u);
    const auto newest = log.newest();
    EXPECT_EQ(newest[0].client_id, "b");
    EXPECT_EQ(newest[1].reason, 0x87);
    EXPECT_EQ(newest[2].count, 5u);
    EXPECT_EQ(log.of_client(tenant_default, "a").size(), 2u);
    EXPECT_TRUE(log.of_client(TenantId{1}, "a").empty());
    EXPECT_TRUE(log.of_client(tenant_default, "c").empty());
}

TEST(refused_attempts, forget_the_oldest_and_stay_bounded) {
    RefusedAttempts log{8};
    for (int i = 0; i < 1'000; ++i) log.note(attempt(fmt::format("client{}", i)));
    EXPECT_EQ(log.size(), 8u);
    EXPECT_EQ(log.newest(1)[0].client_id, "client999");
    log.note(attempt(std::string(60'000, 'x')));
    EXPECT_EQ(log.newest(1)[0].client_id.size(), 64u);
}

TEST(refused_attempts, of_a_client_whose_tenant_nobody_knows_are_kept_apart) {
    RefusedAttempts log{8};
    RefusedAttempt known = attempt("a");
    known.tenant = TenantId{1};
    known.has_tenant = true;
    log.note(known);
    log.note(attempt("a", 0x97, false));
    EXPECT_EQ(log.size(), 2u);
    EXPECT_EQ(log.of_client(TenantId{1}, "a").size(), 2u);
    EXPECT_EQ(log.of_client(TenantId{2}, "a").size(), 1u);
}

}  // namespace
}  // namespace mitu::admission
