#include "mitu/supervisor/channel.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>

namespace mitu::supervisor {
namespace {

using Wait = Channel::Wait;

std::pair<Channel, Channel> channel() {
    auto ends = Channel::create();
    EXPECT_TRUE(ends.has_value());
    return *std::move(ends);
}

TEST(channel, carries_a_word_its_text_and_the_very_files) {
    auto [here, there] = channel();
    std::array<int, 2> pipe_ends{};
    ASSERT_EQ(::pipe2(pipe_ends.data(), O_CLOEXEC), 0);
    const runtime::UniqueFd reader{pipe_ends[0]};
    const runtime::UniqueFd writer{pipe_ends[1]};
    ASSERT_TRUE(here.send(Word::socket, "mqtt", pipe_ends));

    const auto message = there.receive(Wait::no);
    ASSERT_TRUE(message.has_value());
    EXPECT_EQ(message->word, Word::socket);
    EXPECT_EQ(message->text, "mqtt");
    ASSERT_EQ(message->sockets.size(), 2u);
    struct stat sent{};
    struct stat received{};
    ASSERT_EQ(::fstat(writer.get(), &sent), 0);
    ASSERT_EQ(::fstat(message->sockets[1].get(), &received), 0);
    EXPECT_EQ(sent.st_ino, received.st_ino);
    EXPECT_NE(::fcntl(message->sockets[1].get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(channel, keeps_messages_apart_and_in_order) {
    auto [here, there] = channel();
    for (const Word word : {Word::log, Word::ready, Word::stopping}) ASSERT_TRUE(here.send(word));
    for (const Word word : {Word::log, Word::ready, Word::stopping}) {
        const auto message = there.receive(Wait::no);
        ASSERT_TRUE(message.has_value());
        EXPECT_EQ(message->word, word);
        EXPECT_TRUE(message->text.empty());
    }
    EXPECT_FALSE(there.receive(Wait::no).has_value());
    EXPECT_FALSE(there.is_closed());
}

TEST(channel, says_when_the_other_end_is_gone) {
    auto [here, there] = channel();
    {
        const Channel gone = std::move(here);
    }
    EXPECT_FALSE(there.receive(Wait::yes).has_value());
    EXPECT_TRUE(there.is_closed());
    EXPECT_FALSE(there.send(Word::go));
}

TEST(channel, never_waits_for_who_does_not_read) {
    auto [here, there] = channel();
    int sent = 0;
    while (here.send(Word::ready, "serving") && sent < 1'000'000) ++sent;
    EXPECT_GT(sent, 10);
    EXPECT_LT(sent, 1'000'000);
    EXPECT_TRUE(there.receive(Wait::no).has_value());
}

TEST(channel, cuts_a_text_that_is_too_long) {
    auto [here, there] = channel();
    ASSERT_TRUE(here.send(Word::ready, std::string(Channel::text_bytes_max + 1, 'x')));
    const auto message = there.receive(Wait::no);
    ASSERT_TRUE(message.has_value());
    EXPECT_EQ(message->text.size(), Channel::text_bytes_max);
}

TEST(channel, takes_a_packet_that_is_no_message_for_the_end) {
    auto [here, there] = channel();
    const std::string large(Channel::text_bytes_max + 2, 'R');
    ASSERT_EQ(::send(here.fd(), large.data(), large.size(), 0), static_cast<ssize_t>(large.size()));
    EXPECT_FALSE(there.receive(Wait::no).has_value());
    EXPECT_TRUE(there.is_closed());
}

TEST(channel, refuses_more_files_than_a_message_has_room_for) {
    auto [here, there] = channel();
    const std::vector<int> many(Channel::sockets_max + 1, there.fd());
    EXPECT_FALSE(here.send(Word::socket, "mqtt", many));
    EXPECT_FALSE(there.receive(Wait::no).has_value());
}

}  // namespace
}  // namespace mitu::supervisor
