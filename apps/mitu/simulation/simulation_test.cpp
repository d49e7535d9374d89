// The parts of the fleet simulator that need no network.

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "apps/mitu/simulation/devices.hpp"
#include "apps/mitu/simulation/replay.hpp"
#include "apps/mitu/simulation/telemetry.hpp"
#include "apps/mitu/simulation/timer_queue.hpp"

namespace mitu::cli {
namespace {

using nlohmann::json;

// --- who the devices are -----------------------------------------------------------------------

TEST(simulated_devices, come_from_a_credentials_file_whatever_the_order_of_its_columns) {
    const auto devices =
        read_credentials("password,class,device,tenant\np1,tracker,d1,acme\n\"p,2\",,d2,\n", 100);
    ASSERT_TRUE(devices) << devices.error();
    ASSERT_EQ(devices->size(), 2u);
    EXPECT_EQ((*devices)[0].id, "d1");
    EXPECT_EQ((*devices)[0].user_name, "d1@acme");
    EXPECT_EQ((*devices)[0].password, "p1");
    EXPECT_EQ((*devices)[0].class_name, "tracker");
    EXPECT_EQ((*devices)[1].user_name, "d2");
    EXPECT_EQ((*devices)[1].password, "p,2");
}

TEST(simulated_devices, a_bad_credentials_file_is_refused_with_its_line) {
    EXPECT_EQ(read_credentials("", 9).error(), "the file is empty");
    EXPECT_TRUE(read_credentials("a,b\n", 9).error().starts_with("line 1: "));
    EXPECT_EQ(read_credentials("device,password\n", 9).error(), "the file names no device");
    EXPECT_EQ(read_credentials("device,password\nd1,p\nd2\n", 9).error(),
              "line 3: 1 fields where the header has 2");
    EXPECT_EQ(read_credentials("device,password\n,p\n", 9).error(), "line 2: device is empty");
}

TEST(simulated_devices, no_more_than_asked_for_are_taken) {
    const auto devices = read_credentials("device,password\nd1,p\nd2,p\nd3,p\n", 2);
    ASSERT_TRUE(devices);
    EXPECT_EQ(devices->size(), 2u);
}

TEST(simulated_devices, anonymous_ones_are_dealt_their_classes_by_weight) {
    const auto shares = parse_class_shares("a:3,b");
    ASSERT_TRUE(shares) << shares.error();
    std::map<std::string, int> counts;
    for (const auto& device : anonymous_devices("sim-", 40, *shares)) ++counts[device.class_name];
    EXPECT_EQ(counts, (std::map<std::string, int>{{"a", 30}, {"b", 10}}));
    EXPECT_EQ(anonymous_devices("sim-", 2, *shares)[1].id, "sim-1");
    for (const char* text : {"", ":3", "a:0", "a:x", "a:-1", "a:5000"}) {
        EXPECT_FALSE(parse_class_shares(text)) << text;
    }
}

// --- replay ------------------------------------------------------------------------------------

TEST(replay, keeps_numbers_as_the_file_has_them) {
    const auto replay = Replay::create(
        "\"date\",\"T\",\"note\"\n\"2015-02-04 17:51:00\",0.00479298817625529,say "
        "\"hi\"\nx,007,\n");
    ASSERT_TRUE(replay) << replay.error();
    EXPECT_EQ(replay->row_count(), 2u);
    EXPECT_EQ(
        replay->payload(1),
        R"({"row":1,"date":"2015-02-04 17:51:00","T":0.00479298817625529,"note":"say \"hi\""})");
    EXPECT_EQ(replay->payload(2), R"({"row":2,"date":"x","T":"007","note":""})");
    EXPECT_TRUE(json::accept(replay->payload(2)));
}

TEST(replay, a_first_field_without_a_name_is_a_label) {
    const auto replay = Replay::create("\"a\",\"b\"\n\"1\",5,6\n\"x\",7,8\n");
    ASSERT_TRUE(replay) << replay.error();
    EXPECT_EQ(replay->payload(1), R"({"row":1,"a":5,"b":6})");
    EXPECT_EQ(replay->payload(2), R"({"row":2,"row_label":"x","a":7,"b":8})");
}

TEST(replay, refuses_files_that_are_no_table) {
    EXPECT_EQ(Replay::create("").error(), "the file is empty");
    EXPECT_EQ(Replay::create("a,b\n").error(), "it has a header and no rows");
    EXPECT_EQ(Replay::create("a,b\n1,2\n3\n").error(), "line 3: 1 fields where there should be 2");
    EXPECT_FALSE(Replay::create("a,b\n1,\"2\n"));
}

TEST(replay, finds_times_and_never_goes_back_in_them) {
    const auto replay = Replay::create(
        "id,when\n1,2015-02-04 23:59:30\n2,2015-02-05T00:00:30Z\n3,2015-02-04 23:00:00\n");
    ASSERT_TRUE(replay);
    EXPECT_EQ(replay->time_column(), "when");
    const auto times = replay->times_s();
    ASSERT_TRUE(times) << times.error();
    EXPECT_EQ(*times, (std::vector<double>{0, 60, 60}));

    const auto unix_times = Replay::create("ts,v\n1000.5,1\n1002,2\n");
    ASSERT_TRUE(unix_times);
    EXPECT_EQ(unix_times->times_s().value(), (std::vector<double>{0, 1.5}));

    const auto none = Replay::create("a\n1\n");
    ASSERT_TRUE(none);
    EXPECT_FALSE(none->times_s());
    const auto broken = Replay::create("when\n2015-02-04 23:59:30\nsoon\n");
    ASSERT_TRUE(broken);
    EXPECT_EQ(broken->times_s().error(), "row 2: when is \"soon\", which is no time");
}

TEST(replay, knows_json_numbers_from_texts_that_look_like_them) {
    for (const char* text : {"0", "-0", "1", "-1.5", "1e3", "2.5E-7", "0.1"}) {
        EXPECT_TRUE(is_json_number(text)) << text;
        EXPECT_TRUE(json::accept(text)) << text;
    }
    for (const char* text : {"", "-", "+1", "01", ".5", "1.", "1e", "0x1", "NaN", "inf", "1 "}) {
        EXPECT_FALSE(is_json_number(text)) << text;
    }
}

TEST(replay, counts_seconds_as_the_calendar_has_them) {
    EXPECT_EQ(parse_time("1970-01-01 00:00:00"), 0);
    EXPECT_EQ(parse_time("2015-02-04 17:51:00"), 1'423'072'260);
    EXPECT_EQ(parse_time("2000-02-29T12:00:00.5Z"), 951'825'600.5);
    for (const char* text : {"", "2015-02-04", "2015-13-04 17:51:00", "2015-02-04 25:00:00",
                             "2015/02/04 17:51:00", "2015-02-04 17:51:00+01:00"}) {
        EXPECT_FALSE(parse_time(text)) << text;
    }
}

// --- telemetry and timers ----------------------------------------------------------------------

TEST(telemetry, is_json_of_the_wanted_size_and_the_same_for_the_same_seed) {
    for (const char* class_name : {"thermostat", "co2_sensor", "occupancy_sensor", "cold_box",
                                   "tracker", "charger", "gateway", "toaster"}) {
        TelemetryGenerator a{telemetry_kind(class_name), 5};
        TelemetryGenerator b{telemetry_kind(class_name), 5};
        for (const std::size_t bytes : {0UL, 50UL, 200UL, 1'000UL}) {
            const std::string payload = a.next(bytes);
            EXPECT_TRUE(json::accept(payload)) << payload;
            EXPECT_GE(payload.size(), bytes);
            EXPECT_EQ(payload, b.next(bytes));
        }
    }
}

TEST(timer_queue, wakes_each_at_its_last_deadline_and_once) {
    TimerQueue timers{3};
    const auto at = [](std::int64_t s) { return Instant{} + Duration::seconds(s); };
    timers.set(0, at(5));
    timers.set(1, at(3));
    timers.set(2, at(4));
    timers.set(1, at(10));            // later
    timers.set(2, at(1));             // earlier
    timers.set(0, Instant::never());  // not at all
    EXPECT_EQ(timers.next(), at(1));
    EXPECT_FALSE(timers.pop(at(0)));
    EXPECT_EQ(timers.pop(at(20)), 2u);
    EXPECT_EQ(timers.pop(at(20)), 1u);
    EXPECT_FALSE(timers.pop(at(20)));
    EXPECT_TRUE(timers.next().is_never());
    timers.set(0, at(30));
    EXPECT_EQ(timers.next(), at(30));
}

}  // namespace
}  // namespace mitu::cli
