// What bounds a conversation: receive maximum, packet sizes, keep alive; shared subscriptions.

#include <gtest/gtest.h>

#include "tests/conformance/conversation.hpp"

namespace mitu::conformance {
namespace {

// [MQTT-4.9.0-1], [MQTT-4.9.0-2]
TEST(conformance_flow, the_first_window_is_what_the_client_takes) {
    for (const std::uint16_t maximum : {std::uint16_t{1}, std::uint16_t{3}, std::uint16_t{20}}) {
        World world;
        Client& client = world.client("c").connect({.receive_maximum = maximum});
        client.acknowledges = false;
        client.subscribe("t", {.qos = qos2});
        Client& publisher = world.client("p").connect();
        for (int i = 0; i < 30; ++i) publisher.publish("t", "x", {.qos = i % 2 == 0 ? qos1 : qos2});
        EXPECT_EQ(client.count(PacketType::publish), maximum);
        client.send_bytes(wire("40 02 0001"));
        EXPECT_EQ(client.count(PacketType::publish), maximum + 1u) << "one for each answer";
    }
}

// [MQTT-3.3.4-10], [MQTT-4.9.0-3]
TEST(conformance_flow, a_full_window_holds_up_nothing_but_publish) {
    World world;
    Client& client = world.client("c").connect({.receive_maximum = 1});
    client.acknowledges = false;
    client.subscribe("t", {.qos = qos2});
    Client& publisher = world.client("p").connect();
    for (int i = 0; i < 3; ++i) publisher.publish("t", "x", {.qos = qos2});
    ASSERT_EQ(client.count(PacketType::publish), 1u);
    client.take_packets();
    EXPECT_TRUE(client.ping());
    EXPECT_EQ(client.subscribe("u", {.qos = qos1}).size(), 1u);
    EXPECT_EQ(client.unsubscribe("u").size(), 1u);
    client.take_packets();
    client.send_bytes(packet(0x32, "<v> 0100 00 'x'"));
    client.send_bytes(packet(0x34, "<v> 0101 00 'x'"));
    client.send_bytes(wire("62 02 0101"));
    client.send_bytes(wire("50 02 0001"));
    EXPECT_EQ(bytes_of(client),
              (Strings{"40 03 01 00 10", "50 03 01 01 10", "70 02 01 01", "62 02 00 01"}));
    EXPECT_EQ(client.count(PacketType::publish), 1u);
}

// [MQTT-3.12.4-1]
TEST(conformance_flow, every_ping_has_its_answer) {
    for (const ProtocolVersion version : every_version) {
        World world;
        Client& client = world.client("c").connect(passing(version));
        client.take_packets();
        client.send_bytes(wire("C0 00 C0 00 C0 00"));
        EXPECT_EQ(bytes_of(client), (Strings{"D0 00", "D0 00", "D0 00"}));
    }
}

// Of 3.1.1: [MQTT-3.1.2-24]
TEST(conformance_flow, silence_of_one_and_a_half_keep_alives_ends_any_version) {
    for (const ProtocolVersion version : every_version) {
        World world;
        ConnectOptions options = passing(version);
        options.keep_alive_s = 10;
        Client& client = world.client("c").connect(options);
        world.advance(Duration::milliseconds(14'900));
        EXPECT_TRUE(client.ping());
        world.advance(Duration::milliseconds(14'900));
        EXPECT_TRUE(client.is_open());
        world.advance(Duration::milliseconds(200));
        EXPECT_FALSE(client.is_open());
    }
}

// --- sizes ---

/// Provokes every answer with a reason: CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK
/// and DISCONNECT. Gives all packets but the CONNACK that accepts.
std::vector<broker::testing::SeenPacket> quarrel(const ConnectOptions& options) {
    World world{{.limits = {.subscriptions_max = 1, .retained_messages_max = 1}}};
    Client& client = world.client("c").connect(options);
    client.publish("kept", "x", {.retain = true});
    client.take_packets();
    client.send_bytes_later(packet(0x33, "<two> 0001 00 'x'"));      // PUBACK 0x97
    client.send_bytes_later(packet(0x35, "<two> 0002 00 'x'"));      // PUBREC 0x97
    client.send_bytes_later(wire("50 02 0003  62 02 0004"));         // PUBREL, PUBCOMP 0x92
    client.send_bytes_later(packet(0x82, "0005 00 <a> 00 <b> 00"));  // SUBACK 0x97
    client.send_bytes_later(packet(0xA2, "0006 00 <nothing>"));      // UNSUBACK 0x11
    client.send_bytes(packet(0x30, "<a> {23 FFFF}"));                // DISCONNECT 0x94
    auto packets = client.take_packets();
    EXPECT_EQ(client.count(PacketType::puback), 1u);
    EXPECT_EQ(client.count(PacketType::pubrec), 1u);
    EXPECT_EQ(client.count(PacketType::pubrel), 1u);
    EXPECT_EQ(client.count(PacketType::pubcomp), 1u);
    EXPECT_EQ(client.count(PacketType::suback), 1u);
    EXPECT_EQ(client.count(PacketType::unsuback), 1u);
    EXPECT_EQ(client.count(PacketType::disconnect), 1u);
    return packets;
}

template <class T>
bool has_reason_string(const broker::testing::SeenPacket& seen) {
    const T* const packet = seen.as<T>();
    return packet != nullptr && packet->properties.reason_string.has_value();
}

bool has_reason_string(const broker::testing::SeenPacket& seen) {
    if (const auto* p = seen.as<mqtt::Disconnect>()) return p->reason_string.has_value();
    return has_reason_string<mqtt::Puback>(seen) || has_reason_string<mqtt::Pubrec>(seen) ||
           has_reason_string<mqtt::Pubrel>(seen) || has_reason_string<mqtt::Pubcomp>(seen) ||
           has_reason_string<mqtt::Suback>(seen) || has_reason_string<mqtt::Unsuback>(seen);
}

std::size_t count_of_reason_strings(const std::vector<broker::testing::SeenPacket>& packets) {
    std::size_t count = 0;
    for (const auto& seen : packets) count += has_reason_string(seen) ? 1 : 0;
    return count;
}

constexpr std::uint32_t smallest_connack_bytes = 32;

// [MQTT-3.4.2-2], [MQTT-3.5.2-2], [MQTT-3.6.2-2], [MQTT-3.7.2-2], [MQTT-3.9.2-1], [MQTT-3.11.2-1],
// [MQTT-3.14.2-3]: every answer comes, without the words where they do not fit.
TEST(conformance_size, reason_strings_are_left_out_where_they_do_not_fit) {
    const auto at_ease = quarrel({});
    EXPECT_GE(count_of_reason_strings(at_ease), 3u) << "PUBACK, PUBREC and DISCONNECT";
    const auto cramped = quarrel({.maximum_packet_size = smallest_connack_bytes});
    ASSERT_EQ(cramped.size(), at_ease.size());
    for (std::size_t i = 0; i < cramped.size(); ++i) {
        EXPECT_EQ(cramped[i].packet.index(), at_ease[i].packet.index());
        EXPECT_LE(cramped[i].bytes->size(), smallest_connack_bytes);
        if (cramped[i].as<mqtt::Pubrel>() != nullptr || cramped[i].as<mqtt::Pubcomp>() != nullptr ||
            cramped[i].as<mqtt::Suback>() != nullptr ||
            cramped[i].as<mqtt::Unsuback>() != nullptr) {
            EXPECT_FALSE(has_reason_string(at_ease[i])) << "these never have one";
        }
        if (at_ease[i].bytes->size() > smallest_connack_bytes) {
            EXPECT_FALSE(has_reason_string(cramped[i]));
        }
    }
    EXPECT_LT(count_of_reason_strings(cramped), count_of_reason_strings(at_ease));
}

// [MQTT-3.1.2-24]
TEST(conformance_size, no_packet_is_larger_than_the_client_takes) {
    for (std::uint32_t maximum = smallest_connack_bytes; maximum < 120; ++maximum) {
        for (const auto& seen : quarrel({.maximum_packet_size = maximum})) {
            EXPECT_LE(seen.bytes->size(), maximum);
        }
    }
}

// [MQTT-3.1.2-29]
TEST(conformance_size, reason_strings_go_only_to_who_wants_them) {
    for (const auto& seen : quarrel({.request_problem_information = false})) {
        if (seen.as<mqtt::Disconnect>() != nullptr) continue;
        EXPECT_FALSE(has_reason_string(seen)) << hex(*seen.bytes);
    }
}

// [MQTT-3.2.2-20], [MQTT-3.4.2-3], [MQTT-3.5.2-3], [MQTT-3.6.2-3], [MQTT-3.7.2-3], [MQTT-3.9.2-2],
// [MQTT-3.11.2-2], [MQTT-3.14.2-4]: what is never there cannot be too large.
TEST(conformance_size, the_server_says_nothing_in_user_properties) {
    auto packets = quarrel({.user_properties = {{"n", "v"}}});
    World world;
    Client& client = world.client("c").connect({.user_properties = {{"n", "v"}}});
    for (auto& seen : client.take_packets()) packets.push_back(seen);
    std::size_t judged = 0;
    for (const auto& seen : packets) {
        std::visit(
            [&](const auto& packet) {
                if constexpr (requires { packet.properties.user; }) {
                    EXPECT_TRUE(packet.properties.user.block.empty());
                    ++judged;
                } else if constexpr (requires { packet.user; }) {
                    EXPECT_TRUE(packet.user.block.empty());
                    ++judged;
                }
            },
            seen.packet);
    }
    EXPECT_EQ(judged, 8u) << "one of each kind that could have them";
}

// --- shared subscriptions ---

// [MQTT-4.8.2-6]
TEST(conformance_shared, what_a_member_refuses_goes_to_no_other) {
    for (const char* refusal : {"40 03 0001 83", "50 03 0001 83"}) {
        World world{{.shards = 2}};
        const auto qos = refusal[0] == '4' ? qos1 : qos2;
        Client& a = world.client("a").connect();
        Client& b = world.client("b").connect();
        for (Client* member : {&a, &b}) {
            member->acknowledges = false;
            member->subscribe("$share/g/t", {.qos = qos2});
        }
        world.client("p").connect().publish("t", "x", {.qos = qos});
        ASSERT_EQ(a.count(PacketType::publish) + b.count(PacketType::publish), 1u);
        Client& chosen = a.count(PacketType::publish) == 1 ? a : b;
        chosen.send_bytes(wire(refusal));
        chosen.cut();
        world.run();
        EXPECT_EQ(a.count(PacketType::publish) + b.count(PacketType::publish), 1u);
        EXPECT_EQ(world.stored_messages(), 0u) << "it is gone";
    }
}

}  // namespace
}  // namespace mitu::conformance
