// CONNECT and CONNACK, byte by byte.

#include <gtest/gtest.h>

#include <set>

#include "tests/conformance/conversation.hpp"

namespace mitu::conformance {
namespace {

struct Row {
    const char* ids_of_5;
    const char* ids_of_3_1_1;
    const char* what;
    Bytes v5;
    Bytes v3_1_1;
    const char* code = "81";  // of 5.0's CONNACK
};

// [MQTT-3.1.4-1] of both, [MQTT-4.13.1-1]; [MQTT-3.2.2-6] of 3.1.1: it has no code for these.
TEST(conformance_connect, is_refused_for_what_breaks_the_rules) {
    const auto both = [](std::string_view flags, std::string_view rest) {
        return std::pair{
            packet(0x10, "<MQTT> 05 " + std::string{flags} + " 0000 00 " + std::string{rest}),
            packet(0x10, "<MQTT> 04 " + std::string{flags} + " 0000 " + std::string{rest})};
    };
    std::vector<Row> rows;
    const auto add = [&](const char* ids_of_5, const char* ids_of_3, const char* what,
                         const std::pair<Bytes, Bytes>& bytes, const char* code = "81") {
        rows.push_back({ids_of_5, ids_of_3, what, bytes.first, bytes.second, code});
    };
    add("MQTT-3.1.2-3", "MQTT-3.1.2-3", "the reserved flag", both("03", "<id>"));
    add("MQTT-3.1.2-11", "MQTT-3.1.2-11 MQTT-3.1.2-13", "a Will QoS without a will",
        both("0A", "<id>"));
    add("MQTT-3.1.2-13", "MQTT-3.1.2-11 MQTT-3.1.2-15", "Will Retain without a will",
        both("22", "<id>"));
    add("section 3.1.3", "MQTT-3.1.2-11", "a will without its flag", both("02", "<id> <t> <p>"));
    add("MQTT-3.1.2-12", "MQTT-3.1.2-14", "Will QoS 3",
        {packet(0x10, "<MQTT> 05 1E 0000 00 <id> 00 <t> <p>"),
         packet(0x10, "<MQTT> 04 1E 0000 <id> <t> <p>")});
    add("MQTT-3.1.2-9", "MQTT-3.1.2-9", "no will", both("06", "<id>"));
    add("MQTT-3.1.2-9", "MQTT-3.1.2-9", "no will payload",
        {packet(0x10, "<MQTT> 05 06 0000 00 <id> 00 <t>"),
         packet(0x10, "<MQTT> 04 06 0000 <id> <t>")});
    add("MQTT-3.1.2-16", "MQTT-3.1.2-18", "a user name without its flag",
        both("02", "<id> <name>"));
    add("MQTT-3.1.2-17", "MQTT-3.1.2-19", "no user name", both("82", "<id>"));
    add("MQTT-3.1.2-18", "MQTT-3.1.2-20", "a password without its flag",
        both("82", "<id> <name> <password>"));
    add("MQTT-3.1.2-19", "MQTT-3.1.2-21", "no password", both("C2", "<id> <name>"));
    add("MQTT-3.1.3-3", "MQTT-3.1.3-3", "no client id", both("02", ""));
    add("MQTT-3.1.3-4 MQTT-1.5.4-1", "MQTT-3.1.3-4", "a client id that is no UTF-8",
        both("02", "0001 FF"));
    add("MQTT-3.1.3-4 MQTT-1.5.4-2", "MQTT-3.1.3-4", "a client id with U+0000",
        both("02", "0001 00"));
    add("MQTT-3.1.3-11", "MQTT-3.1.3-10", "a will topic that is no UTF-8",
        {packet(0x10, "<MQTT> 05 06 0000 00 <id> 00 0001 FF <p>"),
         packet(0x10, "<MQTT> 04 06 0000 <id> 0001 FF <p>")});
    add("MQTT-3.1.3-12", "MQTT-3.1.3-11", "a user name that is no UTF-8",
        both("82", "<id> 0002 C3 28"));
    add("section 3.1", "section 3.1", "bytes left over", both("02", "<id> 00"));
    rows.push_back({"section 3.1.2.5",
                    "MQTT-3.1.2-22",
                    "a password without a user name",
                    {},
                    packet(0x10, "<MQTT> 04 42 0000 <id> <password>")});
    rows.push_back({"section 3.1.2.11.3",
                    "",
                    "Receive Maximum 0",
                    packet(0x10, "<MQTT> 05 02 0000 {21 0000} <id>"),
                    {},
                    "82"});
    rows.push_back({"section 3.1.2.11.4",
                    "",
                    "Maximum Packet Size 0",
                    packet(0x10, "<MQTT> 05 02 0000 {27 00000000} <id>"),
                    {},
                    "82"});
    rows.push_back({"section 3.1.2.11.7",
                    "",
                    "Request Problem Information 2",
                    packet(0x10, "<MQTT> 05 02 0000 {17 02} <id>"),
                    {},
                    "82"});
    for (const Row& row : rows) {
        SCOPED_TRACE(std::string{row.ids_of_5} + " / " + row.ids_of_3_1_1 + ", " + row.what);
        World world;
        if (!row.v5.empty()) {
            Line line{world};
            const std::string answer = line.says(row.v5);
            ASSERT_GE(answer.size(), 11u) << answer;
            EXPECT_EQ(answer.substr(0, 2), "20");
            EXPECT_EQ(answer.substr(6, 5), "00 " + std::string{row.code}) << answer;
            EXPECT_FALSE(line.is_open());
        }
        if (!row.v3_1_1.empty()) {
            Line line{world};
            EXPECT_EQ(line.says(row.v3_1_1), "") << "there is no return code for it";
            EXPECT_FALSE(line.is_open());
        }
        EXPECT_EQ(world.session("id"), nullptr);
    }
}

// [MQTT-3.1.2-1], [MQTT-3.1.2-2]
TEST(conformance_connect, tells_an_unknown_protocol_in_its_own_words) {
    struct Case {
        const char* what;
        Bytes bytes;
        std::string answer_begins;
    };
    const std::vector<Case> cases{
        {"a level below 5", packet(0x10, "<MQTT> 03 02 0000 <id>"), "20 02 00 01"},
        {"level 0", packet(0x10, "<MQTT> 00 02 0000 <id>"), "20 02 00 01"},
        {"the name of 3.1 with another level", packet(0x10, "<MQIsdp> 04 02 0000 <id>"),
         "20 02 00 01"},
    };
    for (const Case& row : cases) {
        SCOPED_TRACE(row.what);
        World world;
        Line line{world};
        EXPECT_EQ(line.says(row.bytes).substr(0, row.answer_begins.size()), row.answer_begins);
        EXPECT_FALSE(line.is_open());
        EXPECT_EQ(world.session("id"), nullptr);
    }
    for (const char* body : {"<MQTT> 06 02 0000 00 <id>", "<HTTP> 05 02 0000 00 <id>"}) {
        SCOPED_TRACE(body);
        World world;
        Line line{world};
        const std::string answer = line.says(packet(0x10, body));
        EXPECT_TRUE(answer == "20 02 00 01" || answer.find("00 84") != std::string::npos) << answer;
        EXPECT_FALSE(line.is_open());
        EXPECT_EQ(world.session("id"), nullptr);
    }
}

// [MQTT-3.2.0-1], [MQTT-3.2.0-2], [MQTT-3.2.2-1], [MQTT-3.1.4-4], [MQTT-3.1.4-5], [MQTT-4.12.0-6]
TEST(conformance_connect, gets_one_connack_before_anything_else) {
    for (const ProtocolVersion version : every_version) {
        World world{{.shards = 2}};
        Client& publisher = world.client("p").connect();
        publisher.publish("kept", "r", {.retain = true});
        Client& client = world.client("c").connect(lasting(version));
        client.subscribe("kept", {.qos = qos1});
        client.disconnect();
        publisher.publish("kept", "waits", {.qos = qos1});
        // The session has a message waiting, and the client does not wait for CONNACK either.
        client.connect_later(lasting(version));
        client.subscribe_later("kept", {.qos = qos1});
        world.run();
        const auto packets = client.take_packets();
        ASSERT_GE(packets.size(), 3u);
        const auto* const connack = packets[0].as<mqtt::Connack>();
        ASSERT_NE(connack, nullptr);
        EXPECT_EQ(connack->reason, ReasonCode::success);
        EXPECT_FALSE(connack->properties.authentication_method);
        const std::size_t flags_at = 2;  // behind a Remaining Length of one byte
        EXPECT_LE((*packets[0].bytes)[flags_at], 1);
        EXPECT_EQ(client.count(PacketType::connack), 1u);
        EXPECT_EQ(client.count(PacketType::auth), 0u);
    }
}

// [MQTT-3.2.2-2], [MQTT-3.2.2-3], [MQTT-3.1.2-4], [MQTT-3.1.2-6], [MQTT-3.1.4-4];
// of 3.1.1: [MQTT-3.2.2-1], [MQTT-3.2.2-2], [MQTT-3.2.2-3], [MQTT-3.1.4-3]
TEST(conformance_connect, says_in_session_present_whether_there_was_a_session) {
    for (const ProtocolVersion version : {v3_1_1, v5}) {
        World world;
        Client& client = world.client("c");
        Client& publisher = world.client("p").connect();
        ConnectOptions anew = lasting(version);
        anew.clean_start = true;
        EXPECT_FALSE(client.connect(lasting(version)).session_present()) << "there is none yet";
        client.subscribe("t", {.qos = qos1});
        client.disconnect();
        EXPECT_TRUE(client.connect(lasting(version)).session_present());
        publisher.publish("t", "1", {.qos = qos1});
        EXPECT_EQ(client.take_payloads(), Strings{"1"}) << "with its subscription";
        client.disconnect();
        EXPECT_FALSE(client.connect(anew).session_present()) << "it was to be discarded";
        publisher.publish("t", "2", {.qos = qos1});
        EXPECT_EQ(client.take_payloads(), Strings{});
    }
}

// [MQTT-3.1.4-6], [MQTT-3.2.2-6], [MQTT-3.2.2-7], [MQTT-3.2.2-8], [MQTT-3.14.0-1],
// [MQTT-3.1.3-8], [MQTT-4.13.2-1];
// of 3.1.1: [MQTT-3.1.3-7], [MQTT-3.1.3-8], [MQTT-3.1.3-9], [MQTT-3.1.4-5], [MQTT-3.2.2-4],
// [MQTT-3.2.2-5]
TEST(conformance_connect, closes_behind_every_refusal_and_hears_nothing_more) {
    struct Case {
        ReasonCode reason;
        const char* code_of_3;  // "": closed without a word
    };
    for (const Case& row :
         {Case{ReasonCode::client_identifier_not_valid, "02"},
          Case{ReasonCode::server_unavailable, "03"}, Case{ReasonCode::server_busy, "03"},
          Case{ReasonCode::bad_user_name_or_password, "04"}, Case{ReasonCode::not_authorized, "05"},
          Case{ReasonCode::banned, "05"}, Case{ReasonCode::connection_rate_exceeded, "03"},
          Case{ReasonCode::use_another_server, ""}}) {
        SCOPED_TRACE(mqtt::to_text(row.reason));
        World world;
        Client& witness = world.client("witness").connect();
        witness.subscribe("#");
        // There is a session, but the refused do not learn of it.
        for (const char* name : {"refused", "refused3"}) {
            ConnectOptions options = lasting(v5);
            world.client(name).connect(options).disconnect();
            world.gate().refused.emplace(name, broker::Refusal{row.reason, "no"});
        }
        Line line{world};
        Bytes bytes = packet(0x10, "<MQTT> 05 00 0000 00 <refused>");
        const Bytes behind = packet(0x30, "<t> 00 'heard'");
        bytes.insert(bytes.end(), behind.begin(), behind.end());
        const std::string answer = line.says(bytes);
        ASSERT_GE(answer.size(), 11u);
        EXPECT_EQ(answer.substr(6, 5), "00 " + hex(Bytes{static_cast<std::uint8_t>(row.reason)}));
        EXPECT_EQ(answer.find("E0"), std::string::npos) << "no DISCONNECT: " << answer;
        EXPECT_FALSE(line.is_open());

        Line line3{world};
        bytes = packet(0x10, "<MQTT> 04 00 0000 <refused3>");
        const Bytes behind3 = packet(0x30, "<t> 'heard'");
        bytes.insert(bytes.end(), behind3.begin(), behind3.end());
        const std::string code{row.code_of_3};
        EXPECT_EQ(line3.says(bytes), code.empty() ? "" : "20 02 00 " + code);
        EXPECT_FALSE(line3.is_open());
        EXPECT_EQ(witness.take_payloads(), Strings{});
    }
    World world;
    Line line{world};
    EXPECT_EQ(line.says(packet(0x10, "<MQTT> 04 00 0000 0000")), "20 02 00 02")
        << "an empty client id goes with a clean session";
    EXPECT_FALSE(line.is_open());
}

// [MQTT-3.1.3-2], [MQTT-3.1.3-5]
TEST(conformance_connect, takes_every_client_id_of_letters_and_digits) {
    const std::string all = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    Strings names;
    for (const char letter : all) names.emplace_back(1, letter);
    for (std::size_t i = 0; i + 23 <= all.size(); ++i) names.push_back(all.substr(i, 23));
    names.push_back(std::string(1'000, 'x'));  // which no server has to take
    for (const ProtocolVersion version : every_version) {
        World world{{.shards = 2}};
        for (const std::string& name : names) {
            Client& client = world.client(name).connect(passing(version));
            ASSERT_TRUE(client.is_connected()) << name;
            EXPECT_EQ(client.connack()->reason, ReasonCode::success);
            EXPECT_NE(world.session(name), nullptr);
        }
        EXPECT_EQ(world.counted(&broker::Counters::sessions), names.size())
            << "each name is another session, small and capital letters too";
    }
}

// [MQTT-3.1.3-6], [MQTT-3.1.3-7], [MQTT-3.2.2-16]
TEST(conformance_connect, assigns_a_client_id_that_names_the_session) {
    World world{{.shards = 3}};
    std::set<std::string> names;
    for (int i = 0; i < 20; ++i) {
        Client& client = world.client("").connect({.session_expiry_s = 100});
        ASSERT_TRUE(client.is_connected());
        const auto name = client.connack()->properties.assigned_client_identifier;
        ASSERT_TRUE(name);
        EXPECT_TRUE(names.emplace(*name).second);
        EXPECT_NE(world.session(*name), nullptr);
        client.cut();
        world.run();
        Client& again =
            world.client(*name).connect({.clean_start = false, .session_expiry_s = 100});
        EXPECT_TRUE(again.session_present());
        EXPECT_FALSE(again.connack()->properties.assigned_client_identifier);
    }
    // 3.1.1 cannot tell the name, but there is one, and it is nobody else's.
    const auto before = world.counted(&broker::Counters::sessions);
    Client& first = world.client("").connect(passing(v3_1_1));
    Client& second = world.client("").connect(passing(v3_1_1));
    EXPECT_TRUE(first.ping());
    EXPECT_TRUE(second.ping());
    EXPECT_EQ(world.counted(&broker::Counters::sessions), before + 2);
}

}  // namespace
}  // namespace mitu::conformance
