#include "mitu/supervisor/handover.hpp"

#include <gtest/gtest.h>

namespace mitu::supervisor {
namespace {

TEST(handover, is_read_as_it_was_written) {
    Handover handover;
    handover.worker_pid = 4'711;
    handover.channel = 9;
    handover.status = "serving; MQTT on port 1883";
    handover.log = "info json";
    handover.sockets = {
        {"tcp://[::1]:1883 x2", 5}, {"tcp://[::1]:1883 x2", 6}, {"unix:/run/a b", 7}};
    EXPECT_EQ(Handover::parse(handover.to_text()), handover);
}

TEST(handover, takes_what_a_later_version_adds) {
    const auto handover =
        Handover::parse("mitud-handover-1\nworker 10 4\ntickets 8 of TLS\nsocket 5 mqtt\n");
    ASSERT_TRUE(handover.has_value());
    EXPECT_EQ(handover->worker_pid, 10);
    ASSERT_EQ(handover->sockets.size(), 1u);
}

TEST(handover, is_refused_where_it_is_none) {
    for (const char* text :
         {"", "mitud-handover-1\n", "mitud-handover-1\nworker 10\n",
          "mitud-handover-2\nworker 10 4\n", "mitud-handover-1\nworker -1 4\n",
          "mitud-handover-1\nworker 10 4\nsocket x mqtt\n", "mitud-handover-1\nworker 10 4",
          "worker 10 4\n", "mitud-handover-1\nworker 99999999999 4\n"}) {
        EXPECT_EQ(Handover::parse(text), std::nullopt) << text;
    }
}

}  // namespace
}  // namespace mitu::supervisor
