#pragma once
// What can be seen of a run: packets as they cross the broker's edge, and the life of the server.

#include <cstdint>
#include <string>
#include <string_view>

#include "mitu/base/time.hpp"
#include "mitu/mqtt/packet.hpp"
#include "sim/client_key.hpp"

namespace mitu::sim {

/// Numbers the connections of a run, from 1, over all servers.
using ConnectionSerial = std::uint32_t;

/// A whole packet that the broker has taken in, or has given to the network.
/// Lifetime  the packet borrows until the observer returns.
struct Sighting {
    Instant at;
    std::uint64_t step = 0;  // of the world: two sightings of one step happened in one turn
    ConnectionSerial connection = 0;
    const mqtt::Packet& packet;
    std::uint32_t size_bytes = 0;
    /// Written: it may have been encoded in an earlier turn, for a network that was full.
    bool may_have_waited = false;

    template <class T>
    [[nodiscard]] const T* as() const noexcept {
        return std::get_if<T>(&packet);
    }
};

enum class ServerEvent : std::uint8_t {
    started,
    stopping,  // SIGTERM: clients are told why
    gone,      // stopped, or killed; nothing of it is left
};

/// A session that a fault has ended, in the middle of a turn.
struct SessionBreak {
    ClientKey key;
    ConnectionSerial connection = 0;  // that closes with it; 0: none
    std::string_view fault;           // the memory::ZoneFault's own name
    Instant at;
    std::uint64_t step = 0;
};

class Observer {
public:
    virtual ~Observer() = default;
    /// The connection reached the server. `actor` is whatever the client calls itself.
    virtual void on_opened(ConnectionSerial connection, std::string_view actor, Instant at) = 0;
    /// Bytes came from the client, whether they made a packet or not; before on_read.
    virtual void on_heard(ConnectionSerial connection, Instant at) = 0;
    virtual void on_read(const Sighting& sighting) = 0;
    virtual void on_written(const Sighting& sighting) = 0;
    /// The network took less than the broker offered, so that the rest waits; or takes all again.
    virtual void on_held_up(ConnectionSerial /*connection*/, bool /*is_held_up*/, Instant /*at*/) {}
    /// The broker took in bytes that are no packet; what follows on this connection is not shown.
    virtual void on_garbage_read(ConnectionSerial connection, Instant at) = 0;
    /// As the broker sees it: it closed, or it learned that the client has.
    virtual void on_closed(ConnectionSerial connection, bool by_broker, Instant at,
                           std::uint64_t step) = 0;
    virtual void on_server(ServerEvent event, Instant at) = 0;
    /// What the client has proved holds until then.
    virtual void on_credential(ConnectionSerial /*connection*/, Instant /*valid_until*/) {}
    /// A reload begins, or was done at every shard: the Authority tells what holds.
    virtual void on_rights(Instant /*at*/, std::uint64_t /*step*/) {}
    virtual void on_session_broke(const SessionBreak& /*broken*/) {}
    /// In the same turn or the next. `is_whole`: what its end brings with it follows at once.
    virtual void on_session_buried(const SessionBreak& /*broken*/, bool /*is_whole*/) {}
};

/// A broken promise.
struct Violation {
    std::string promise;  // the checker's name
    std::string what;
    Instant at;
};

}  // namespace mitu::sim
