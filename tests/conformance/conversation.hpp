#pragma once
// For the tests of this folder: a whole broker, and connections at the level of bytes.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"
#include "mitu/mqtt/testing/wire_text.hpp"

namespace mitu::conformance {

using broker::testing::Client;
using broker::testing::ConnectOptions;
using broker::testing::Message;
using broker::testing::qos0;
using broker::testing::qos1;
using broker::testing::qos2;
using broker::testing::WillOptions;
using broker::testing::World;
using mqtt::PacketType;
using mqtt::ProtocolVersion;
using mqtt::ReasonCode;
using mqtt::testing::hex;
using mqtt::testing::packet;
using mqtt::testing::wire;
using Strings = std::vector<std::string>;

inline constexpr ProtocolVersion v3_1 = ProtocolVersion::v3_1;
inline constexpr ProtocolVersion v3_1_1 = ProtocolVersion::v3_1_1;
inline constexpr ProtocolVersion v5 = ProtocolVersion::v5;
inline constexpr ProtocolVersion every_version[] = {v3_1, v3_1_1, v5};

/// Of a client whose session is to outlive its connection, in any version.
[[nodiscard]] inline ConnectOptions lasting(ProtocolVersion version) {
    ConnectOptions options;
    options.version = version;
    options.clean_start = false;
    options.session_expiry_s = 1'000;
    return options;
}

/// The same for one whose session ends with it.
[[nodiscard]] inline ConnectOptions passing(ProtocolVersion version) {
    ConnectOptions options;
    options.version = version;
    return options;
}

/// Every packet since the last call, as hexadecimal text.
[[nodiscard]] inline Strings bytes_of(Client& client) {
    Strings texts;
    for (const auto& seen : client.take_packets()) texts.push_back(hex(*seen.bytes));
    return texts;
}

/// A connection that knows nothing of MQTT: what it says is what the test writes.
class Line {
public:
    explicit Line(World& world) : client_{world.client("line")} {
        client_.open();
        client_.reads = false;
    }

    /// Sends, and gives what has come back since the last call.
    std::string says(ByteView bytes) {
        client_.send_bytes(bytes);
        return heard();
    }
    [[nodiscard]] std::string heard() {
        const ByteView all = client_.socket()->to_client;
        const ByteView fresh = all.subspan(read_);
        read_ = all.size();
        return hex(fresh);
    }
    [[nodiscard]] bool is_open() const { return client_.is_open(); }

private:
    Client& client_;
    std::size_t read_ = 0;
};

}  // namespace mitu::conformance
