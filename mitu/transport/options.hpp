#pragma once
// What stands between each listener's sockets and the MQTT codec.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "mitu/base/ip_network.hpp"
#include "mitu/base/time.hpp"
#include "mitu/ports/peer_facts.hpp"
#include "mitu/transport/tls_store.hpp"
#include "mitu/transport/websocket_upgrade.hpp"

namespace mitu::transport {

enum class ProxyHeaders : std::uint8_t {
    off,
    optional,  // listed peers may send one; others are taken as they are
    required,  // listed peers send one; others are refused
};

/// One listener. As it is made: plain TCP, nothing in between.
struct ListenerTransport {
    std::shared_ptr<const TlsStore> tls;         // null: none
    std::optional<WebSocketSettings> websocket;  // nullopt: MQTT follows at once
    ProxyHeaders proxy_headers = ProxyHeaders::off;
    /// Who is believed. A peer on a Unix socket is, always: the file's mode guards it.
    std::vector<IpNetwork> proxies;

    [[nodiscard]] bool has_filters() const noexcept {
        return tls != nullptr || websocket.has_value() || proxy_headers != ProxyHeaders::off;
    }
};

struct TransportLimits {
    /// Of one connection, each: for its PROXY header and ClientHello; for its turn to come; for
    /// the handshake and the upgrade to end.
    Duration header_time_max = Duration::seconds(10);
    Duration wait_time_max = Duration::seconds(30);
    Duration handshake_time_max = Duration::seconds(20);
    /// When all places are taken, who has been silent for so long makes room.
    Duration handshake_idle_max = Duration::seconds(3);
    Duration close_time_max = Duration::seconds(5);  // for what write() took and the peer does not

    // Of one shard. A handshake under way has about 50 KiB, one that waits its ClientHello.
    std::uint32_t handshakes_max = 512;
    std::uint32_t waiting_max = 32'768;
    /// In OpenSSL, for handshakes; then those that are open have their turn.
    Duration handshake_time_per_poll = Duration::milliseconds(4);

    /// Encrypted and not yet taken by the socket, per connection. One write() takes at most about
    /// a third of it; the rest is for answers that nobody has asked for (pong, alerts).
    std::size_t unsent_bytes_max = 262'144;
};

struct TransportOptions {
    std::vector<ListenerTransport> listeners;  // by listener_index; those past the end are plain
    TransportLimits limits{};
};

}  // namespace mitu::transport
