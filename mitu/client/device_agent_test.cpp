// The reference device against a server that is played by hand.

#include "mitu/client/device_agent.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "mitu/client/scripted_server.hpp"

namespace mitu::client {
namespace {

using mqtt::QoS;
using nlohmann::json;
using test::ack;
using test::at;
using test::encoded;

const std::string shadow = "$mitu/things/d1/shadow/name/mitu-policy";

std::string document(int version, int revision, const json& settings, const json& reported = {}) {
    json state{{"desired", {{"revision", revision}, {"settings", settings}}}};
    if (!reported.is_null()) state["reported"] = reported;
    return json{{"state", state}, {"version", version}, {"timestamp", 1}}.dump();
}

struct Device {
    explicit Device(AgentOptions options = {})
        : agent{connect_options(), std::make_shared<const AgentOptions>(std::move(options)), "d1",
                7} {}

    static ConnectOptions connect_options() {
        ConnectOptions options;
        options.client_id = "d1";
        options.keep_alive_s = 0;
        options.session_expiry_interval_s = 300;
        return options;
    }

    void connect(bool session_present = false) {
        ASSERT_TRUE(agent.on_open(at(now_s), out));
        out.transport.bytes.clear();
        mqtt::Connack connack;
        connack.session_present = session_present;
        receive(connack);
    }
    void receive(const mqtt::Packet& packet) {
        received = encoded(packet);
        agent.on_bytes(received, at(now_s), out);
    }
    /// Acknowledges every request that was written, and returns the publishes as "topic payload".
    std::vector<std::string> exchange() {
        std::vector<std::string> publishes;
        const Bytes written = std::exchange(out.transport.bytes, {});
        for (const mqtt::Packet& packet : test::packets_in(written)) {
            if (const auto* publish = std::get_if<mqtt::Publish>(&packet)) {
                publishes.push_back(std::string{publish->topic} + " " +
                                    mitu::to_text(publish->payload));
                if (publish->qos == QoS::at_least_once) {
                    receive(ack<mqtt::Puback>(publish->packet_id));
                }
            } else if (const auto* subscribe = std::get_if<mqtt::Subscribe>(&packet)) {
                std::size_t count = 0;
                ByteView list = subscribe->filters.encoded;
                while (mqtt::SubscriptionList::next(list)) ++count;
                const Bytes reasons(count, subscribe_reason);
                mqtt::Suback suback;
                suback.packet_id = subscribe->packet_id;
                suback.reasons = reasons;
                receive(suback);
                ++subscribes;
            }
        }
        return publishes;
    }
    void tell(const std::string& operation, const std::string& payload) {
        const std::string topic = shadow + operation;
        receive(test::publish(topic, payload, QoS::at_most_once));
    }
    /// Lets time pass until the agent has nothing scheduled before `until_s`.
    void run_until(double until_s) {
        while (agent.next_deadline() <= at(until_s)) {
            now_s = Duration::nanoseconds(agent.next_deadline().since_start_ns()).as_seconds();
            agent.on_deadline(at(now_s) + Duration::nanoseconds(1'000), out);
        }
        now_s = until_s;
    }
    /// Through subscribing, up to the question for the document.
    void ask() {
        connect();
        EXPECT_TRUE(exchange().empty());
        EXPECT_EQ(exchange(), std::vector<std::string>{shadow + "/get "});
    }
    std::uint32_t count(AgentEvent::Kind kind) const {
        std::uint32_t found = 0;
        for (const AgentEvent& event : out.events) found += event.kind == kind ? 1 : 0;
        return found;
    }

    DeviceAgent agent;
    AgentOutput out;
    Bytes received;
    double now_s = 0;
    std::uint8_t subscribe_reason = 0x01;
    int subscribes = 0;
};

TEST(device_agent, gets_applies_and_reports_its_policy) {
    Device d;
    d.ask();
    d.tell("/get/accepted", document(3, 7, {{"mode", "eco"}}));
    EXPECT_EQ(d.agent.applied_revision(), 7);
    EXPECT_EQ(d.agent.applied_settings(), R"({"mode":"eco"})");
    EXPECT_EQ(d.count(AgentEvent::Kind::policy_applied), 1u);
    EXPECT_FALSE(d.agent.is_settled());

    const auto reports = d.exchange();
    ASSERT_EQ(reports.size(), 1u);
    ASSERT_TRUE(reports[0].starts_with(shadow + "/update "));
    const json report = json::parse(reports[0].substr(shadow.size() + 8));
    EXPECT_EQ(report["state"]["reported"],
              json::parse(R"({"revision":7,"settings":{"mode":"eco"}})"));
    d.tell("/update/accepted", json{{"version", 4}, {"clientToken", "someone else"}}.dump());
    EXPECT_FALSE(d.agent.is_settled()) << "another's update is not the answer to ours";
    d.tell("/update/accepted", json{{"version", 5}, {"clientToken", report["clientToken"]}}.dump());
    EXPECT_TRUE(d.agent.is_settled());
    EXPECT_EQ(d.count(AgentEvent::Kind::policy_reported), 1u);
    EXPECT_TRUE(d.agent.next_deadline().is_never());
}

TEST(device_agent, reports_nothing_when_the_server_already_knows) {
    Device d;
    d.ask();
    d.tell("/get/accepted",
           document(3, 7, {{"a", 1}}, {{"revision", 7}, {"settings", {{"a", 1}}}}));
    EXPECT_EQ(d.agent.applied_revision(), 7);
    EXPECT_TRUE(d.agent.is_settled());
    EXPECT_TRUE(d.exchange().empty());
}

TEST(device_agent, a_delta_makes_it_get_the_whole_document_once) {
    Device d;
    d.ask();
    d.tell("/get/accepted",
           document(3, 7, {{"a", 1}}, {{"revision", 7}, {"settings", {{"a", 1}}}}));
    d.tell("/update/delta", R"({"version":4,"timestamp":1,"state":{"revision":8}})");
    EXPECT_EQ(d.exchange(), std::vector<std::string>{shadow + "/get "});
    d.tell("/update/delta", R"({"version":4,"timestamp":1,"state":{"revision":8}})");
    EXPECT_TRUE(d.exchange().empty()) << "the same delta again is old news";
    d.tell("/get/accepted",
           document(4, 8, {{"b", 2}}, {{"revision", 7}, {"settings", {{"a", 1}}}}));
    EXPECT_EQ(d.agent.applied_revision(), 8);
    const auto reports = d.exchange();
    ASSERT_EQ(reports.size(), 1u);
    EXPECT_NE(reports[0].find(R"("a":null)"), std::string::npos);
}

TEST(device_agent, a_delta_while_reporting_is_worked_on_afterwards) {
    Device d;
    d.ask();
    d.tell("/get/accepted", document(3, 7, {{"a", 1}}));
    const auto reports = d.exchange();
    ASSERT_EQ(reports.size(), 1u);
    const json report = json::parse(reports[0].substr(shadow.size() + 8));
    d.tell("/update/delta", R"({"version":4,"state":{"revision":8}})");
    EXPECT_TRUE(d.exchange().empty());
    d.tell("/update/accepted", json{{"version", 5}, {"clientToken", report["clientToken"]}}.dump());
    EXPECT_EQ(d.exchange(), std::vector<std::string>{shadow + "/get "});
}

TEST(device_agent, an_answer_older_than_the_last_delta_is_asked_for_again) {
    Device d;
    d.ask();
    d.tell("/update/delta", R"({"version":9,"state":{"revision":8}})");
    d.tell("/get/accepted", document(8, 7, {{"a", 1}}));
    EXPECT_EQ(d.agent.applied_revision(), 0);
    EXPECT_EQ(d.exchange(), std::vector<std::string>{shadow + "/get "});
}

TEST(device_agent, without_a_policy_it_is_settled_and_waits_for_a_delta) {
    Device d;
    d.ask();
    d.tell("/get/rejected", R"({"code":404,"message":"no shadow"})");
    EXPECT_TRUE(d.agent.is_settled());
    EXPECT_EQ(d.count(AgentEvent::Kind::policy_none), 1u);
    d.tell("/update/delta", R"({"version":1,"state":{"revision":1}})");
    EXPECT_EQ(d.exchange(), std::vector<std::string>{shadow + "/get "});
}

TEST(device_agent, asks_again_after_a_rejection_a_bad_document_or_silence) {
    for (const std::string& answer :
         {std::string{"rejected"}, std::string{"malformed"}, std::string{"silence"}}) {
        Device d;
        d.ask();
        if (answer == "rejected") {
            d.tell("/get/rejected", R"({"code":429,"message":"slow down"})");
            EXPECT_EQ(d.count(AgentEvent::Kind::policy_rejected), 1u);
        } else if (answer == "malformed") {
            d.tell("/get/accepted", "what?");
            EXPECT_EQ(d.count(AgentEvent::Kind::policy_malformed), 1u);
        }
        EXPECT_FALSE(d.agent.is_settled());
        d.run_until(11.5);
        if (answer == "silence") {
            EXPECT_TRUE(d.exchange().empty()) << "it subscribes again first";
        }
        EXPECT_EQ(d.exchange(), std::vector<std::string>{shadow + "/get "}) << answer;
    }
}

TEST(device_agent, two_sides_that_disagree_do_not_talk_each_other_into_a_storm) {
    Device d;
    d.ask();
    std::size_t reports = 0;
    int version = 1;
    // A server that never accepts what it is told: it confirms, and then sees a difference.
    d.tell("/get/accepted", document(version, 7, {{"a", 1}}));
    for (int round = 0; round < 1'000; ++round) {
        for (const std::string& message : d.exchange()) {
            if (message.starts_with(shadow + "/get")) {
                d.tell("/get/accepted", document(++version, 7, {{"a", 1}}));
            } else {
                ++reports;
                const json report = json::parse(message.substr(shadow.size() + 8));
                d.tell("/update/accepted",
                       json{{"version", ++version}, {"clientToken", report["clientToken"]}}.dump());
                d.tell("/update/delta", json{{"version", ++version}, {"state", {{"a", 1}}}}.dump());
            }
        }
        d.run_until(d.now_s + 0.6);
    }
    EXPECT_GT(reports, 5u);
    EXPECT_LT(reports, 30u) << "in ten minutes";
}

TEST(device_agent, applying_takes_its_time) {
    AgentOptions options;
    options.apply_time = Duration::seconds(4);
    options.jitter_bp = 0;
    Device d{options};
    d.ask();
    d.tell("/get/accepted", document(3, 7, {{"a", 1}}));
    EXPECT_EQ(d.agent.applied_revision(), 0);
    EXPECT_EQ(d.agent.next_deadline(), at(4));
    d.run_until(4);
    EXPECT_EQ(d.agent.applied_revision(), 7);
    EXPECT_EQ(d.exchange().size(), 1u);
}

TEST(device_agent, beats_at_the_interval_that_its_policy_names) {
    AgentOptions options;
    options.heartbeat_interval = Duration::seconds(10);
    options.jitter_bp = 0;
    Device d{options};
    d.ask();
    d.run_until(9.999);
    EXPECT_EQ(d.count(AgentEvent::Kind::heartbeat_sent), 1u) << "the first within one interval";
    d.exchange();
    d.out.clear();
    d.tell("/get/accepted", document(3, 7, {{"heartbeat_interval_s", 2}}));
    EXPECT_EQ(d.agent.heartbeat_interval(), Duration::seconds(2));
    d.exchange();
    d.out.clear();
    d.run_until(19.9999);
    EXPECT_EQ(d.count(AgentEvent::Kind::heartbeat_sent), 5u);
    const auto beats = d.exchange();
    ASSERT_GE(beats.size(), 1u);
    ASSERT_TRUE(beats[0].starts_with("t/d1/heartbeat "));
    EXPECT_EQ(json::parse(beats[0].substr(15))["policy_revision"], 7);
}

TEST(device_agent, asks_for_telemetry_at_the_interval_of_its_policy) {
    Device d;
    d.ask();
    EXPECT_EQ(d.count(AgentEvent::Kind::telemetry_due), 0u);
    d.tell("/get/accepted", document(3, 7, {{"sample_hz", 2}},
                                     json::parse(R"({"revision":7,"settings":{"sample_hz":2}})")));
    d.run_until(10);
    EXPECT_GE(d.count(AgentEvent::Kind::telemetry_due), 18u);
    EXPECT_LE(d.count(AgentEvent::Kind::telemetry_due), 22u);
    d.out.clear();
    ASSERT_TRUE(d.agent.publish_telemetry(as_bytes("{}"), QoS::at_least_once, 5, at(10), d.out));
    EXPECT_EQ(d.exchange(), std::vector<std::string>{"t/d1/telemetry {}"});
    ASSERT_EQ(test::events_of<PublishDone>(d.out.transport).size(), 1u);
    EXPECT_EQ(test::events_of<PublishDone>(d.out.transport)[0].token, 5u);
}

TEST(device_agent, a_refused_subscription_leaves_the_rest_of_the_device_working) {
    AgentOptions options;
    options.heartbeat_interval = Duration::seconds(1);
    Device d{options};
    d.subscribe_reason = 0x87;
    d.connect();
    d.exchange();
    EXPECT_EQ(d.count(AgentEvent::Kind::policy_refused), 1u);
    EXPECT_TRUE(d.agent.is_settled());
    d.run_until(5);
    EXPECT_GE(d.count(AgentEvent::Kind::heartbeat_sent), 4u);
}

TEST(device_agent, a_resumed_session_asks_without_subscribing_again) {
    Device d;
    d.ask();
    d.tell("/get/accepted",
           document(3, 7, {{"a", 1}}, {{"revision", 7}, {"settings", {{"a", 1}}}}));
    EXPECT_EQ(d.subscribes, 1);
    d.agent.on_close(d.out);
    EXPECT_TRUE(d.agent.next_deadline().is_never()) << "a device that is cut off is silent";
    d.connect(true);
    EXPECT_EQ(d.exchange(), std::vector<std::string>{shadow + "/get "});
    EXPECT_EQ(d.subscribes, 1);
    d.agent.on_close(d.out);
    d.connect(false);
    d.exchange();
    EXPECT_EQ(d.subscribes, 2) << "a new session knows no subscription";
}

// Its CONNACK was lost, or the server was another one for a while: the session that is resumed now
// is not the one in which the shadow was subscribed to.
TEST(device_agent, subscribes_again_when_a_resumed_session_does_not_answer) {
    Device d;
    d.ask();
    d.tell("/get/accepted", document(3, 7, {{"mode", "eco"}}));
    d.exchange();
    d.agent.on_close(d.out);
    d.connect(true);
    EXPECT_EQ(d.exchange(), std::vector<std::string>{shadow + "/get "});
    EXPECT_EQ(d.subscribes, 1);
    d.run_until(d.now_s + 15);
    EXPECT_EQ(d.count(AgentEvent::Kind::policy_timeout), 1u);
    EXPECT_TRUE(d.exchange().empty());
    EXPECT_EQ(d.subscribes, 2);
    EXPECT_EQ(d.exchange(), std::vector<std::string>{shadow + "/get "});
}

}  // namespace
}  // namespace mitu::client
