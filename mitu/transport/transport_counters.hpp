#pragma once
// What a TransportNetwork counts. The shard writes, a scraper reads.

#include <array>

#include "mitu/trace/counter.hpp"

namespace mitu::transport {

struct TransportCounters {
    trace::Counter filtered_connections;  // gauge: with TLS, WebSocket or a PROXY header
    trace::Counter handshakes_waiting;    // gauge: in the queue before TLS
    trace::Counter handshakes_active;     // gauge
    trace::Counter handshakes_started_total;
    trace::Counter handshakes_done_total;
    trace::Counter handshakes_resumed_total;   // of those done
    trace::Counter handshake_ns_total;         // time spent in OpenSSL for them
    trace::Counter handshake_polls_cut_total;  // polls that left handshakes for the next one
    trace::Counter not_admitted_total;         // by the Doorkeeper
    trace::Counter proxy_headers_total;
    trace::Counter websocket_upgrades_total;
    trace::Counter output_overrun_total;          // closed: a peer that asks and does not read
    trace::Counter broken_total;                  // open connections ended by a breach of TLS or
                                                  // WebSocket
    std::array<trace::Counter, 10> failed_total;  // before `opened`, by HandshakeFailure
};

}  // namespace mitu::transport
