#pragma once
// Connection: what a shard keeps for one open byte stream.

#include <cstdint>

#include "mitu/base/bytes.hpp"
#include "mitu/base/time.hpp"
#include "mitu/broker/message_store.hpp"
#include "mitu/mqtt/types.hpp"
#include "mitu/ports/network.hpp"

namespace mitu::broker {

struct Connection {
    enum class State : std::uint8_t {
        free,
        greeting,   // CONNECT is not whole yet
        admitting,  // the gate thinks about it
        attached,   // a session has it
        closing,    // what is in `output` is still to be written
    };

    ports::ConnectionId id;
    State state = State::free;
    mqtt::ProtocolVersion version = mqtt::ProtocolVersion::v5;
    bool is_touched = false;    // has something to write this turn
    bool is_resumable = false;  // is in the list of those whose input goes on
    bool is_paused = false;     // the network was told not to read it
    bool is_blocked = false;    // the network took less than it was given; `writable` will come
    std::uint16_t listener_index = 0;
    std::uint32_t admission_serial = 0;
    std::uint32_t packet_bytes_max = 0;    // the client's, once CONNECT was read; 0: none
    SessionRef session;                    // attached only
    Instant deadline = Instant::never();   // connect or close timeout
    Instant resume_at = Instant::never();  // paused for the client's message rate
    ports::PeerAddress peer;
    Bytes input;   // not yet decoded: part of a packet, or more while paused
    Bytes output;  // encoded and not yet written; comes before anything pumped later
};

}  // namespace mitu::broker
