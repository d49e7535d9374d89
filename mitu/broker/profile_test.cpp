#include "mitu/broker/profile.hpp"

#include <gtest/gtest.h>

namespace mitu::broker {
namespace {

const AccessVariables d1{"d1", "acme", "sensor"};

TEST(access_list, denies_what_no_filter_allows) {
    const AccessList none;
    EXPECT_FALSE(none.may_publish("x", d1));
    EXPECT_FALSE(none.may_subscribe("x", d1));
    const AccessList some{{"a/#", "b"}, {}};
    EXPECT_TRUE(some.may_publish("a/1/2", d1));
    EXPECT_TRUE(some.may_publish("a", d1));
    EXPECT_TRUE(some.may_publish("b", d1));
    EXPECT_FALSE(some.may_publish("b/1", d1));
    EXPECT_FALSE(some.may_publish("c", d1));
}

TEST(access_list, lets_a_lone_hash_stand_for_everything) {
    const AccessList all{{"#"}, {}};
    EXPECT_TRUE(all.may_publish("$mitu/things/d1/x", d1));
    EXPECT_TRUE(all.may_subscribe("#", d1));
    EXPECT_TRUE(all.may_subscribe("$SYS/#", d1));
    const AccessList nearly{{"#"}, {"$mitu/#"}};
    EXPECT_TRUE(nearly.may_publish("$other/x", d1));
    EXPECT_FALSE(nearly.may_publish("$mitu/x", d1));
    EXPECT_FALSE(nearly.may_subscribe("$mitu/+/x", d1));
    EXPECT_TRUE(nearly.may_subscribe("#", d1)) << "which does not match $mitu";
    const AccessList nothing{{"#"}, {"#"}};
    EXPECT_FALSE(nothing.may_publish("$mitu/x", d1));
    EXPECT_FALSE(nothing.may_subscribe("x", d1));
}

TEST(access_list, lets_deny_win) {
    const AccessList list{{"fleet/#"}, {"fleet/+/secret"}};
    EXPECT_TRUE(list.may_publish("fleet/d1/data", d1));
    EXPECT_FALSE(list.may_publish("fleet/d1/secret", d1));
    EXPECT_TRUE(list.may_subscribe("fleet/d1/data", d1));
    EXPECT_FALSE(list.may_subscribe("fleet/d1/secret", d1));
    EXPECT_FALSE(list.may_subscribe("fleet/#", d1)) << "would let secrets in";
    EXPECT_FALSE(list.may_subscribe("fleet/d1/+", d1));
    EXPECT_TRUE(list.may_subscribe("fleet/d1/data/#", d1));
}

TEST(access_list, wants_a_subscription_wholly_inside_one_filter) {
    const AccessList list{{"a/+", "b/#"}, {}};
    EXPECT_TRUE(list.may_subscribe("a/+", d1));
    EXPECT_TRUE(list.may_subscribe("a/x", d1));
    EXPECT_FALSE(list.may_subscribe("a/#", d1));
    EXPECT_TRUE(list.may_subscribe("b/#", d1));
    EXPECT_TRUE(list.may_subscribe("b/+/c/#", d1));
    EXPECT_FALSE(list.may_subscribe("+/x", d1));
    EXPECT_FALSE(list.may_subscribe("#", d1));
}

TEST(access_list, fills_variables_in) {
    const AccessList list{{"${tenant}/${class}/${device}/#", "in-${device}-side"}, {}};
    EXPECT_TRUE(list.may_publish("acme/sensor/d1/x", d1));
    EXPECT_FALSE(list.may_publish("acme/sensor/d2/x", d1));
    EXPECT_FALSE(list.may_publish("other/sensor/d1/x", d1));
    EXPECT_TRUE(list.may_publish("in-d1-side", d1));
    EXPECT_TRUE(list.may_subscribe("acme/sensor/d1/+", d1));
}

TEST(access_list, gives_nothing_for_a_value_that_would_change_the_rule) {
    const AccessList list{{"x/${device}/#"}, {}};
    for (const char* id : {"", "+", "#", "a/b", "a+"}) {
        const AccessVariables values{id, "acme", ""};
        EXPECT_FALSE(list.may_publish("x/" + std::string{id} + "/y", values)) << id;
        EXPECT_FALSE(list.may_publish("x/a/y", values)) << id;
        EXPECT_FALSE(list.may_subscribe("x/" + std::string{id} + "/y", values)) << id;
    }
    const AccessList unknown{{"${nonsense}/x", "${device"}, {}};
    EXPECT_FALSE(unknown.may_publish("/x", d1));
    EXPECT_FALSE(unknown.may_publish("${nonsense}/x", d1));
    EXPECT_FALSE(unknown.may_publish("${device", d1));
}

TEST(access_list, still_denies_when_a_value_does_not_fit_into_the_rule) {
    // A client that may choose its id must not choose its way around a denial.
    const AccessList list{{"#"}, {"x/${device}/secret"}};
    EXPECT_FALSE(list.may_publish("x/d1/secret", d1));
    EXPECT_TRUE(list.may_publish("x/d1/open", d1));
    const std::string long_id(2'000, 'i');
    for (const std::string& id :
         {std::string{"a/b"}, std::string{"+"}, std::string{"#"}, long_id}) {
        const AccessVariables values{id, "acme", ""};
        EXPECT_FALSE(list.may_publish("x/" + id + "/secret", values)) << id.substr(0, 9);
        EXPECT_FALSE(list.may_subscribe("x/#", values)) << id.substr(0, 9);
    }
    EXPECT_TRUE(list.may_publish("y/a/b/secret", {"a/b", "acme", ""})) << "not below x/";
    const AccessList of_class{{"#"}, {"x/${class}/secret"}};
    EXPECT_TRUE(of_class.may_publish("x/y/secret", {"d1", "acme", ""})) << "not about this client";
}

}  // namespace
}  // namespace mitu::broker
