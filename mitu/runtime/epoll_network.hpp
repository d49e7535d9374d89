#pragma once
// The real ports::Network: TCP over epoll, one per shard.
//
// Readiness is edge-triggered and registered once per connection (EPOLLIN | EPOLLRDHUP | EPOLLET).
// A read that fills less than it was given has emptied the socket, so no second read() asks for
// EAGAIN. EPOLLOUT is added at the first write that finds the socket full and then stays.

#include <sys/epoll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/runtime/tcp_network.hpp"

namespace mitu::runtime {

/// Cost  an idle connection is 36 bytes.
struct EpollSlot : ConnectionSlot {
    bool queued : 1 = false;         // its id stands in the queue of those to be read
    bool readable : 1 = false;       // the kernel may hold bytes or an end that we have not read
    bool ended : 1 = false;          // the peer has sent its last byte
    bool broken : 1 = false;         // no byte can go out any more
    bool paused : 1 = false;         // the owner wants no bytes now
    bool write_blocked : 1 = false;  // a `writable` event is owed
    bool watches_write : 1 = false;  // registered for EPOLLOUT
};

/// Owns the sockets of one shard, listening ones included.
/// Threading  shard-local; wake() any thread; counters() may be read by any thread.
/// Order      bytes first, then their end: a peer that sends and closes is `received`, `closed`.
///            A paused connection keeps unread bytes and a clean end until it is resumed; a broken
///            one (reset) is `closed` at once.
/// Cost       idle connection: 36 bytes, no buffer. One recv() per readable connection and poll,
///            one send() per write(), one epoll_ctl() per connection that is never write-blocked.
class EpollNetwork final : public TcpNetwork<EpollSlot> {
public:
    /// See make_server_network().
    [[nodiscard]] static Result<std::unique_ptr<EpollNetwork>, std::string> create(
        const ports::Clock& clock, ServerNetworkOptions options);
    ~EpollNetwork() override;

    void poll(Instant deadline, std::vector<ports::NetworkEvent>& events) override;
    [[nodiscard]] std::size_t write(ports::ConnectionId connection,
                                    std::span<const ByteView> parts) override;
    void pause_reading(ports::ConnectionId connection) override;
    void resume_reading(ports::ConnectionId connection) override;
    void close(ports::ConnectionId connection) override;

private:
    EpollNetwork(const ports::Clock& clock, ServerNetworkOptions options, UniqueFd epoll);

    // poll(), in its order
    [[nodiscard]] int wait(Instant deadline);
    void note_readiness(const epoll_event& ready, Events& events);
    void read_queued(Events& events);

    enum class ReadResult : std::uint8_t { drained, has_more, closed };
    [[nodiscard]] ReadResult read(ports::ConnectionId id, EpollSlot& slot, Events& events);
    [[nodiscard]] ReadResult throw_away(EpollSlot& slot);

    void queue_for_reading(ports::ConnectionId id, EpollSlot& slot);
    void mark_broken(ports::ConnectionId id, EpollSlot& slot);
    void await_room(ports::ConnectionId id, EpollSlot& slot, bool has_room_now);
    [[nodiscard]] bool watch(int operation, ports::ConnectionId id, const EpollSlot& slot);
    [[nodiscard]] bool begin(ports::ConnectionId id, EpollSlot& slot) override;
    void let_go(ports::ConnectionId id, EpollSlot& slot) override;
    void end(std::uint32_t index, EpollSlot& slot) override;

    std::vector<ports::ConnectionId> to_read_;       // oldest first
    std::vector<ports::ConnectionId> to_read_next_;  // reused

    std::unique_ptr<std::uint8_t[]> read_buffer_;  // what `received` events lend
    std::size_t read_buffer_used_ = 0;
    std::array<epoll_event, 512> ready_{};
    bool has_pwait2_ = true;
    bool woken_ = false;  // wake() ended the last wait
};

}  // namespace mitu::runtime
