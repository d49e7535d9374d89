#include "mitu/ports/network.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace mitu::ports {

std::string_view scheme_of(TransportKind kind) noexcept {
    switch (kind) {
        case TransportKind::tcp:
            return "tcp";
        case TransportKind::tls:
            return "tls";
        case TransportKind::websocket:
            return "ws";
        case TransportKind::secure_websocket:
            return "wss";
        case TransportKind::unix_socket:
            return "unix";
    }
    return "";
}

std::string address_text(const PeerAddress& peer) {
    if (peer.is_none()) return "unix";
    constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    const auto& ip = peer.ip;
    if (std::equal(mapped.begin(), mapped.end(), ip.begin())) {
        return fmt::format("{}.{}.{}.{}:{}", ip[12], ip[13], ip[14], ip[15], peer.port);
    }
    std::string text = "[";
    for (std::size_t i = 0; i < ip.size(); i += 2) {
        text += fmt::format("{}{:x}", i == 0 ? "" : ":", (unsigned{ip[i]} << 8) | ip[i + 1]);
    }
    return text + fmt::format("]:{}", peer.port);
}

}  // namespace mitu::ports
