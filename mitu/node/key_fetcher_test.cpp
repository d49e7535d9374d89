#include "mitu/node/key_fetcher.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "mitu/node/testing.hpp"

namespace mitu::node {
namespace {

using identity::KeyReply;
using identity::KeyRequest;

constexpr const char* one_key =
    R"({"keys":[{"kty":"oct","kid":"a","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]})";

struct Fetcher {
    explicit Fetcher(std::size_t waiting_max = 3) {
        fetcher = std::make_shared<KeyFetcher>(
            KeyFetcher::Options{.method = "jwt", .waiting_max = waiting_max}, clock,
            std::make_shared<identity::KeySource>(identity::KeySourceOptions{}),
            [this](const KeyRequest&, std::function<void(KeyReply)> done) {
                asked.push_back(std::move(done));
            });
    }
    void answer(KeyReply reply) {
        ASSERT_FALSE(asked.empty());
        auto done = std::move(asked.front());
        asked.pop_front();
        done(std::move(reply));
    }
    void wait() {
        fetcher->wait([this] { ++woken; });
    }

    StillClock clock;
    std::shared_ptr<KeyFetcher> fetcher;
    std::deque<std::function<void(KeyReply)>> asked;
    int woken = 0;
};

TEST(key_fetcher, wakes_everybody_who_waits_when_the_one_fetch_is_over) {
    Fetcher test;
    test.wait();
    test.wait();
    test.fetcher->tick();
    EXPECT_EQ(test.asked.size(), 1u);
    EXPECT_EQ(test.woken, 0);
    test.answer({true, 200, one_key, "", "", "", ""});
    EXPECT_EQ(test.woken, 2);
    EXPECT_EQ(test.fetcher->status().keys, 1u);
}

TEST(key_fetcher, wakes_them_when_the_fetch_fails_too) {
    Fetcher test;
    test.wait();
    test.answer({false, 0, "", "", "", "", "timeout"});
    EXPECT_EQ(test.woken, 1);
    EXPECT_EQ(test.fetcher->status().problem, "timeout");
    test.wait();
    EXPECT_EQ(test.woken, 2) << "at once: it is not asked again yet";
    EXPECT_TRUE(test.asked.empty());
}

TEST(key_fetcher, lets_a_bounded_number_wait) {
    Fetcher test{2};
    for (int i = 0; i < 5; ++i) test.wait();
    EXPECT_EQ(test.woken, 3);
    test.answer({true, 200, one_key, "", "", "", ""});
    EXPECT_EQ(test.woken, 5);
}

TEST(key_fetcher, outlives_its_owner_while_a_fetch_is_under_way) {
    Fetcher test;
    test.wait();
    test.fetcher.reset();
    test.answer({false, 0, "", "", "", "", "stopped"});
    EXPECT_EQ(test.woken, 1);
}

TEST(key_fetcher, fetches_again_when_it_is_time) {
    Fetcher test;
    test.fetcher->tick();
    test.answer({true, 200, one_key, "", "max-age=60", "", ""});
    test.clock.at = test.clock.at + Duration::seconds(59);
    test.fetcher->tick();
    EXPECT_TRUE(test.asked.empty());
    test.clock.at = test.clock.at + Duration::seconds(1);
    test.fetcher->tick();
    EXPECT_EQ(test.asked.size(), 1u);
}

}  // namespace
}  // namespace mitu::node
