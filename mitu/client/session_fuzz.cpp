// A server that says anything, in pieces of any size, to a client in the middle of its work: the
// client never breaks, writes packets only, and tells the end of a connection once.
//
// Shape of an input: one byte of options, then chunks: one byte of length, then the bytes.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <variant>

#include "mitu/base/check.hpp"
#include "mitu/client/session.hpp"
#include "mitu/mqtt/decode.hpp"

namespace {

using namespace mitu;

void check_written(const client::Output& out, mqtt::ProtocolVersion version) {
    ByteView rest = out.bytes;
    while (!rest.empty()) {
        const auto decoded = mqtt::decode(rest, {.sender = mqtt::Sender::client,
                                                 .version = version,
                                                 .packet_bytes_max = mqtt::packet_bytes_limit});
        MITU_CHECK(decoded && *decoded);
        rest = rest.subspan((*decoded)->size_bytes);
    }
}

std::size_t count_ends(const client::Output& out) {
    std::size_t ends = 0;
    for (const client::Event& event : out.events) {
        if (std::holds_alternative<client::ConnectionEnded>(event)) ++ends;
    }
    return ends;
}

void make_requests(client::ClientSession& session, Instant now, client::Output& out) {
    for (const auto qos : {mqtt::QoS::at_least_once, mqtt::QoS::exactly_once}) {
        (void)session.publish({.topic = "t", .payload = {}, .qos = qos, .token = 1}, now, out);
    }
    const std::array<client::Subscription, 1> wanted{client::Subscription{"a/#", {}}};
    (void)session.subscribe({.subscriptions = wanted}, now, out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::uint8_t choice = data[0];
    ByteView rest{data + 1, size - 1};

    client::ConnectOptions options;
    options.version = (choice & 1) != 0 ? mqtt::ProtocolVersion::v5 : mqtt::ProtocolVersion::v3_1_1;
    options.client_id = "d1";
    options.clean_start = (choice & 2) != 0;
    options.session_expiry_interval_s = (choice & 4) != 0 ? 300 : 0;
    options.topic_alias_maximum = (choice & 8) != 0 ? 3 : 0;
    options.receive_maximum = (choice & 16) != 0 ? 2 : 65'535;
    if ((choice & 32) != 0) options.authentication_method = "m";
    client::ClientSession session{options};
    client::Output out;

    Instant now;
    while (!rest.empty()) {
        if (!session.is_open()) {
            MITU_CHECK(session.on_open(now, out).has_value());
            check_written(out, options.version);
            out.clear();
            // CONNACK: without it nothing after would be looked at.
            const Bytes connack = options.version == mqtt::ProtocolVersion::v5
                                      ? Bytes{0x20, 0x03, std::uint8_t(choice >> 7), 0x00, 0x00}
                                      : Bytes{0x20, 0x02, std::uint8_t(choice >> 7), 0x00};
            if ((choice & 64) == 0) session.on_bytes(connack, now, out);
            make_requests(session, now, out);
        }
        const std::size_t length = std::min<std::size_t>(rest[0], rest.size() - 1);
        const ByteView chunk = rest.subspan(1, length);
        rest = rest.subspan(1 + length);
        now = now + Duration::seconds(7);
        session.on_bytes(chunk, now, out);
        session.on_deadline(now, out);
        MITU_CHECK(count_ends(out) == (session.is_open() ? 0U : 1U));
        check_written(out, options.version);
        out.clear();
    }
    return 0;
}
