#pragma once
// A shard's door to its connections. Byte streams only: what the bytes mean is known elsewhere.
// Beside it: epoll and io_uring (mitu/runtime), and a virtual one in the simulator.

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/base/time.hpp"
#include "mitu/ports/peer_facts.hpp"

namespace mitu::ports {

/// One connection of one shard. A stale id misses politely: every call with it does nothing.
struct ConnectionId {
    std::uint32_t index = 0;
    std::uint32_t generation = 0;  // 0: no connection
    constexpr auto operator<=>(const ConnectionId&) const noexcept = default;
    [[nodiscard]] constexpr bool is_none() const noexcept { return generation == 0; }
};

/// For logs: "192.0.2.7:1883", "[2001:db8:0:0:0:0:0:7]:1883"; "unix" for none.
[[nodiscard]] std::string address_text(const PeerAddress& peer);

/// What stands between a connection's socket and its owner, TLS for one, as it moves with it.
class ConnectionFilters {
public:
    virtual ~ConnectionFilters() = default;
};

/// A connection on its way from one shard to another: plain data, fit for a lane.
/// Lifetime  whoever holds it owns the socket behind `handle` and the filters: attach() it or close
///           it.
struct DetachedConnection {
    std::uint64_t handle = 0;
    PeerAddress peer;
    std::uint16_t listener_index = 0;
    ConnectionFilters* filters = nullptr;  // owned; null: bytes are the owner's as they come
};

struct NetworkEvent {
    enum class Kind : std::uint8_t {
        opened,    // accepted from a listener; `peer` and `listener_index` say whence
        received,  // `bytes` came in; lent until the next poll()
        writable,  // after a write() that took less than it was given: there is room again
        closed,    // the peer closed or the connection broke; the id is stale from now on
    };
    Kind kind = Kind::received;
    ConnectionId connection;
    ByteView bytes;
    PeerAddress peer;
    std::uint16_t listener_index = 0;
};

/// Threading  shard-local; wake() may be called from any thread.
/// Order      events of one connection come in the order in which they happened; `opened` first,
///            `closed` last and once, and never in the poll that brought bytes of the connection:
///            who reads a whole CONNECT can still detach() it, though the client has said all and
///            gone. After close() or detach() no further event names the id.
class Network {
public:
    virtual ~Network() = default;

    /// Waits until something happened, `deadline` has come, or wake() was called; then fills
    /// `events` (cleared first). A deadline that has passed polls without waiting. Bounded: what
    /// is left over is reported by the next call.
    virtual void poll(Instant deadline, std::vector<NetworkEvent>& events) = 0;

    /// Offers the parts, in order, in one system call, which may be that of the next poll().
    /// Returns how many bytes were taken; fewer than offered means that a `writable` event follows.
    /// 0 for a stale id or a broken connection (whose `closed` event follows).
    [[nodiscard]] virtual std::size_t write(ConnectionId connection,
                                            std::span<const ByteView> parts) = 0;

    /// While paused, a connection yields no `received` events; the peer feels TCP back-pressure.
    virtual void pause_reading(ConnectionId connection) = 0;
    virtual void resume_reading(ConnectionId connection) = 0;

    /// Closes once what write() took has left; what the peer still sends is read and thrown away
    /// for a bounded while, so that a last packet is not lost to a reset.
    virtual void close(ConnectionId connection) = 0;

    /// The connection stays here: detach() will not be called for it any more, so that the network
    /// may let the kernel read ahead. Nothing else changes.
    virtual void settle(ConnectionId connection) { static_cast<void>(connection); }
    /// Gives a connection away to another shard. The id is stale from now on.
    [[nodiscard]] virtual DetachedConnection detach(ConnectionId connection) = 0;
    /// Takes a connection over. ConnectionId{}: refused (no room); the socket has been closed.
    [[nodiscard]] virtual ConnectionId attach(DetachedConnection connection) = 0;

    /// What is known of the peer beyond its address; null: nothing, it is plain TCP.
    /// Lifetime  until the next call of this, or the next poll().
    /// Cost      is put together anew each time: for CONNECT and for people, not for each packet.
    [[nodiscard]] virtual const PeerFacts* facts(ConnectionId connection) {
        static_cast<void>(connection);
        return nullptr;
    }

    /// Makes a poll() that is waiting return soon. Any thread.
    virtual void wake() noexcept = 0;
};

}  // namespace mitu::ports
