#include "mitu/admission/ban_list.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "mitu/base/random.hpp"

namespace mitu::admission {
namespace {

constexpr Instant now = Instant::from_ns(1'000'000'000);
constexpr TenantId a{1};
constexpr TenantId b{2};

Ban ban(BanTarget target, Instant expires_at = Instant::never()) {
    return {std::move(target), "too loud", "ops", now, expires_at};
}

IpNetwork network(std::string_view text) { return parse_ip_network(text).value(); }
IpAddress ip(std::string_view text) { return parse_ip(text).value(); }

TEST(ban_list, keeps_client_ids_and_users_of_tenants_apart) {
    BanList list;
    ASSERT_TRUE(list.set(ban(BanTarget::client(a, "d1"))));
    ASSERT_TRUE(list.set(ban(BanTarget::user(b, "d1"))));
    const auto bans = list.snapshot();
    EXPECT_NE(bans->find_client(a, "d1", now), nullptr);
    EXPECT_EQ(bans->find_client(b, "d1", now), nullptr);
    EXPECT_EQ(bans->find_user(a, "d1", now), nullptr);
    EXPECT_NE(bans->find_user(b, "d1", now), nullptr);
    EXPECT_EQ(bans->find_client(a, "d1 ", now), nullptr);
    EXPECT_EQ(bans->find_client(a, "d1", now)->set_by, "ops");
}

TEST(ban_list, finds_addresses_by_themselves_and_by_their_networks) {
    BanList list;
    for (const char* text : {"192.0.2.7", "10.0.0.0/8", "2001:db8::/32", "2001:db8:1::/48"}) {
        ASSERT_TRUE(list.set(ban(BanTarget::from(network(text)))));
    }
    const auto bans = list.snapshot();
    const auto find = [&](std::string_view text) { return bans->find_address(ip(text), now); };
    EXPECT_NE(find("192.0.2.7"), nullptr);
    EXPECT_EQ(find("192.0.2.8"), nullptr);
    EXPECT_NE(find("10.255.0.1"), nullptr);
    EXPECT_NE(find("::ffff:10.1.2.3"), nullptr);  // the same address
    EXPECT_EQ(find("11.0.0.1"), nullptr);
    EXPECT_NE(find("2001:db8:5::1"), nullptr);
    EXPECT_EQ(find("2001:db9::1"), nullptr);
    // The narrowest is named.
    EXPECT_EQ(find("2001:db8:1::9")->target.network, network("2001:db8:1::/48"));
    EXPECT_EQ(find("a00::"), nullptr);  // 10.0.0.0/8 is no prefix of IPv6
}

TEST(ban_list, lets_bans_expire_and_forgets_them) {
    BanList list;
    const Instant later = now + Duration::seconds(10);
    ASSERT_TRUE(list.set(ban(BanTarget::client(a, "x"), later)));
    ASSERT_TRUE(list.set(ban(BanTarget::from(network("10.0.0.0/8")), later)));
    ASSERT_TRUE(list.set(ban(BanTarget::client(a, "y"))));
    const auto bans = list.snapshot();
    EXPECT_NE(bans->find_client(a, "x", later + Duration::nanoseconds(-1)), nullptr);
    EXPECT_EQ(bans->find_client(a, "x", later), nullptr);
    EXPECT_EQ(bans->find_address(ip("10.0.0.1"), later), nullptr);
    EXPECT_EQ(list.expire(later), 2u);
    EXPECT_EQ(list.snapshot()->size(), 1u);
    EXPECT_EQ(list.expire(later), 0u);
    EXPECT_EQ(bans->size(), 3u);  // who looks at an old one sees the old one
}

TEST(ban_list, replaces_a_ban_of_the_same_target_even_when_full) {
    BanList list{1};
    ASSERT_TRUE(list.set(ban(BanTarget::client(a, "x"))));
    EXPECT_TRUE(list.set(ban(BanTarget::client(a, "x"), now + Duration::seconds(1))));
    EXPECT_FALSE(list.set(ban(BanTarget::client(a, "y"))));
    EXPECT_EQ(list.snapshot()->size(), 1u);
    EXPECT_EQ(list.snapshot()->all()[0].expires_at, now + Duration::seconds(1));
}

TEST(ban_list, shows_its_changes_to_a_view_and_only_those) {
    BanList list;
    BanView view;
    EXPECT_TRUE(view.look(list).empty());
    const BanSnapshot* const before = &view.look(list);
    EXPECT_EQ(&view.look(list), before);
    ASSERT_TRUE(list.set(ban(BanTarget::client(a, "x"))));
    EXPECT_NE(view.look(list).find_client(a, "x", now), nullptr);
    EXPECT_TRUE(list.lift(BanTarget::client(a, "x")));
    EXPECT_FALSE(list.lift(BanTarget::client(a, "x")));
    EXPECT_EQ(view.look(list).find_client(a, "x", now), nullptr);
}

TEST(ban_list, agrees_with_a_plain_list) {
    Prng prng{5};
    BanList list;
    std::vector<Ban> model;
    const auto draw = [&]() -> BanTarget {
        const TenantId tenant{static_cast<std::uint16_t>(prng.below(2))};
        const std::string name(1, static_cast<char>('a' + prng.below(4)));
        switch (prng.below(3)) {
            case 0:
                return BanTarget::client(tenant, name);
            case 1:
                return BanTarget::user(tenant, name);
            default: {
                const auto bits = static_cast<std::uint8_t>(120 + prng.below(9));
                const auto last = static_cast<std::uint8_t>(prng.below(8));
                return BanTarget::from({first_bits(make_v4(10, 0, 0, last), bits), bits});
            }
        }
    };
    for (int i = 0; i < 5'000; ++i) {
        const BanTarget target = draw();
        const auto same = [&](const Ban& known) { return known.target == target; };
        if (prng.chance(0.5)) {
            std::erase_if(model, same);
            model.push_back(ban(target));
            ASSERT_TRUE(list.set(ban(target)));
        } else {
            ASSERT_EQ(list.lift(target), std::erase_if(model, same) != 0);
        }
        const auto bans = list.snapshot();
        ASSERT_EQ(bans->size(), model.size());
        const IpAddress address = make_v4(10, 0, 0, static_cast<std::uint8_t>(prng.below(16)));
        const bool is_banned = std::ranges::any_of(model, [&](const Ban& known) {
            return known.target.kind == BanKind::network && known.target.network.contains(address);
        });
        ASSERT_EQ(bans->find_address(address, now) != nullptr, is_banned);
    }
}

}  // namespace
}  // namespace mitu::admission
