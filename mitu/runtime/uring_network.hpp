#pragma once
// The real ports::Network over io_uring (Linux 6.1): one system call per turn in the best case.
//
// A connection that may still move to another shard is watched for readiness and read with recv(),
// so that nothing of it is ever in the kernel's hands. Once settled, it has one receive that fills
// a buffer of the ring, and is asked for anew with the next enter; small writes are copied together
// and go out with that too.
//
// The epoll set that the listeners stand in (a multishot accept cannot tell where a connection
// comes from) is watched by the ring, and serves whom a poll of io_uring serves badly: those who
// wait for room, and those who are paused. Such a poll always wants POLLRDHUP too, and would end at
// once, over and over, for a peer that has sent its last byte.

#include <sys/epoll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/runtime/send_arena.hpp"
#include "mitu/runtime/tcp_network.hpp"
#include "mitu/runtime/uring.hpp"

namespace mitu::runtime {

/// Cost  an idle connection is 44 bytes here, and one request in the kernel.
struct UringSlot : ConnectionSlot {
    bool settled : 1 = false;        // it will not be detached: the kernel may read ahead
    bool paused : 1 = false;         // the owner wants no bytes now
    bool ended : 1 = false;          // the peer has sent its last byte, and we have it
    bool broken : 1 = false;         // no byte can go out any more
    bool write_blocked : 1 = false;  // a `writable` event is owed
    bool closing : 1 = false;        // close() came; our end follows the bytes that are unsent

    // What the kernel has of it.
    bool receiving : 1 = false;    // a receive
    bool cancelling : 1 = false;   // which is being cancelled
    bool watched : 1 = false;      // for bytes
    bool sending : 1 = false;      // bytes that write() took are not all out
    bool in_epoll : 1 = false;     // epoll tells of breaks, and of room
    bool awaits_room : 1 = false;  // and is waited for

    // In which lists of the network its id stands.
    bool in_to_arm : 1 = false;
    bool in_ends : 1 = false;
    bool holds_bytes : 1 = false;     // received while paused
    std::uint32_t heard_in_poll = 0;  // the last one that brought bytes
    std::uint32_t heard_bytes = 0;    // in that poll
};
static_assert(sizeof(UringSlot) <= 44);

/// Owns the sockets of one shard, listening ones included. Order and pausing as in EpollNetwork.
/// Threading  shard-local; wake() any thread; counters() may be read by any thread.
/// Shape      one poll brings at most read_bytes_max of a connection (one buffer, if that is more),
///            and at most all buffers.
class UringNetwork final : public TcpNetwork<UringSlot> {
public:
    /// See make_server_network().
    [[nodiscard]] static Result<std::unique_ptr<UringNetwork>, std::string> create(
        const ports::Clock& clock, ServerNetworkOptions options, const UringSizes& sizes = {});
    ~UringNetwork() override;

    void poll(Instant deadline, std::vector<ports::NetworkEvent>& events) override;
    [[nodiscard]] std::size_t write(ports::ConnectionId connection,
                                    std::span<const ByteView> parts) override;
    void pause_reading(ports::ConnectionId connection) override;
    void resume_reading(ports::ConnectionId connection) override;
    void close(ports::ConnectionId connection) override;
    void settle(ports::ConnectionId connection) override;

private:
    UringNetwork(const ports::Clock& clock, ServerNetworkOptions options,
                 std::unique_ptr<Uring> uring, const UringSizes& sizes, UniqueFd epoll);

    [[nodiscard]] bool begin(ports::ConnectionId id, UringSlot& slot) override;
    void let_go(ports::ConnectionId id, UringSlot& slot) override;
    void end(std::uint32_t index, UringSlot& slot) override;

    // poll(), in its order
    void give_back_lent();
    void arm_queued();
    void arm(ports::ConnectionId id, UringSlot& slot);
    void wait(Instant deadline);
    void reap(Events& events);
    void on_completion(std::uint64_t tag, std::int32_t result, std::uint32_t flags, Events& events);
    void on_received(ports::ConnectionId id, std::int32_t result, std::uint32_t flags,
                     Events& events);
    void on_readable(ports::ConnectionId id, std::int32_t result);
    void on_sent(std::uint32_t send, std::int32_t result, Events& events);
    void look_at_epoll(Events& events);
    void on_epoll(ports::ConnectionId id, std::uint32_t what, Events& events);
    void read_readable(Events& events);
    void read(ports::ConnectionId id, UringSlot& slot, Events& events);
    void deliver_held(Events& events);
    void report_ends(Events& events);
    void end_unsent();

    void take_bytes(ports::ConnectionId id, UringSlot& slot, ByteView bytes, Events& events);
    void stop_receiving(ports::ConnectionId id, UringSlot& slot);
    void all_sent(ports::ConnectionId id, UringSlot& slot, Events& events);
    [[nodiscard]] bool finish_sending(ports::ConnectionId id, UringSlot& slot);
    void ask_epoll(ports::ConnectionId id, UringSlot& slot, bool has_room_now);
    void queue_to_arm(ports::ConnectionId id, UringSlot& slot);
    void mark_ended(ports::ConnectionId id, UringSlot& slot, bool is_broken);
    void mark_broken(ports::ConnectionId id, UringSlot& slot);
    void cancel(std::uint64_t tag);

    std::unique_ptr<Uring> uring_;
    const std::uint32_t sends_max_;  // in flight: their completions fit into the ring

    std::vector<ports::ConnectionId> to_arm_;
    std::vector<ports::ConnectionId> arming_;    // reused
    std::vector<ports::ConnectionId> filled_;    // a buffer, and may have more
    std::vector<ports::ConnectionId> readable_;  // oldest first
    std::vector<ports::ConnectionId> resumed_;   // holds bytes and is not paused any more
    std::vector<ports::ConnectionId> ends_;      // ended, and not yet told
    LingerList unsent_ends_;                     // closing, with bytes that are not out

    SendArena sends_;
    std::unordered_map<std::uint32_t, Bytes> unsent_;  // by index: what found no room
    std::unordered_map<std::uint32_t, Bytes> held_;    // by index: received while paused
    std::vector<Bytes> lent_held_;                     // told of in this poll
    std::vector<std::uint16_t> lent_;                  // ring buffers told of in this poll
    std::vector<UniqueFd> doomed_;                     // closed after the next enter()

    std::unique_ptr<std::uint8_t[]> read_buffer_;  // for those that are not settled
    std::size_t read_buffer_used_ = 0;
    std::uint32_t poll_serial_ = 0;
    std::array<epoll_event, 512> ready_{};
    bool is_epoll_ready_ = false;
    bool is_epoll_armed_ = false;
    bool is_waker_armed_ = false;
    bool woken_ = false;  // wake() ended the last wait
};

}  // namespace mitu::runtime
