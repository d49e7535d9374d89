#pragma once
// The HTTP request that turns a connection into a WebSocket. Beast reads it, in the .cpp alone.

#include <cstddef>
#include <string>
#include <vector>

#include "mitu/base/bytes.hpp"

namespace mitu::transport {

struct WebSocketSettings {
    std::vector<std::string> paths{"/mqtt"};  // empty: any
    /// Which pages' scripts may connect: "https://console.example.org", as browsers send it.
    /// Empty: any. Clients that send no Origin are no browsers and always may.
    std::vector<std::string> origins;
    /// In the order of preference; a client must offer one of them ([MQTT-6.0.0-3]).
    std::vector<std::string> protocols{"mqtt", "mqttv3.1", "mqttv3.1.1"};
    std::size_t frame_bytes_max = 268'435'460;  // the largest MQTT packet
};

/// Request line and headers; more is answered with 431.
inline constexpr std::size_t upgrade_bytes_max = 8'192;

struct UpgradeAnswer {
    enum class Verdict { incomplete, accepted, refused };
    Verdict verdict = Verdict::incomplete;
    std::size_t used_bytes = 0;  // accepted: what follows in the input is frames
    std::string response;        // to be sent; after a refusal the connection closes
    int status = 0;              // of the response
};

/// Reads a request from the front of `input`, which always begins with its first byte. Never
/// throws: what Beast minds is a 400.
/// Source  RFC 6455, 4.2.
[[nodiscard]] UpgradeAnswer answer_upgrade(ByteView input, const WebSocketSettings& settings);

/// The answer to a Sec-WebSocket-Key (RFC 6455, 4.2.2, item 5.4).
[[nodiscard]] std::string accept_key(std::string_view key);

}  // namespace mitu::transport
