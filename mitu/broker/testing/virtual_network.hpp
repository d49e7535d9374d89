#pragma once
// A network in memory: what the broker's tests and the simulator put in place of sockets.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/base/random.hpp"
#include "mitu/ports/faults.hpp"
#include "mitu/ports/network.hpp"

namespace mitu::broker::testing {

/// Sees what crosses the broker's edge of one connection, in the order in which it happens.
class SocketTap {
public:
    virtual ~SocketTap() = default;
    virtual void on_read(ByteView bytes) = 0;  // the broker has taken them in
    /// The broker has given them to the network; some may have waited for it since an earlier turn.
    virtual void on_written(ByteView bytes, bool may_have_waited) = 0;
    /// Whether the network took less than it was offered: the rest waits in the broker.
    virtual void on_held_up(bool /*is_held_up*/) {}
    virtual void on_closed(bool by_broker) = 0;  // as the broker sees it
};

/// Two byte pipes between a client and whichever shard has the connection.
struct VirtualSocket {
    Bytes to_broker;
    Bytes to_client;
    /// How many unread bytes the pipe to the client holds; beyond it writes are cut short.
    std::size_t window_bytes = std::size_t{1} << 40;
    bool closed_by_client = false;  // in good order: what was sent before is still read
    bool reset_by_client = false;   // at once: what was sent before may be lost
    bool closed_by_broker = false;
    ports::PeerAddress peer;
    SocketTap* tap = nullptr;  // outlives the socket

    /// What is sent to a client that has closed vanishes.
    [[nodiscard]] std::size_t room() const noexcept {
        if (closed_by_client) return std::size_t{1} << 40;
        return window_bytes - std::min(window_bytes, to_client.size());
    }
};

/// Connections between detach() and attach().
class Transit {
public:
    [[nodiscard]] std::uint64_t put(std::shared_ptr<VirtualSocket> socket);
    /// Null: there is no such handle (any more).
    [[nodiscard]] std::shared_ptr<VirtualSocket> take(std::uint64_t handle);
    [[nodiscard]] std::size_t size() const noexcept { return sockets_.size(); }

private:
    std::map<std::uint64_t, std::shared_ptr<VirtualSocket>> sockets_;
    std::uint64_t next_ = 1;
};

struct VirtualNetworkOptions {
    std::size_t read_bytes_max = 64u << 10;  // one `received` event
    std::uint32_t connections_max = 1'000'000;
    /// Cut reads and writes at places that the seed draws.
    bool chops = false;
};

/// One shard's door to VirtualSockets. Never waits: whoever runs it asks has_work().
/// Hostile where ports::Network leaves it free: numbers of closed connections are reused at once,
/// lent bytes are gone with the next poll.
class VirtualNetwork final : public ports::Network {
public:
    VirtualNetwork(Transit& transit, ports::Faults& faults, Prng prng,
                   const VirtualNetworkOptions& options)
        : transit_{transit}, faults_{faults}, prng_{prng}, options_{options} {}

    /// A client connects. The next poll() reports it.
    void accept(std::shared_ptr<VirtualSocket> socket);
    /// Whether poll() would return at once.
    [[nodiscard]] bool has_work() const noexcept;
    [[nodiscard]] std::size_t connection_count() const noexcept;
    /// Whoever watches the connection; null: nobody, or it is gone.
    [[nodiscard]] const SocketTap* tap(ports::ConnectionId connection) noexcept {
        const Slot* const slot = find(connection);
        return slot != nullptr ? slot->socket->tap : nullptr;
    }

    void poll(Instant deadline, std::vector<ports::NetworkEvent>& events) override;
    [[nodiscard]] std::size_t write(ports::ConnectionId connection,
                                    std::span<const ByteView> parts) override;
    void pause_reading(ports::ConnectionId connection) override;
    void resume_reading(ports::ConnectionId connection) override;
    void close(ports::ConnectionId connection) override;
    [[nodiscard]] ports::DetachedConnection detach(ports::ConnectionId connection) override;
    [[nodiscard]] ports::ConnectionId attach(ports::DetachedConnection connection) override;
    void wake() noexcept override { is_woken_.store(true, std::memory_order_release); }

private:
    struct Slot {
        std::shared_ptr<VirtualSocket> socket;  // null: free
        std::uint32_t generation = 0;
        bool is_paused = false;
        bool is_blocked = false;
        bool was_short = false;  // the last write took less than it was offered
    };

    [[nodiscard]] Slot* find(ports::ConnectionId id) noexcept;
    [[nodiscard]] ports::ConnectionId add(std::shared_ptr<VirtualSocket> socket);
    void release(std::uint32_t index);
    [[nodiscard]] static bool has_event(const Slot& slot) noexcept;
    void report(std::uint32_t index, std::vector<ports::NetworkEvent>& events);

    Transit& transit_;
    ports::Faults& faults_;
    Prng prng_;
    VirtualNetworkOptions options_;
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> free_;
    std::deque<std::shared_ptr<VirtualSocket>> accepted_;
    std::deque<Bytes> lent_;
    std::atomic<bool> is_woken_{false};
};

}  // namespace mitu::broker::testing
