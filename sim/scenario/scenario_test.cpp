#include "sim/scenario/scenario.hpp"

#include <gtest/gtest.h>

#include "sim/scenario/values.hpp"

namespace mitu::sim::scenario {
namespace {

Scenario parse(std::string_view text) {
    auto scenario = parse_scenario("folder/a_promise.scn", text);
    if (!scenario) {
        ADD_FAILURE() << fleet::to_text(scenario.error());
        return {};
    }
    return std::move(*scenario);
}

std::string problems(std::string_view text) {
    const auto scenario = parse_scenario("x.scn", text);
    if (scenario) return "";
    std::string told = fleet::to_text(scenario.error());
    told.pop_back();  // the end of the last line
    return told;
}

template <class What>
const What& step(const Scenario& scenario, std::size_t index) {
    return std::get<What>(scenario.steps.at(index).what);
}

template <class What>
const What& action(const Scenario& scenario, std::size_t index) {
    return std::get<What>(step<ActStep>(scenario, index).action);
}

}  // namespace

TEST(scenario, is_named_for_its_file_and_says_one_thing_a_line) {
    const Scenario s = parse(
        "# a comment\n"
        "server shards=3 packet_bytes_max=2048 anonymous=0\n"
        "client a  connect; subscribe x/+ qos=1   # joined by ;\n"
        "a publish x/1 \"hello\" qos=1 retain=1 -> success\n"
        "expect a publish x/1 \"hello\" qos=1 within 4s\n"
        "network cut a\n"
        "wait 1500ms\n");
    EXPECT_EQ(s.name, "a_promise");
    EXPECT_EQ(s.server.shards, 3);
    EXPECT_EQ(s.server.packet_bytes_max, 2'048u);
    EXPECT_FALSE(s.server.allow_anonymous);
    ASSERT_EQ(s.steps.size(), 6u);
    EXPECT_EQ(s.steps[1].line, 3u);
    EXPECT_EQ(s.steps[1].text, "a subscribe x/+ qos=1");
    EXPECT_EQ(action<act::Subscribe>(s, 1).filters.at(0).filter, "x/+");
    EXPECT_TRUE(action<act::Publish>(s, 2).options.retain);
    EXPECT_EQ(step<ActStep>(s, 2).answer.kind, Answer::Kind::reasons);
    EXPECT_EQ(step<ExpectStep>(s, 3).time, Duration::seconds(4));
    EXPECT_EQ(step<ExpectStep>(s, 3).wants.size(), 3u);
    EXPECT_EQ(step<WaitStep>(s, 5).time, Duration::milliseconds(1'500));
}

TEST(scenario, an_indented_line_continues_the_one_above) {
    const Scenario s = parse("client a  connect keep_alive=2s\n    will=lost; ping\n");
    ASSERT_EQ(s.steps.size(), 2u);
    EXPECT_EQ(action<act::Connect>(s, 0).options.will->topic, "lost");
}

TEST(scenario, the_filter_of_everything_is_written_in_quotes) {
    const Scenario s = parse("client a  connect; subscribe \"#\" a/# # the rest is a comment\n");
    const auto& filters = action<act::Subscribe>(s, 1).filters;
    ASSERT_EQ(filters.size(), 2u);
    EXPECT_EQ(filters[0].filter, "#");
    EXPECT_EQ(filters[1].filter, "a/#");
}

TEST(scenario, quotes_hold_spaces_semicolons_equals_and_escapes) {
    const Scenario s = parse("client a  connect; publish t \"a=b; c\\x00\\n\\\"\" qos=1\n");
    EXPECT_EQ(action<act::Publish>(s, 1).payload, std::string("a=b; c\0\n\"", 9));
}

TEST(scenario, connect_says_every_property) {
    const Scenario s = parse(
        "client a id=b  connect v=5 clean_start=0 keep_alive=60s session_expiry=never "
        "receive_maximum=3 maximum_packet_size=99 topic_alias_maximum=7 "
        "request_response_information=1 request_problem_information=0 authentication_method=M "
        "authentication_data=D user=U password=P user.k=v user.k=w will=lost will_payload=gone "
        "will_qos=2 will_retain=1 will_delay=5s will_message_expiry=6s will_payload_format=1 "
        "will_response_topic=r will_correlation_data=c will_content_type=t will_user.x=y\n");
    EXPECT_EQ(s.actors.at(0).client_id, "b");
    const ConnectOptions& o = action<act::Connect>(s, 0).options;
    EXPECT_FALSE(o.clean_start);
    EXPECT_EQ(o.keep_alive_s, 60);
    EXPECT_EQ(o.session_expiry_s, 0xFFFF'FFFF);
    EXPECT_EQ(o.receive_maximum, 3);
    EXPECT_EQ(o.maximum_packet_size, 99u);
    EXPECT_EQ(o.topic_alias_maximum, 7);
    EXPECT_TRUE(o.request_response_information);
    EXPECT_FALSE(o.request_problem_information);
    EXPECT_EQ(o.authentication_method, "M");
    EXPECT_EQ(o.authentication_data, "D");
    EXPECT_EQ(o.user_name, "U");
    EXPECT_EQ(o.password, "P");
    EXPECT_EQ(o.user_properties, (UserPairs{{"k", "v"}, {"k", "w"}}));
    ASSERT_TRUE(o.will);
    EXPECT_EQ(o.will->qos, mqtt::QoS::exactly_once);
    EXPECT_EQ(o.will->delay_s, 5u);
    EXPECT_EQ(o.will->message_expiry_s, 6u);
    EXPECT_EQ(o.will->payload_is_utf8, true);
    EXPECT_EQ(o.will->response_topic, "r");
    EXPECT_EQ(o.will->correlation_data, "c");
    EXPECT_EQ(o.will->content_type, "t");
    EXPECT_EQ(o.will->user_properties, (UserPairs{{"x", "y"}}));
}

TEST(scenario, options_of_a_subscription_belong_to_the_filter_in_front_of_them) {
    const Scenario s = parse(
        "client a  connect; subscribe x qos=1 y qos=2 no_local=1 retain_as_published=1 "
        "retain_handling=2 subscription_identifier=9\n");
    const auto& subscribe = action<act::Subscribe>(s, 1);
    ASSERT_EQ(subscribe.filters.size(), 2u);
    EXPECT_EQ(subscribe.identifier, 9u);
    EXPECT_EQ(subscribe.filters[0].options.qos, mqtt::QoS::at_least_once);
    EXPECT_FALSE(subscribe.filters[0].options.no_local);
    EXPECT_TRUE(subscribe.filters[1].options.no_local);
    EXPECT_EQ(subscribe.filters[1].options.retain_handling, mqtt::RetainHandling::do_not_send);
}

TEST(scenario, a_device_logs_in_as_the_registry_has_it) {
    const Scenario s = parse(
        "registry\n    device,tenant,class,password\n    d1,acme,thermostat,secret\n"
        "device d1  connect\n");
    const ConnectOptions& o = action<act::Connect>(s, 0).options;
    EXPECT_EQ(o.user_name, "d1@acme");
    EXPECT_EQ(o.password, "secret");
    EXPECT_NE(s.server.registry.find("\n\nd1") == std::string::npos, false);
    EXPECT_NE(s.server.registry.find("credential"), std::string::npos);
    EXPECT_EQ(s.server.registry.find("secret"), std::string::npos) << "only its hash";
    EXPECT_NE(s.server.registry.find("\nd1,acme,thermostat,"), std::string::npos);
}

TEST(scenario, a_policy_keeps_its_lines_and_its_shape) {
    const Scenario s =
        parse("policy\n    kind: Tenant\n      deeper: 1\n    ---\nclient a connect\n");
    EXPECT_EQ(s.server.policies, "\nkind: Tenant\n  deeper: 1\n---\n");
}

TEST(scenario, a_mistake_names_file_line_value_and_remedy) {
    EXPECT_EQ(problems("client a  conect\n"),
              "x.scn:1: \"conect\" is no action; did you mean connect?");
    EXPECT_EQ(problems("client a  connect keepalive=2s\n"),
              "x.scn:1: connect knows no keepalive; did you mean keep_alive?");
    EXPECT_EQ(problems("client a  connect keep_alive=2\n"),
              "x.scn:1: keep_alive is \"2\"; use whole seconds such as 10s, 5m, or never");
    EXPECT_EQ(
        problems("client a  connect\nbob ping\n"),
        "x.scn:2: nobody is called \"bob\"; write `client bob` above, or one of server, policy, "
        "registry, network, wait, expect");
    EXPECT_EQ(problems("client a  connect\nexpect a publish t qoss=1\n"),
              "x.scn:2: a publish has no field qoss; did you mean qos?");
    EXPECT_EQ(problems("client a  connect; publish t \"x\" qos=3\n"),
              "x.scn:1: qos is \"3\"; use 0, 1 or 2");
    EXPECT_EQ(problems("client a  connect -> succes\n"),
              "x.scn:1: behind -> is succes; use a reason code (success, not_authorized, 0x87), "
              "`later` or `closed`, then fields of the answer");
    EXPECT_EQ(problems("client a  connect \"x\n"),
              "x.scn:1: a quote is not closed; end the text with \"");
    EXPECT_EQ(problems("client a  connect\nexpect a puback reason=nope\n"),
              "x.scn:2: reason is \"nope\"; use a reason code by its name (not_authorized) or "
              "number (0x87)");
}

TEST(scenario, all_mistakes_are_told_at_once_in_the_order_of_their_lines) {
    EXPECT_EQ(problems("client a  conect\nwait long\nclient b  \"\n"),
              "x.scn:1: \"conect\" is no action; did you mean connect?\n"
              "x.scn:2: wait is \"long\"; use a time such as 1s\n"
              "x.scn:3: a quote is not closed; end the text with \"");
}

TEST(scenario, what_is_empty_or_out_of_place_is_a_mistake) {
    for (const char* text : {
             "",                                      // nothing happens
             "server shards=0\nclient a connect\n",   // out of range
             "client a connect\nserver shards=2\n",   // too late
             "client a connect\nclient a connect\n",  // twice
             "client wait connect\n",                 // reserved
             "device\n",                              // no name
             "  client a connect\n",                  // indented
             "client a connect\nnetwork melt a\n",    // no such thing
             "client a connect\nnetwork cut\n",       // nobody
             "client a connect;; ping\n",             // an action is missing
             "client a connect -> later success\n",   // not alone
             "client a -> success\n",                 // no action
             "client a connect ->\n",                 // nothing behind it
             "client a raw zz\n",                     // no hexadecimal digits
             "client a raw\n",                        // no bytes
             "client a puback\n",                     // no id
             "client a subscribe\n",                  // no filter
             "client a subscribe qos=1 x\n",          // option before any filter
             "client a connect will_qos=1\n",         // no will
             "client a publish t x bytes=3\n",        // two payloads
             "client a publish t times=0\n",          // no times
             "policy\nclient a connect\n",            // an empty block
             "client a connect\nexpect a\n",          // nothing expected
             "client a connect\nexpect a closed now\n",
             "client a connect\nexpect a nothing within 1s\n",
             "client a connect\nexpect a puback 5\n",
             "client a connect\nexpect a publish t message_expiry=9..8\n",
             "registry\n    device,tenant\n    d1,acme\ndevice d1 connect\n",
             "registry\n    device,tenant,password\n    d1,acme,x\ndevice d2 connect\n",
         }) {
        EXPECT_FALSE(parse_scenario("x.scn", text)) << text;
    }
}

TEST(values, are_read_as_they_are_written) {
    EXPECT_EQ(parse_duration("250ms"), Duration::milliseconds(250));
    EXPECT_EQ(parse_duration("2m"), Duration::seconds(120));
    EXPECT_FALSE(parse_duration("2"));
    EXPECT_FALSE(parse_duration("s"));
    EXPECT_FALSE(parse_duration("-1s"));
    EXPECT_FALSE(parse_duration("99999999999999999999h"));
    EXPECT_EQ(parse_seconds("never"), 0xFFFF'FFFF);
    EXPECT_FALSE(parse_seconds("1500ms"));
    EXPECT_EQ(parse_reason("session_taken_over"), mqtt::ReasonCode::session_taken_over);
    EXPECT_EQ(parse_reason("granted_qos_0"), mqtt::ReasonCode::success);
    EXPECT_EQ(parse_reason("0x8E"), mqtt::ReasonCode::session_taken_over);
    EXPECT_FALSE(parse_reason("unknown"));
    EXPECT_EQ(parse_hex("c0 00"), (Bytes{0xC0, 0}));
    EXPECT_FALSE(parse_hex("c"));
}

}  // namespace mitu::sim::scenario
