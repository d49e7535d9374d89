#pragma once
// The real ports::Network: TCP over epoll, one per shard.
//
// Readiness is edge-triggered and registered once per connection (EPOLLIN | EPOLLRDHUP | EPOLLET).
// A read that fills less than it was given has emptied the socket, so no second read() asks for
// EAGAIN. EPOLLOUT is added at the first write that finds the socket full and then stays.

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/ports/clock.hpp"
#include "mitu/ports/network.hpp"
#include "mitu/runtime/acceptor.hpp"
#include "mitu/runtime/connection_slab.hpp"
#include "mitu/runtime/network_counters.hpp"
#include "mitu/runtime/unique_fd.hpp"

namespace mitu::runtime {

struct EpollLimits {
    std::size_t read_bytes_max = 65'536;        // per connection and poll
    std::size_t poll_bytes_max = 1'048'576;     // per poll: the size of the shared read buffer
    std::uint32_t connections_max = 1'000'000;  // of this shard, lingering ones included
    std::uint32_t accepts_max = 64;             // per listener and poll
    std::uint32_t lingering_max = 1'024;        // then the oldest goes
    std::size_t linger_bytes_max = 262'144;     // thrown away per closed connection
    Duration linger_time_max = Duration::seconds(1);
};

/// Owns the sockets of one shard, listening ones included.
/// Threading  shard-local; wake() any thread; counters() may be read by any thread.
/// Order      bytes first, then their end: a peer that sends and closes is `received`, `closed`.
///            A paused connection keeps unread bytes and a clean end until it is resumed; a broken
///            one (reset) is `closed` at once.
/// Cost       idle connection: 36 bytes, no buffer. One recv() per readable connection and poll,
///            one send() per write(), one epoll_ctl() per connection that is never write-blocked.
class EpollNetwork final : public ports::Network {
public:
    /// `clock` outlives the network. `budget`, when given, is shared by the shards and outlives
    /// them. listener_index of an event is the place in `listeners`.
    /// Errors  what the kernel refused (epoll or eventfd), as a sentence.
    [[nodiscard]] static Result<std::unique_ptr<EpollNetwork>, std::string> create(
        const ports::Clock& clock, std::vector<UniqueFd> listeners, const EpollLimits& limits = {},
        ConnectionBudget* budget = nullptr);
    ~EpollNetwork() override;

    void poll(Instant deadline, std::vector<ports::NetworkEvent>& events) override;
    [[nodiscard]] std::size_t write(ports::ConnectionId connection,
                                    std::span<const ByteView> parts) override;
    void pause_reading(ports::ConnectionId connection) override;
    void resume_reading(ports::ConnectionId connection) override;
    void close(ports::ConnectionId connection) override;
    [[nodiscard]] ports::DetachedConnection detach(ports::ConnectionId connection) override;
    [[nodiscard]] ports::ConnectionId attach(ports::DetachedConnection connection) override;
    void wake() noexcept override;

    /// Closes the listeners; connections stay.
    void stop_accepting();
    [[nodiscard]] const NetworkCounters& counters() const noexcept { return counters_; }

    /// Closes a detached connection that nobody will attach. Any thread.
    static void close_detached(const ports::DetachedConnection& connection) noexcept;

private:
    using Events = std::vector<ports::NetworkEvent>;
    struct Lingering {
        ports::ConnectionId connection;
        Instant deadline;
    };

    EpollNetwork(const ports::Clock& clock, const EpollLimits& limits, ConnectionBudget* budget,
                 std::vector<UniqueFd> listeners, UniqueFd epoll, UniqueFd wake_event);

    // poll(), in its order
    [[nodiscard]] int wait(Instant deadline);
    void note_readiness(const epoll_event& ready, Events& events);
    void read_queued(Events& events);
    void accept_waiting(Events& events);
    void end_lingering();

    enum class ReadResult : std::uint8_t { drained, has_more, closed };
    [[nodiscard]] ReadResult read(ports::ConnectionId id, ConnectionSlot& slot, Events& events);
    [[nodiscard]] ReadResult throw_away(ConnectionSlot& slot);

    void queue_for_reading(ports::ConnectionId id, ConnectionSlot& slot);
    void mark_broken(ports::ConnectionId id, ConnectionSlot& slot);
    void await_room(ports::ConnectionId id, ConnectionSlot& slot, bool has_room_now);
    [[nodiscard]] bool watch(int operation, ports::ConnectionId id, const ConnectionSlot& slot);
    [[nodiscard]] ports::ConnectionId adopt(UniqueFd fd, const ports::PeerAddress& peer,
                                            std::uint16_t listener_index);
    void release(std::uint32_t index);

    const ports::Clock& clock_;
    const EpollLimits limits_;
    UniqueFd epoll_;
    UniqueFd wake_event_;
    NetworkCounters counters_;  // before acceptor_, which counts there
    Acceptor acceptor_;
    ConnectionBudget* const budget_;
    ConnectionSlab slab_;

    std::vector<ports::ConnectionId> to_read_;       // oldest first
    std::vector<ports::ConnectionId> to_read_next_;  // reused
    std::deque<Lingering> lingering_;                // oldest first; may hold stale ids

    std::unique_ptr<std::uint8_t[]> read_buffer_;  // what `received` events lend
    std::size_t read_buffer_used_ = 0;
    std::array<epoll_event, 512> ready_{};
    bool has_pwait2_ = true;
    bool woken_ = false;  // wake() ended the last wait

    enum WakeState : std::uint32_t { running, waiting, woken };
    std::atomic<std::uint32_t> wake_state_{running};
};

}  // namespace mitu::runtime
