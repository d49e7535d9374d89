// Writes the seeds of the fuzzers: mqtt_write_seeds tests/corpus/mqtt
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "mitu/mqtt/testing/wire_text.hpp"

namespace {

/// A name says what a file holds. `invalid_`: it is refused. `_3_1_1`: it is of that version.
struct Seed {
    const char* name;
    std::uint8_t first_byte;
    const char* body;
};

// clang-format off
constexpr Seed client_seeds[] = {
    {"connect", 0x10, "<MQTT> 05 02 003C 00 <client>"},
    {"connect_3_1", 0x10, "<MQIsdp> 03 02 003C <client>"},
    {"connect_3_1_without_the_user_name_of_its_flag", 0x10, "<MQIsdp> 03 82 003C <client>"},
    {"connect_3_1_1", 0x10, "<MQTT> 04 02 003C <client>"},
    {"connect_3_1_1_with_will_and_password", 0x10, "<MQTT> 04 EE 003C <client> <gone> <bye> <user> <secret>"},
    {"connect_with_every_property", 0x10, "<MQTT> 05 02 003C {11 0000000A 21 0014 27 00010000 22 0005 19 01 17 00 15 <scram> 16 <data> 26 <k> <v>} <client>"},
    {"connect_with_will_and_every_property", 0x10, "<MQTT> 05 F6 003C 00 <client> {18 00000007 01 01 02 00000009 03 <ct> 08 <r> 09 <cd> 26 <k> <v>} <gone> <bye> <user> <secret>"},
    {"connect_with_empty_client_id", 0x10, "<MQTT> 05 00 0000 00 0000"},
    {"publish_qos0", 0x30, "<a/b> 00 'payload'"},
    {"publish_qos0_3_1_1", 0x30, "<a/b> 'payload'"},
    {"publish_qos1_retained", 0x33, "<a/b> 0001 00 'payload'"},
    {"publish_qos2_duplicate", 0x3C, "<a/b> FFFF 00"},
    {"publish_qos2_3_1_1", 0x34, "<a/b> 0001 'payload'"},
    {"publish_with_topic_alias", 0x30, "<a/b> {23 0007} 'payload'"},
    {"publish_with_topic_alias_only", 0x30, "0000 {23 0007} 'payload'"},
    {"publish_with_every_property", 0x32, "<a/b> 0001 {01 01 02 0000000A 23 0007 08 <r> 09 0002 00FF 03 <text/plain> 26 <k1> <v1> 26 <k2> <v2>} 'payload'"},
    {"publish_with_unicode_topic", 0x30, "<\xE7\xB1\xB3\xE5\x85\x94/\xC3\xA9/\xF0\x90\x80\x80> 00 'x'"},
    {"puback", 0x40, "0001"},
    {"puback_with_reason", 0x40, "0001 10"},
    {"puback_with_properties", 0x40, "0001 80 {1F <why> 26 <k> <v>}"},
    {"pubrec", 0x50, "0001 97 00"},
    {"pubrel", 0x62, "0001"},
    {"pubrel_3_1_again", 0x6A, "0001"},
    {"subscribe_3_1_again", 0x8A, "0001 <a/+/b> 01"},
    {"unsubscribe_3_1_again", 0xAA, "0001 <a/+/b>"},
    {"pubrel_not_found", 0x62, "0001 92"},
    {"pubcomp", 0x70, "0001"},
    {"subscribe", 0x82, "0001 00 <a/+/#> 01"},
    {"subscribe_3_1_1", 0x82, "0001 <a/+> 00 <b> 02"},
    {"subscribe_shared_with_identifier", 0x82, "0001 {0B 8001 26 <k> <v>} <$share/group/a/#> 01 <b> 2E"},
    {"unsubscribe", 0xA2, "0001 {26 <k> <v>} <a/+> <b/#>"},
    {"unsubscribe_3_1_1", 0xA2, "0001 <a/+>"},
    {"pingreq", 0xC0, ""},
    {"disconnect", 0xE0, ""},
    {"disconnect_with_will", 0xE0, "04"},
    {"disconnect_with_every_property", 0xE0, "00 {11 00000001 1F <why> 1C <other> 26 <k> <v>}"},
    {"auth_continue", 0xF0, "18 {15 <scram> 16 <data> 1F <why> 26 <k> <v>}"},
    {"auth_again", 0xF0, "19 {15 <scram>}"},
    {"invalid_connect_version", 0x10, "<MQTT> 06 02 003C 00 <client>"},
    {"invalid_publish_wildcard", 0x30, "<a/#> 00"},
    {"invalid_publish_topic_alias_0", 0x30, "<a> {23 0000}"},
    {"invalid_publish_utf8", 0x30, "0004 61 ED A0 80 00"},
    {"invalid_subscribe_without_filter", 0x82, "0001 00"},
};

constexpr Seed server_seeds[] = {
    {"connack", 0x20, "00 00 00"},
    {"connack_3_1_1", 0x20, "01 00"},
    {"connack_3_1_1_refused", 0x20, "00 05"},
    {"connack_of_older_server", 0x20, "00 01"},
    {"connack_with_every_property", 0x20, "01 00 {11 00000001 21 0002 24 01 25 00 27 00000003 12 <id> 22 0004 1F <why> 28 00 29 01 2A 00 13 0005 1A <info> 1C <ref> 15 <m> 16 <d> 26 <k> <v>}"},
    {"publish_with_subscription_identifiers", 0x32, "<a/b> 0001 {0B 01 26 <k> <v> 0B FFFFFF7F} 'payload'"},
    {"publish_3_1_1", 0x30, "<a/b> 'payload'"},
    {"pubrec_with_properties", 0x50, "0001 10 {1F <why> 26 <k> <v>}"},
    {"suback", 0x90, "0001 {1F <why>} 00 01 02 80 87 8F"},
    {"suback_3_1_1", 0x90, "0001 00 01 02 80"},
    {"unsuback", 0xB0, "0001 {26 <k> <v>} 00 11 87"},
    {"unsuback_3_1_1", 0xB0, "0001"},
    {"pingresp", 0xD0, ""},
    {"disconnect_moved", 0xE0, "9D {1C <other>}"},
    {"auth_continue", 0xF0, "18 {15 <scram> 16 <data>}"},
    {"auth_success", 0xF0, ""},
    {"invalid_connack_flags", 0x20, "02 00 00"},
    {"invalid_suback_code", 0x90, "0001 00 03"},
};

constexpr const char* topic_seeds[][2] = {
    {"plain", "a/b/c\na/+/c\na/b/c"},
    {"open_ends", "#\n+/#\na"},
    {"dollar", "$SYS/#\n#\n$SYS/broker"},
    {"empty_levels", "/#\n//+\n//"},
    {"shared", "$share/g/a/#\n$share/h/+/b\na/b"},
    {"unicode", "\xE7\xB1\xB3/+\n+/\xC3\xA9\n\xE7\xB1\xB3/\xC3\xA9"},
};
// clang-format on

void write(const std::filesystem::path& path, std::string_view text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream file{path, std::ios::binary};
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
}

template <class Seeds>
void write_packets(const std::filesystem::path& folder, const Seeds& seeds) {
    std::string session;
    for (const Seed& seed : seeds) {
        const mitu::Bytes bytes = mitu::mqtt::testing::packet(seed.first_byte, seed.body);
        write(folder / (std::string{seed.name} + ".bin"), mitu::as_text(bytes));
        const std::string_view name = seed.name;
        if (!name.starts_with("invalid_") && name.find("_3_1") == std::string_view::npos) {
            session += mitu::as_text(bytes);
        }
    }
    write(folder / "session_of_every_packet.bin", session);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: mqtt_write_seeds FOLDER\n";
        return 2;
    }
    const std::filesystem::path folder{argv[1]};
    write_packets(folder / "client", client_seeds);
    write_packets(folder / "server", server_seeds);
    for (const auto& seed : topic_seeds) {
        write(folder / "topic" / (std::string{seed[0]} + ".txt"), seed[1]);
    }
    return 0;
}
