#include "mitu/runtime/held_sockets.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace mitu::runtime {
namespace {

std::vector<UniqueFd> some_files(int count) {
    std::vector<UniqueFd> files;
    for (int i = 0; i < count; ++i) files.emplace_back(::dup(STDERR_FILENO));
    return files;
}

TEST(held_sockets, without_a_holder_have_nothing_and_lose_nothing) {
    HeldSockets held;
    EXPECT_FALSE(held.has_holder());
    EXPECT_TRUE(held.take("tcp://127.0.0.1:1883").empty());
    const auto files = some_files(1);
    held.keep("tcp://127.0.0.1:1883", files);
    held.forget_all_but({});
    EXPECT_TRUE(files[0].is_open());
}

TEST(held_sockets, are_taken_once_whole_and_in_order) {
    HeldSockets held;
    auto first = some_files(2);
    const int numbers[]{first[0].get(), first[1].get()};
    held.add("mqtt", std::move(first));
    held.add("mqtt", some_files(1));  // a name may come in several parts
    const auto taken = held.take("mqtt");
    ASSERT_EQ(taken.size(), 3u);
    EXPECT_EQ(taken[0].get(), numbers[0]);
    EXPECT_EQ(taken[1].get(), numbers[1]);
    EXPECT_TRUE(held.take("mqtt").empty());
}

TEST(held_sockets, that_nobody_serves_are_forgotten_by_their_holder) {
    std::vector<std::string> kept;
    std::vector<std::string> forgotten;
    std::vector<std::string> let_go;
    HeldSockets held{{[&](const std::string& name, auto) { kept.push_back(name); },
                      [&](const std::string& name) { forgotten.push_back(name); },
                      [&](const std::string& name) { let_go.push_back(name); }}};
    EXPECT_TRUE(held.has_holder());
    held.add("old", some_files(1));
    held.add("same", some_files(1));
    held.forget_all_but({"same", "new"});
    held.forget_all_but({"same", "new"});
    held.keep("new", some_files(1));
    held.let_go("new");
    EXPECT_EQ(let_go, std::vector<std::string>{"new"});
    EXPECT_EQ(kept, std::vector<std::string>{"new"});
    EXPECT_EQ(forgotten, std::vector<std::string>{"old"});
    EXPECT_TRUE(held.take("old").empty());
    EXPECT_EQ(held.take("same").size(), 1u);
}

}  // namespace
}  // namespace mitu::runtime
