#pragma once
// The real ports::Network over io_uring (Linux 6.1): one system call per turn in the best case.
//
// A connection that may still move to another shard is watched for readiness and read with recv(),
// so that nothing of it is ever in the kernel's hands. Once settled, it has one multishot receive
// that fills buffers of the ring; small writes are copied together and go out with the next enter.
// Listeners stay with an epoll set of their own (Acceptor), which the ring watches: a multishot
// accept cannot tell where a connection comes from.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/runtime/acceptor.hpp"
#include "mitu/runtime/connection_slab.hpp"
#include "mitu/runtime/linger_list.hpp"
#include "mitu/runtime/send_arena.hpp"
#include "mitu/runtime/server_network.hpp"
#include "mitu/runtime/uring.hpp"
#include "mitu/runtime/waker.hpp"

namespace mitu::runtime {

/// Cost  an idle connection is 40 bytes here, and one request in the kernel.
struct UringSlot : ConnectionSlot {
    bool settled : 1 = false;        // it will not be detached: the kernel may read ahead
    bool paused : 1 = false;         // the owner wants no bytes now
    bool ended : 1 = false;          // the peer has sent its last byte, and we have it
    bool half_closed : 1 = false;    // the peer has sent its last byte: seen while paused
    bool broken : 1 = false;         // no byte can go out any more
    bool write_blocked : 1 = false;  // a `writable` event is owed
    bool closing : 1 = false;        // close() came; our end follows the bytes that are unsent

    // What the kernel has of it.
    bool receiving : 1 = false;   // a multishot receive
    bool cancelling : 1 = false;  // which is being cancelled
    bool watched : 1 = false;     // for bytes
    bool guarded : 1 = false;     // for a break, while paused
    bool sending : 1 = false;     // bytes that write() took are not all out
    bool awaits_room : 1 = false;

    // In which lists of the network its id stands.
    bool in_to_arm : 1 = false;
    bool in_ends : 1 = false;
    bool holds_bytes : 1 = false;  // received while paused
    std::uint32_t heard_in_poll = 0;
};
static_assert(sizeof(UringSlot) <= 40);

/// Owns the sockets of one shard, listening ones included. Order and pausing as in EpollNetwork.
/// Threading  shard-local; wake() any thread; counters() may be read by any thread.
class UringNetwork final : public ServerNetwork {
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
    [[nodiscard]] ports::DetachedConnection detach(ports::ConnectionId connection) override;
    [[nodiscard]] ports::ConnectionId attach(ports::DetachedConnection connection) override;
    void wake() noexcept override { waker_.wake(); }

    void stop_accepting() override;
    [[nodiscard]] const NetworkCounters& counters() const noexcept override { return counters_; }

private:
    using Events = std::vector<ports::NetworkEvent>;

    UringNetwork(const ports::Clock& clock, ServerNetworkOptions options,
                 std::unique_ptr<Uring> uring, UniqueFd accept_epoll);

    // poll(), in its order
    void give_back_lent();
    void arm_queued();
    void arm(ports::ConnectionId id, UringSlot& slot);
    void wait(Instant deadline);
    void on_completion(std::uint64_t tag, std::int32_t result, std::uint32_t flags, Events& events);
    void on_received(ports::ConnectionId id, std::int32_t result, std::uint32_t flags,
                     Events& events);
    void on_readable(ports::ConnectionId id, std::int32_t result);
    void on_guard(ports::ConnectionId id, std::int32_t result);
    void on_sent(std::uint32_t send, std::int32_t result, Events& events);
    void on_room(ports::ConnectionId id, Events& events);
    void read_readable(Events& events);
    void read(ports::ConnectionId id, UringSlot& slot, Events& events);
    void deliver_held(Events& events);
    void accept_waiting(Events& events);
    void report_ends(Events& events);

    void take_bytes(ports::ConnectionId id, UringSlot& slot, ByteView bytes, Events& events);
    void all_sent(ports::ConnectionId id, UringSlot& slot, Events& events);
    void await_room(ports::ConnectionId id, UringSlot& slot);
    void queue_to_arm(ports::ConnectionId id, UringSlot& slot);
    void mark_ended(ports::ConnectionId id, UringSlot& slot, bool is_broken);
    void mark_broken(ports::ConnectionId id, UringSlot& slot);
    void cancel(std::uint64_t tag);
    [[nodiscard]] bool finish_sending(ports::ConnectionId id, UringSlot& slot);
    void cut_lingering(ports::ConnectionId id);
    [[nodiscard]] ports::ConnectionId adopt(UniqueFd fd, const ports::PeerAddress& peer,
                                            std::uint16_t listener_index);
    void release(std::uint32_t index);

    const ports::Clock& clock_;
    const NetworkLimits limits_;
    std::unique_ptr<Uring> uring_;
    Waker waker_;
    UniqueFd accept_epoll_;
    NetworkCounters counters_;  // before acceptor_, which counts there
    Acceptor acceptor_;
    ConnectionBudget* const budget_;
    ConnectionSlab<UringSlot> slab_;

    std::vector<ports::ConnectionId> to_arm_;
    std::vector<ports::ConnectionId> arming_;    // reused
    std::vector<ports::ConnectionId> readable_;  // oldest first
    std::vector<ports::ConnectionId> resumed_;   // holds bytes and is not paused any more
    std::vector<ports::ConnectionId> ends_;      // ended, and not yet told
    LingerList lingering_;

    SendArena sends_;
    std::unordered_map<std::uint32_t, Bytes> unsent_;  // by index: what found no room
    std::unordered_map<std::uint32_t, Bytes> held_;    // by index: received while paused
    std::vector<Bytes> lent_held_;                     // told of in this poll
    std::vector<std::uint16_t> lent_;                  // ring buffers told of in this poll

    std::vector<UniqueFd> doomed_;  // closed after the next enter()

    std::unique_ptr<std::uint8_t[]> read_buffer_;  // for those that are not settled
    std::size_t read_buffer_used_ = 0;
    std::uint32_t poll_serial_ = 0;
    bool listeners_ready_ = false;
    bool is_waker_armed_ = false;
    bool are_listeners_armed_ = false;
    bool woken_ = false;  // wake() ended the last wait
};

}  // namespace mitu::runtime
