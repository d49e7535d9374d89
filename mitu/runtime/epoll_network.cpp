#include "mitu/runtime/epoll_network.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>
#include <system_error>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/runtime/socket_write.hpp"

namespace mitu::runtime {
namespace {

using ports::ConnectionId;
using ports::NetworkEvent;

constexpr std::uint64_t wake_tag = 0;

// A read with less room than this is left to the next poll.
constexpr std::size_t read_room_min = 4'096;
// Where bytes that nobody wants would land; MSG_TRUNC makes TCP drop them without copying.
constexpr std::size_t discard_bytes = 65'536;

}  // namespace

Result<std::unique_ptr<EpollNetwork>, std::string> EpollNetwork::create(
    const ports::Clock& clock, ServerNetworkOptions options) {
    const auto refuse = [](const char* what) {
        return std::unexpected(std::string{what} + ": " + std::generic_category().message(errno));
    };
    UniqueFd epoll{epoll_create1(EPOLL_CLOEXEC)};
    if (!epoll.is_open()) return refuse("cannot create an epoll reactor");
    std::unique_ptr<EpollNetwork> network{
        new EpollNetwork{clock, std::move(options), std::move(epoll)}};
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = wake_tag;
    if (!network->waker_.is_open() ||
        epoll_ctl(network->epoll_.get(), EPOLL_CTL_ADD, network->waker_.fd(), &event) != 0) {
        return refuse("cannot watch an eventfd");
    }
    if (!network->acceptor_.register_all()) return refuse("cannot watch a listening socket");
    return network;
}

EpollNetwork::EpollNetwork(const ports::Clock& clock, ServerNetworkOptions options, UniqueFd epoll)
    : TcpNetwork{clock, std::move(options), std::move(epoll)},
      // Not zeroed: pages that no read ever reaches are never touched.
      read_buffer_{
          std::make_unique_for_overwrite<std::uint8_t[]>(limits_.poll_bytes_max + discard_bytes)} {}

EpollNetwork::~EpollNetwork() { release_all(); }

void EpollNetwork::poll(Instant deadline, Events& events) {
    events.clear();
#ifdef MITU_AUDITS
    // Whoever kept bytes beyond their poll shall notice.
    std::memset(read_buffer_.get(), 0xDD, read_buffer_used_);
#endif
    read_buffer_used_ = 0;
    do {
        const int count = wait(deadline);
        for (int i = 0; i < count; ++i) {
            note_readiness(ready_[static_cast<std::size_t>(i)], events);
        }
        if (!to_read_.empty()) read_queued(events);
        if (!acceptor_.waiting().empty()) accept_waiting(events);
        end_lingering();
        if (!acceptor_.next_deadline().is_never()) acceptor_.resume_rested(clock_.now());
        // What was not worth an event (a signal, a draining socket) is not worth a turn either.
    } while (events.empty() && !woken_ && clock_.now() < deadline);
}

int EpollNetwork::wait(Instant deadline) {
    counters_.polls_total.add();
    const Instant until =
        std::min({deadline, acceptor_.next_deadline(), lingering_.next_deadline()});

    timespec timeout{};
    bool may_wait = to_read_.empty();
    if (may_wait && !until.is_never()) {
        const std::int64_t ns = (until - clock_.now()).count_ns();
        may_wait = ns > 0;
        timeout.tv_sec = may_wait ? ns / 1'000'000'000 : 0;
        timeout.tv_nsec = may_wait ? ns % 1'000'000'000 : 0;
    }
    may_wait = may_wait && waker_.begin_wait();
    const bool forever = may_wait && until.is_never();
    if (!may_wait) timeout = timespec{};

    const int capacity = static_cast<int>(ready_.size());
    int count = -1;
    if (has_pwait2_) {
        count = epoll_pwait2(epoll_.get(), ready_.data(), capacity, forever ? nullptr : &timeout,
                             nullptr);
        // Kernels before 5.11, and sandboxes that do not know the call.
        has_pwait2_ = count >= 0 || (errno != ENOSYS && errno != EPERM);
    }
    if (!has_pwait2_) {
        const std::int64_t ms =
            std::int64_t{timeout.tv_sec} * 1'000 + (timeout.tv_nsec + 999'999) / 1'000'000;
        count = epoll_wait(epoll_.get(), ready_.data(), capacity,
                           forever ? -1 : static_cast<int>(std::min<std::int64_t>(ms, INT_MAX)));
    }
    woken_ = waker_.end_wait();
    MITU_CHECK(count >= 0 || errno == EINTR);
    return count;
}

void EpollNetwork::note_readiness(const epoll_event& ready, Events& events) {
    const std::uint64_t tag = ready.data.u64;
    if (tag < connection_tag_min) {
        if (tag != wake_tag) acceptor_.note_readiness(tag);
        return;
    }
    const ConnectionId id = to_connection_id(tag);
    EpollSlot* const slot = slab_.find(id);
    if (slot == nullptr) return;
    if ((ready.events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        slot->readable = true;
        if ((ready.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) slot->ended = true;
        if ((ready.events & (EPOLLHUP | EPOLLERR)) != 0) slot->broken = true;
        if (!slot->paused || slot->broken) queue_for_reading(id, *slot);
    }
    if ((ready.events & EPOLLOUT) != 0 && slot->write_blocked && !slot->broken) {
        slot->write_blocked = false;
        if (slot->state == EpollSlot::State::open) {
            events.push_back(make_event(NetworkEvent::Kind::writable, id));
        }
    }
}

void EpollNetwork::queue_for_reading(ConnectionId id, EpollSlot& slot) {
    if (slot.queued) return;
    slot.queued = true;
    to_read_.push_back(id);
}

void EpollNetwork::read_queued(Events& events) {
    const std::size_t room_min =
        std::min({read_room_min, limits_.read_bytes_max, limits_.poll_bytes_max});
    std::size_t done = 0;
    for (; done < to_read_.size(); ++done) {
        if (limits_.poll_bytes_max - read_buffer_used_ < room_min) break;
        const ConnectionId id = to_read_[done];
        EpollSlot* const slot = slab_.find(id);
        if (slot == nullptr) continue;  // closed or detached while it stood in the queue
        slot->queued = false;
        const bool lingers = slot->state == EpollSlot::State::lingering;
        if (slot->paused && !slot->broken) continue;  // resume_reading() queues it again
        const ReadResult result = lingers        ? throw_away(*slot)
                                  : slot->paused ? ReadResult::closed
                                                 : read(id, *slot, events);
        if (result == ReadResult::drained) {
            slot->readable = false;
        } else if (result == ReadResult::has_more) {
            slot->queued = true;
            to_read_next_.push_back(id);
        } else {
            if (!lingers) events.push_back(make_event(NetworkEvent::Kind::closed, id));
            release(id.index);
        }
    }
    // Those whose turn did not come stand before those that had theirs.
    to_read_.erase(to_read_.begin(), to_read_.begin() + static_cast<std::ptrdiff_t>(done));
    to_read_.insert(to_read_.end(), to_read_next_.begin(), to_read_next_.end());
    to_read_next_.clear();
}

EpollNetwork::ReadResult EpollNetwork::read(ConnectionId id, EpollSlot& slot, Events& events) {
    const std::size_t size =
        std::min(limits_.read_bytes_max, limits_.poll_bytes_max - read_buffer_used_);
    if (size == 0) return ReadResult::has_more;
    for (;;) {
        std::uint8_t* const to = read_buffer_.get() + read_buffer_used_;
        const ssize_t got = ::recv(slot.fd, to, size, 0);
        counters_.reads_total.add();
        if (got > 0) {
            const auto count = static_cast<std::size_t>(got);
            counters_.received_bytes_total.add(count);
            read_buffer_used_ += count;
            NetworkEvent event = make_event(NetworkEvent::Kind::received, id);
            event.bytes = ByteView{to, count};
            events.push_back(event);
            if (count == size) return ReadResult::has_more;
            // Short: the socket is empty, and what comes later is a new edge. Only the peer's end
            // has already been announced and would not be again: the next poll finds it.
            return slot.ended ? ReadResult::has_more : ReadResult::drained;
        } else if (got == 0 || errno != EINTR) {
            const bool is_empty = got < 0 && errno == EAGAIN && !slot.broken;
            return is_empty ? ReadResult::drained : ReadResult::closed;
        }
    }
}

EpollNetwork::ReadResult EpollNetwork::throw_away(EpollSlot& slot) {
    std::uint8_t* const nowhere = read_buffer_.get() + limits_.poll_bytes_max;
    for (;;) {
        const ssize_t got = ::recv(slot.fd, nowhere, discard_bytes, MSG_TRUNC);
        counters_.reads_total.add();
        if (got > 0) {
            slot.link += static_cast<std::uint32_t>(got);
            if (slot.link > limits_.linger_bytes_max) {
                counters_.linger_cut_total.add();
                return ReadResult::closed;
            }
            if (static_cast<std::size_t>(got) < discard_bytes && !slot.ended) {
                return ReadResult::drained;
            }
        } else if (got == 0 || errno != EINTR) {
            const bool is_empty = got < 0 && errno == EAGAIN && !slot.broken;
            return is_empty ? ReadResult::drained : ReadResult::closed;
        }
    }
}

std::size_t EpollNetwork::write(ConnectionId connection, std::span<const ByteView> parts) {
    EpollSlot* const slot = slab_.find_open(connection);
    if (slot == nullptr || slot->broken || slot->write_blocked || parts.empty()) return 0;

    const SocketWrite result = write_to_socket(slot->fd, parts, counters_);
    if (result.is_broken) {
        mark_broken(connection, *slot);
        return 0;
    }
    const bool full = result.taken < result.offered;
    if (full || !result.offered_all) await_room(connection, *slot, !full);
    return result.taken;
}

// The kernel tells of room once after a write that found none. If the socket was not full (more
// parts than one call may carry), registering anew makes epoll look and tell.
void EpollNetwork::await_room(ConnectionId id, EpollSlot& slot, bool has_room_now) {
    counters_.writes_blocked_total.add();
    slot.write_blocked = true;
    if (slot.watches_write && !has_room_now) return;
    slot.watches_write = true;
    if (!watch(EPOLL_CTL_MOD, id, slot)) mark_broken(id, slot);
}

// The next poll() reads what is left and reports the end.
void EpollNetwork::mark_broken(ConnectionId id, EpollSlot& slot) {
    slot.broken = slot.ended = slot.readable = true;
    queue_for_reading(id, slot);
}

bool EpollNetwork::watch(int operation, ConnectionId id, const EpollSlot& slot) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
    if (slot.watches_write) event.events |= EPOLLOUT;
    event.data.u64 = to_connection_tag(id);
    return epoll_ctl(epoll_.get(), operation, slot.fd, &event) == 0;
}

void EpollNetwork::pause_reading(ConnectionId connection) {
    if (EpollSlot* const slot = slab_.find_open(connection)) slot->paused = true;
}

void EpollNetwork::resume_reading(ConnectionId connection) {
    EpollSlot* const slot = slab_.find_open(connection);
    if (slot == nullptr || !slot->paused) return;
    slot->paused = false;
    // The edge came while it was paused and will not come again.
    if (slot->readable) queue_for_reading(connection, *slot);
}

void EpollNetwork::close(ConnectionId connection) {
    EpollSlot* const slot = slab_.find_open(connection);
    if (slot == nullptr) return;
    if (slot->broken || ::shutdown(slot->fd, SHUT_WR) != 0) {
        release(connection.index);
        return;
    }
    // close(2) with unread bytes sends a reset, which would overtake what we wrote. So the socket
    // lingers here until the peer has closed too, within bounds.
    slot->state = EpollSlot::State::lingering;
    slot->paused = false;
    slot->link = 0;
    if (slot->readable) queue_for_reading(connection, *slot);
    counters_.lingering.add();
    begin_lingering(connection, *slot);
}

// Registering looks at the socket's state: bytes that came before it are an edge too. It fails for
// fs.epoll.max_user_watches, or for want of kernel memory.
bool EpollNetwork::begin(ConnectionId id, EpollSlot& slot) {
    return watch(EPOLL_CTL_ADD, id, slot);
}

void EpollNetwork::let_go(ConnectionId /*id*/, EpollSlot& slot) {
    MITU_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, slot.fd, nullptr) == 0);
}

void EpollNetwork::end(std::uint32_t /*index*/, EpollSlot& slot) {
    if (slot.fd >= 0) ::close(slot.fd);  // leaves the epoll set by itself
}

}  // namespace mitu::runtime
