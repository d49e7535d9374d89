#pragma once
// One connection that has filters. Internal to TransportNetwork.

#include <cstdint>
#include <memory>

#include "mitu/base/bytes.hpp"
#include "mitu/base/time.hpp"
#include "mitu/ports/network.hpp"
#include "mitu/transport/tls_stream.hpp"
#include "mitu/transport/websocket_stream.hpp"

namespace mitu::transport {

/// Moves between shards whole, once it is open.
/// Cost  idle and open: this object, and what OpenSSL keeps; no buffer of ours.
struct Channel final : ports::ConnectionFilters {
    enum class Phase : std::uint8_t {
        proxy_header,  // its first bytes say who it is
        client_hello,  // reading it, to know whose queue it belongs to
        waiting,       // in that queue
        tls,           // the handshake
        upgrade,       // the HTTP request of a WebSocket
        open,          // the owner knows it
        closing,       // nobody knows it any more; what was taken is still going out
    };

    ports::ConnectionId id;
    Phase phase = Phase::client_hello;
    bool is_paused : 1 = false;
    bool is_ended : 1 = false;  // the owner has all bytes; `closed` is still to be told
    bool is_closed_for_writing : 1 = false;  // broken, or a close frame has gone out
    bool is_deferred : 1 = false;    // handshake bytes wait in `kept` for time in a later poll
    bool owes_writable : 1 = false;  // a write() took less than it was given
    bool is_in_owed : 1 = false;     // stands in the list of those who are told something
    bool is_on_its_way : 1 = false;  // admitted, and the doorkeeper waits to hear what became of it
    bool has_said_all : 1 = false;   // ended by TLS behind the request of a WebSocket
    std::uint16_t listener_index = 0;
    std::uint32_t group = 0;
    ports::PeerAddress peer;
    Instant deadline = Instant::never();
    Instant heard_at;  // during the handshake
    Bytes kept;        // input that is not whole yet: a header, a ClientHello, an HTTP request
    Bytes unsent;      // output that the socket did not take
    std::unique_ptr<TlsStream> tls;
    std::unique_ptr<WebSocketStream> websocket;
    std::unique_ptr<ports::ProxyFacts> proxy;
};

}  // namespace mitu::transport
