#include "mitu/runtime/uring_network.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/runtime/socket_write.hpp"

namespace mitu::runtime {
namespace {

using ports::ConnectionId;
using ports::NetworkEvent;
using Kind = NetworkEvent::Kind;

// What a completion belongs to. Of one connection and kind at most one is in the kernel.
enum class Operation : std::uint8_t { none, wake, epoll, receive, watch, send };

// operation 8 bits, index 24, generation 32; of a send, the index is that of the SendArena.
constexpr std::uint32_t index_max = (1U << 24) - 1;
constexpr std::uint64_t to_tag(Operation operation, ConnectionId id = {}) noexcept {
    return std::uint64_t{static_cast<std::uint8_t>(operation)} << 56 |
           std::uint64_t{id.index} << 32 | id.generation;
}
constexpr Operation operation_of(std::uint64_t tag) noexcept {
    return static_cast<Operation>(tag >> 56);
}
constexpr ConnectionId id_of(std::uint64_t tag) noexcept {
    return {static_cast<std::uint32_t>(tag >> 32) & index_max, static_cast<std::uint32_t>(tag)};
}

// A read with less room than this is left to the next poll.
constexpr std::size_t read_room_min = 4'096;

}  // namespace

Result<std::unique_ptr<UringNetwork>, std::string> UringNetwork::create(
    const ports::Clock& clock, ServerNetworkOptions options, const UringSizes& sizes) {
    auto uring = Uring::create(sizes);
    if (!uring) return std::unexpected(uring.error());
    const auto refuse = [](const char* what) {
        return std::unexpected(std::string{what} + ": " + std::generic_category().message(errno));
    };
    UniqueFd epoll{epoll_create1(EPOLL_CLOEXEC)};
    if (!epoll.is_open()) return refuse("cannot create an epoll set for listeners");
    MITU_CHECK(options.limits.connections_max <= index_max);
    std::unique_ptr<UringNetwork> network{
        new UringNetwork{clock, std::move(options), std::move(*uring), sizes, std::move(epoll)}};
    if (!network->waker_.is_open()) return refuse("cannot create an eventfd");
    if (!network->acceptor_.register_all()) return refuse("cannot watch a listening socket");
    return network;
}

UringNetwork::UringNetwork(const ports::Clock& clock, ServerNetworkOptions options,
                           std::unique_ptr<Uring> uring, const UringSizes& sizes, UniqueFd epoll)
    : TcpNetwork{clock, std::move(options), std::move(epoll)},
      uring_{std::move(uring)},
      sends_max_{sizes.completions / 2},
      // Not zeroed: pages that no read ever reaches are never touched.
      read_buffer_{std::make_unique_for_overwrite<std::uint8_t[]>(limits_.poll_bytes_max)} {}

UringNetwork::~UringNetwork() { release_all(); }

// ---- a poll -------------------------------------------------------------------------------------

void UringNetwork::poll(Instant deadline, Events& events) {
    events.clear();
    ++poll_serial_;
    give_back_lent();
    do {
        arm_queued();
        wait(deadline);
        reap(events);
        // Who filled a buffer has more, and a turn is worth more the more it sees of it.
        while (!filled_.empty()) {
            arming_.swap(filled_);
            for (const ConnectionId id : arming_) {
                if (UringSlot* const slot = slab_.find(id)) arm(id, *slot);
            }
            arming_.clear();
            uring_->enter(Uring::Wait::no, {});
            reap(events);
        }
        if (!readable_.empty()) read_readable(events);
        if (!resumed_.empty()) deliver_held(events);
        if (is_epoll_ready_) look_at_epoll(events);
        if (!ends_.empty()) report_ends(events);
        end_lingering();
        if (!unsent_ends_.empty()) end_unsent();
        if (!acceptor_.next_deadline().is_never()) acceptor_.resume_rested(clock_.now());
    } while (events.empty() && !woken_ && clock_.now() < deadline);
}

void UringNetwork::reap(Events& events) {
    uring_->reap([&](std::uint64_t tag, std::int32_t result, std::uint32_t flags) {
        on_completion(tag, result, flags, events);
    });
}

void UringNetwork::give_back_lent() {
#ifdef MITU_AUDITS
    // Whoever kept bytes beyond their poll shall notice.
    std::memset(read_buffer_.get(), 0xDD, read_buffer_used_);
#endif
    read_buffer_used_ = 0;
    lent_held_.clear();
    for (const std::uint16_t buffer : lent_) uring_->give_back(buffer);
    lent_.clear();
}

void UringNetwork::arm_queued() {
    if (!is_waker_armed_) {
        io_uring_sqe& sqe = uring_->next();
        io_uring_prep_poll_multishot(&sqe, waker_.fd(), POLLIN);
        io_uring_sqe_set_data64(&sqe, to_tag(Operation::wake));
        is_waker_armed_ = true;
    }
    if (!is_epoll_armed_) {
        io_uring_sqe& sqe = uring_->next();
        io_uring_prep_poll_add(&sqe, epoll_.get(), POLLIN);
        io_uring_sqe_set_data64(&sqe, to_tag(Operation::epoll));
        is_epoll_armed_ = true;
    }
    arming_.swap(to_arm_);
    // Receives are tried in the order of their submission, and may use up all buffers: those who
    // had none in the last poll come before those who had.
    for (const bool had_some : {false, true}) {
        for (const ConnectionId id : arming_) {
            UringSlot* const slot = slab_.find(id);
            if (slot == nullptr || !slot->in_to_arm) continue;
            if ((slot->heard_in_poll + 1 == poll_serial_) != had_some) continue;
            slot->in_to_arm = false;
            arm(id, *slot);
        }
    }
    arming_.clear();
}

// The kernel is asked for what this connection wants now and has not asked for yet.
void UringNetwork::arm(ConnectionId id, UringSlot& slot) {
    if (slot.receiving) return;
    if (slot.paused) {
        if (!slot.watched && !slot.in_epoll && !slot.broken) ask_epoll(id, slot, false);
    } else if (slot.ended) {
        return;
    } else if (slot.settled || slot.state == UringSlot::State::lingering) {
        io_uring_sqe& sqe = uring_->next();
        io_uring_prep_recv(&sqe, slot.fd, nullptr, 0, 0);
        sqe.flags |= IOSQE_BUFFER_SELECT;
        sqe.buf_group = Uring::buffer_group;
        io_uring_sqe_set_data64(&sqe, to_tag(Operation::receive, id));
        slot.receiving = true;
    } else if (!slot.watched) {
        io_uring_sqe& sqe = uring_->next();
        io_uring_prep_poll_add(&sqe, slot.fd, POLLIN | POLLRDHUP);
        io_uring_sqe_set_data64(&sqe, to_tag(Operation::watch, id));
        slot.watched = true;
    }
}

void UringNetwork::wait(Instant deadline) {
    counters_.polls_total.add();
    const Instant until = std::min({deadline, acceptor_.next_deadline(), lingering_.next_deadline(),
                                    unsent_ends_.next_deadline()});
    Uring::Wait how = Uring::Wait::no;
    __kernel_timespec timeout{};
    if (readable_.empty() && resumed_.empty() && ends_.empty()) {
        const std::int64_t ns = until.is_never() ? 0 : (until - clock_.now()).count_ns();
        if (until.is_never() || ns > 0) {
            how = until.is_never() ? Uring::Wait::for_ever : Uring::Wait::until_timeout;
            timeout.tv_sec = ns / 1'000'000'000;
            timeout.tv_nsec = ns % 1'000'000'000;
        }
    }
    if (how != Uring::Wait::no && !waker_.begin_wait()) how = Uring::Wait::no;
    uring_->enter(how, timeout);
    woken_ = waker_.end_wait();
    if (!doomed_.empty() && uring_->is_submitted()) doomed_.clear();
}

void UringNetwork::on_completion(std::uint64_t tag, std::int32_t result, std::uint32_t flags,
                                 Events& events) {
    const ConnectionId id = id_of(tag);
    switch (operation_of(tag)) {
        case Operation::receive:
            return on_received(id, result, flags, events);
        case Operation::send:
            return on_sent(id.index, result, events);
        case Operation::watch:
            return on_readable(id, result);
        case Operation::epoll:
            is_epoll_armed_ = false;
            is_epoll_ready_ = true;
            return;
        case Operation::wake:
            if ((flags & IORING_CQE_F_MORE) == 0) is_waker_armed_ = false;
            return;
        case Operation::none:
            return;
    }
}

// ---- bytes in -----------------------------------------------------------------------------------

void UringNetwork::on_received(ConnectionId id, std::int32_t result, std::uint32_t flags,
                               Events& events) {
    UringSlot* const slot = slab_.find(id);
    if (slot != nullptr) slot->receiving = slot->cancelling = false;
    if ((flags & IORING_CQE_F_BUFFER) != 0) {
        const std::uint16_t buffer = Uring::buffer_of(flags);
        // Before take_bytes(), which may end the connection.
        const bool lends = slot != nullptr && slot->state == UringSlot::State::open &&
                           !slot->paused && !slot->holds_bytes;
        if (slot != nullptr && result > 0) {
            take_bytes(id, *slot, uring_->buffer(buffer, static_cast<std::size_t>(result)), events);
        }
        if (lends) {
            lent_.push_back(buffer);
        } else {
            uring_->give_back(buffer);
        }
    }
    if (slot == nullptr || slab_.find(id) == nullptr) return;
    const bool is_over = result == 0 || (result < 0 && result != -ENOBUFS && result != -ECANCELED &&
                                         result != -EINTR && result != -EAGAIN);
    if (is_over) {
        mark_ended(id, *slot, result != 0);
    } else if (result > 0 && static_cast<std::size_t>(result) == uring_->buffer_bytes() &&
               slot->heard_in_poll == poll_serial_ &&
               slot->heard_bytes + uring_->buffer_bytes() <= limits_.read_bytes_max) {
        filled_.push_back(id);
    } else {
        queue_to_arm(id, *slot);
    }
}

/// Tells of the bytes, or keeps or discards them, as the connection's state demands.
void UringNetwork::take_bytes(ConnectionId id, UringSlot& slot, ByteView bytes, Events& events) {
    counters_.received_bytes_total.add(bytes.size());
    if (slot.state == UringSlot::State::lingering) {
        slot.link += static_cast<std::uint32_t>(bytes.size());
        if (slot.link > limits_.linger_bytes_max) cut_lingering(id);
        return;
    }
    if (slot.paused || slot.holds_bytes) {
        Bytes& held = held_[id.index];
        held.insert(held.end(), bytes.begin(), bytes.end());
        slot.holds_bytes = true;
        return;
    }
    if (slot.heard_in_poll != poll_serial_) slot.heard_bytes = 0;
    slot.heard_in_poll = poll_serial_;
    slot.heard_bytes += static_cast<std::uint32_t>(bytes.size());
    NetworkEvent event = make_event(Kind::received, id);
    event.bytes = bytes;
    events.push_back(event);
}

void UringNetwork::stop_receiving(ConnectionId id, UringSlot& slot) {
    if (!slot.receiving || slot.cancelling) return;
    slot.cancelling = true;
    cancel(to_tag(Operation::receive, id));
}

void UringNetwork::on_readable(ConnectionId id, std::int32_t result) {
    UringSlot* const slot = slab_.find(id);
    if (slot == nullptr) return;
    slot->watched = false;
    if (result > 0 && slot->paused && (result & (POLLERR | POLLHUP)) != 0) {
        mark_ended(id, *slot, true);
    } else if (result <= 0 || slot->paused || slot->settled ||
               slot->state == UringSlot::State::lingering) {
        queue_to_arm(id, *slot);
    } else {
        readable_.push_back(id);
    }
}

void UringNetwork::read_readable(Events& events) {
    const std::size_t room_min =
        std::min({read_room_min, limits_.read_bytes_max, limits_.poll_bytes_max});
    std::size_t done = 0;
    for (; done < readable_.size(); ++done) {
        if (limits_.poll_bytes_max - read_buffer_used_ < room_min) break;
        const ConnectionId id = readable_[done];
        UringSlot* const slot = slab_.find(id);
        if (slot == nullptr) continue;  // closed or detached while it stood in the queue
        if (slot->paused || slot->settled || slot->state == UringSlot::State::lingering) {
            queue_to_arm(id, *slot);
        } else {
            read(id, *slot, events);
        }
    }
    readable_.erase(readable_.begin(), readable_.begin() + static_cast<std::ptrdiff_t>(done));
}

void UringNetwork::read(ConnectionId id, UringSlot& slot, Events& events) {
    std::uint8_t* const to = read_buffer_.get() + read_buffer_used_;
    const std::size_t size =
        std::min(limits_.read_bytes_max, limits_.poll_bytes_max - read_buffer_used_);
    ssize_t got = 0;
    do {
        got = ::recv(slot.fd, to, size, MSG_DONTWAIT);
        counters_.reads_total.add();
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        read_buffer_used_ += static_cast<std::size_t>(got);
        take_bytes(id, slot, {to, static_cast<std::size_t>(got)}, events);
        queue_to_arm(id, slot);  // arming looks at the socket: what is left over is found
    } else if (got < 0 && errno == EAGAIN) {
        queue_to_arm(id, slot);
    } else {
        mark_ended(id, slot, got < 0);
    }
}

void UringNetwork::deliver_held(Events& events) {
    for (const ConnectionId id : resumed_) {
        UringSlot* const slot = slab_.find_open(id);
        if (slot == nullptr || slot->paused || !slot->holds_bytes) continue;
        slot->holds_bytes = false;
        slot->heard_in_poll = poll_serial_;
        const auto held = held_.find(id.index);
        MITU_CHECK(held != held_.end());
        lent_held_.push_back(std::move(held->second));
        held_.erase(held);
        NetworkEvent event = make_event(Kind::received, id);
        event.bytes = lent_held_.back();
        events.push_back(event);
    }
    resumed_.clear();
}

void UringNetwork::mark_ended(ConnectionId id, UringSlot& slot, bool is_broken) {
    slot.ended = true;
    slot.broken = slot.broken || is_broken;
    if (slot.in_ends) return;
    slot.in_ends = true;
    ends_.push_back(id);
}

// No byte can go out. What came in before is still read, and behind it the end is found.
void UringNetwork::mark_broken(ConnectionId id, UringSlot& slot) {
    slot.broken = true;
    // Where nothing else would tell: not every error of a send ends the socket.
    ::shutdown(slot.fd, SHUT_RDWR);
    if (slot.paused || slot.ended) {
        mark_ended(id, slot, true);
    } else {
        queue_to_arm(id, slot);
    }
}

void UringNetwork::report_ends(Events& events) {
    std::size_t kept = 0;
    for (const ConnectionId id : ends_) {
        UringSlot* const slot = slab_.find(id);
        if (slot == nullptr) continue;
        const bool is_open = slot->state == UringSlot::State::open;
        if (is_open ? slot->paused && !slot->broken : slot->closing && !slot->broken) {
            slot->in_ends = false;  // resume_reading() or all_sent() brings it back
        } else if (is_open &&
                   (slot->heard_in_poll == poll_serial_ || (slot->holds_bytes && !slot->paused))) {
            ends_[kept++] = id;
        } else {
            if (is_open) events.push_back(make_event(Kind::closed, id));
            release(id.index);
        }
    }
    ends_.resize(kept);
}

// Listeners, and connections that wait for room or are paused.
void UringNetwork::look_at_epoll(Events& events) {
    is_epoll_ready_ = false;
    const int count = epoll_wait(epoll_.get(), ready_.data(), static_cast<int>(ready_.size()), 0);
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = ready_[static_cast<std::size_t>(i)];
        if (event.data.u64 < connection_tag_min) {
            acceptor_.note_readiness(event.data.u64);
        } else {
            on_epoll(to_connection_id(event.data.u64), event.events, events);
        }
    }
    accept_waiting(events);
}

void UringNetwork::on_epoll(ConnectionId id, std::uint32_t what, Events& events) {
    UringSlot* const slot = slab_.find(id);
    if (slot == nullptr) return;
    const bool is_broken = (what & (EPOLLERR | EPOLLHUP)) != 0;
    if (slot->awaits_room && (what & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
        slot->awaits_room = false;
        if (!slot->broken && (!slot->sending || finish_sending(id, *slot))) {
            all_sent(id, *slot, events);
        }
    }
    // Not paused: whoever reads finds the break, behind the bytes that came before it.
    if (slot->paused && is_broken) mark_ended(id, *slot, true);
}

/// From here on epoll tells of breaks, and of room after each write that found none.
/// `has_room_now`: registering anew makes it look and tell.
void UringNetwork::ask_epoll(ConnectionId id, UringSlot& slot, bool has_room_now) {
    if (slot.in_epoll && !has_room_now) return;
    epoll_event event{};
    event.events = EPOLLOUT | EPOLLET;
    event.data.u64 = to_connection_tag(id);
    const int operation = slot.in_epoll ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    slot.in_epoll = epoll_ctl(epoll_.get(), operation, slot.fd, &event) == 0;
    // fs.epoll.max_user_watches, or no kernel memory.
    if (!slot.in_epoll) mark_broken(id, slot);
}

// Closed, with bytes that the peer does not take: they have longer than a peer that has all.
void UringNetwork::end_unsent() {
    const auto is_unsent = [this](ConnectionId id) {
        const UringSlot* const slot = slab_.find(id);
        return slot != nullptr && slot->closing;
    };
    const auto cut = [&](ConnectionId id) {
        if (!is_unsent(id)) return;
        // An end in good order would say that this was all.
        const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
        [[maybe_unused]] const int refused =
            ::connect(slab_.at(id.index).fd, &nobody, sizeof nobody);
        cut_lingering(id);
    };
    unsent_ends_.end_due(clock_.now(), is_unsent, cut);
    unsent_ends_.trim(limits_.lingering_max, cut);
}

// ---- bytes out ----------------------------------------------------------------------------------

std::size_t UringNetwork::write(ConnectionId connection, std::span<const ByteView> parts) {
    UringSlot* const slot = slab_.find_open(connection);
    if (slot == nullptr || slot->broken || slot->write_blocked || parts.empty()) return 0;
    if (slot->sending) {
        slot->write_blocked = true;  // told of when those bytes are out
        return 0;
    }
    std::size_t size = 0;
    for (const ByteView part : parts) size += part.size();
    if (size == 0) return 0;
    if (slot->settled && size <= SendArena::send_bytes_max && sends_.in_flight() < sends_max_) {
        const std::uint32_t send = sends_.begin(connection, parts, size);
        io_uring_sqe& sqe = uring_->next();
        // Not left to wait in the kernel for room: one slow peer would keep the whole chunk.
        io_uring_prep_send(&sqe, slot->fd, sends_.at(send).data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        io_uring_sqe_set_data64(&sqe, to_tag(Operation::send, {send, 0}));
        slot->sending = true;
        return size;
    }
    const SocketWrite result = write_to_socket(slot->fd, parts, counters_);
    if (result.is_broken) {
        mark_broken(connection, *slot);
        return 0;
    }
    if (result.taken < size) {
        counters_.writes_blocked_total.add();
        slot->write_blocked = true;
        slot->awaits_room = true;
        ask_epoll(connection, *slot, result.taken == result.offered);
    }
    return result.taken;
}

void UringNetwork::on_sent(std::uint32_t send, std::int32_t result, Events& events) {
    const SendArena::Send sent = sends_.end(send);
    UringSlot* const slot = slab_.find(sent.connection);
    if (slot == nullptr) return;
    const std::size_t taken = result > 0 ? static_cast<std::size_t>(result) : 0;
    counters_.sent_bytes_total.add(taken);
    if (taken == sent.size) return all_sent(sent.connection, *slot, events);
    if (result < 0 && result != -EAGAIN && result != -EINTR) {
        slot->sending = slot->closing = false;
        return mark_broken(sent.connection, *slot);
    }
    counters_.writes_blocked_total.add();
    unsent_[sent.connection.index].assign(sent.data + taken, sent.data + sent.size);
    slot->awaits_room = true;
    ask_epoll(sent.connection, *slot, false);
}

/// Offers the bytes that found no room. False: some are left, or the connection broke.
bool UringNetwork::finish_sending(ConnectionId id, UringSlot& slot) {
    const auto unsent = unsent_.find(id.index);
    if (unsent == unsent_.end()) return true;
    const ByteView part = unsent->second;
    const SocketWrite result = write_to_socket(slot.fd, std::span{&part, 1}, counters_);
    if (result.is_broken) {
        unsent_.erase(unsent);
        slot.sending = slot.closing = false;
        mark_broken(id, slot);
        return false;
    }
    unsent->second.erase(unsent->second.begin(),
                         unsent->second.begin() + static_cast<std::ptrdiff_t>(result.taken));
    if (!unsent->second.empty()) {
        slot.awaits_room = true;
        ask_epoll(id, slot, false);
        return false;
    }
    unsent_.erase(unsent);
    return true;
}

void UringNetwork::all_sent(ConnectionId id, UringSlot& slot, Events& events) {
    slot.sending = false;
    if (slot.closing) {
        slot.closing = false;
        if (::shutdown(slot.fd, SHUT_WR) != 0 || slot.ended) mark_ended(id, slot, false);
        begin_lingering(id, slot);
    } else if (slot.write_blocked && slot.state == UringSlot::State::open) {
        slot.write_blocked = false;
        events.push_back(make_event(Kind::writable, id));
    }
}

// ---- what the owner wants -----------------------------------------------------------------------

void UringNetwork::queue_to_arm(ConnectionId id, UringSlot& slot) {
    if (slot.in_to_arm) return;
    slot.in_to_arm = true;
    to_arm_.push_back(id);
}

void UringNetwork::cancel(std::uint64_t tag) {
    io_uring_sqe& sqe = uring_->next();
    io_uring_prep_cancel64(&sqe, tag, 0);
    io_uring_sqe_set_data64(&sqe, to_tag(Operation::none));
}

void UringNetwork::pause_reading(ConnectionId connection) {
    UringSlot* const slot = slab_.find_open(connection);
    if (slot == nullptr || slot->paused) return;
    slot->paused = true;
    stop_receiving(connection, *slot);
    queue_to_arm(connection, *slot);
}

void UringNetwork::resume_reading(ConnectionId connection) {
    UringSlot* const slot = slab_.find_open(connection);
    if (slot == nullptr || !slot->paused) return;
    slot->paused = false;
    if (slot->holds_bytes) resumed_.push_back(connection);
    if (slot->ended) mark_ended(connection, *slot, slot->broken);
    queue_to_arm(connection, *slot);
}

void UringNetwork::settle(ConnectionId connection) {
    if (UringSlot* const slot = slab_.find_open(connection)) slot->settled = true;
}

void UringNetwork::close(ConnectionId connection) {
    UringSlot* const slot = slab_.find_open(connection);
    if (slot == nullptr) return;
    if (slot->holds_bytes) held_.erase(connection.index);
    slot->holds_bytes = false;
    slot->paused = false;
    slot->closing = slot->sending;
    if (slot->broken || (!slot->closing && ::shutdown(slot->fd, SHUT_WR) != 0)) {
        release(connection.index);
        return;
    }
    // close(2) with unread bytes sends a reset, which would overtake what we wrote. So the socket
    // lingers here until the peer has closed too, within bounds.
    slot->state = UringSlot::State::lingering;
    slot->link = 0;
    counters_.lingering.add();
    if (slot->ended) mark_ended(connection, *slot, false);
    queue_to_arm(connection, *slot);
    if (slot->closing) {
        unsent_ends_.add(connection, clock_.now() + limits_.unsent_time_max);
    } else {
        begin_lingering(connection, *slot);
    }
}

bool UringNetwork::begin(ConnectionId id, UringSlot& slot) {
    queue_to_arm(id, slot);
    return true;
}

void UringNetwork::let_go(ConnectionId id, UringSlot& slot) {
    MITU_CHECK(!slot.settled);  // the kernel may have read ahead
    if (slot.watched) cancel(to_tag(Operation::watch, id));
    if (slot.in_epoll) {
        MITU_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, slot.fd, nullptr) == 0);
    }
}

void UringNetwork::end(std::uint32_t index, UringSlot& slot) {
    if (slot.holds_bytes) held_.erase(index);
    if (slot.sending) unsent_.erase(index);
    if (slot.fd < 0) return;
    UniqueFd fd{slot.fd};
    // What the ring still has of it holds the socket open, and ends with this. An entry that is not
    // submitted names it by number, so that it is closed after the next enter().
    if (slot.receiving || slot.watched || slot.sending) {
        ::shutdown(fd.get(), SHUT_RDWR);
        doomed_.push_back(std::move(fd));
    }
}

}  // namespace mitu::runtime
