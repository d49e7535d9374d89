#pragma once
// What networks over TCP sockets do alike, whichever kernel interface tells them of readiness:
// accept, take over and give away, count, linger.

#include <cstdint>
#include <utility>
#include <vector>

#include "mitu/base/check.hpp"
#include "mitu/runtime/acceptor.hpp"
#include "mitu/runtime/connection_slab.hpp"
#include "mitu/runtime/detached.hpp"
#include "mitu/runtime/linger_list.hpp"
#include "mitu/runtime/server_network.hpp"
#include "mitu/runtime/waker.hpp"

namespace mitu::runtime {

/// What an epoll event or a completion belongs to: a connection is generation << 32 | index, and
/// generations begin at 1, so that everything below 2^32 is ours: Acceptor::tag_base + i the
/// listeners, and what the network adds itself.
inline constexpr std::uint64_t connection_tag_min = std::uint64_t{1} << 32;
constexpr std::uint64_t to_connection_tag(ports::ConnectionId id) noexcept {
    return std::uint64_t{id.generation} << 32 | id.index;
}
constexpr ports::ConnectionId to_connection_id(std::uint64_t tag) noexcept {
    return {static_cast<std::uint32_t>(tag), static_cast<std::uint32_t>(tag >> 32)};
}

inline ports::NetworkEvent make_event(ports::NetworkEvent::Kind kind, ports::ConnectionId id) {
    ports::NetworkEvent event;
    event.kind = kind;
    event.connection = id;
    return event;
}

/// Owns the sockets of one shard, and an epoll set that its listeners stand in.
/// Threading  shard-local; wake() any thread; counters() may be read by any thread.
template <class Slot>
class TcpNetwork : public ServerNetwork {
public:
    [[nodiscard]] ports::DetachedConnection detach(ports::ConnectionId connection) final;
    [[nodiscard]] ports::ConnectionId attach(ports::DetachedConnection connection) final;
    [[nodiscard]] const ports::PeerFacts* facts(ports::ConnectionId connection) final;
    void wake() noexcept final { waker_.wake(); }
    void stop_accepting() final { acceptor_.stop(); }
    bool replace_listener(std::uint16_t index, UniqueFd socket) final {
        return acceptor_.replace(index, std::move(socket));
    }
    [[nodiscard]] const NetworkCounters& counters() const noexcept final { return counters_; }

protected:
    using Events = std::vector<ports::NetworkEvent>;

    TcpNetwork(const ports::Clock& clock, ServerNetworkOptions options, UniqueFd epoll)
        : clock_{clock},
          limits_{options.limits},
          epoll_{std::move(epoll)},
          acceptor_{epoll_.get(), std::move(options.listeners), options.budget, counters_},
          budget_{options.budget} {}

    // --- what the kernel interfaces differ in ---

    /// A new slot: begin to listen to it. False: the kernel has no room for it.
    [[nodiscard]] virtual bool begin(ports::ConnectionId id, Slot& slot) = 0;
    /// Its socket is about to go to another network: stop listening to it.
    virtual void let_go(ports::ConnectionId id, Slot& slot) = 0;
    /// The slot ends, and its socket with it, if it still has one.
    virtual void end(std::uint32_t index, Slot& slot) = 0;

    // --- what they share ---

    void accept_waiting(Events& events);
    /// The connection is closed on our side: it waits for the peer to close too.
    void begin_lingering(ports::ConnectionId id, Slot& slot);
    void end_lingering();
    void cut_lingering(ports::ConnectionId id);
    void release(std::uint32_t index);
    void release_all();

    const ports::Clock& clock_;
    const NetworkLimits limits_;
    UniqueFd epoll_;
    Waker waker_;
    NetworkCounters counters_;  // before acceptor_, which counts there
    Acceptor acceptor_;
    ConnectionSlab<Slot> slab_;
    LingerList lingering_;

private:
    [[nodiscard]] ports::ConnectionId adopt(UniqueFd fd, const ports::PeerAddress& peer,
                                            std::uint16_t listener_index);

    ConnectionBudget* const budget_;
    ports::PeerFacts facts_;  // of whom facts() was asked last
};

template <class Slot>
void TcpNetwork<Slot>::accept_waiting(Events& events) {
    const Instant now = clock_.now();
    for (const std::uint16_t listener : acceptor_.waiting()) {
        for (std::uint32_t i = 0; i < limits_.accepts_max; ++i) {
            Accepted accepted;
            const bool has_room = slab_.used() < limits_.connections_max;
            const Acceptor::Status status = acceptor_.accept(listener, has_room, now, accepted);
            if (status == Acceptor::Status::empty) break;
            if (status == Acceptor::Status::refused) continue;
            const ports::ConnectionId id = adopt(std::move(accepted.fd), accepted.peer, listener);
            if (id.is_none()) continue;
            counters_.accepted_total.add();
            ports::NetworkEvent event = make_event(ports::NetworkEvent::Kind::opened, id);
            event.peer = accepted.peer;
            event.listener_index = listener;
            events.push_back(event);
        }
    }
    acceptor_.clear_waiting();
}

template <class Slot>
ports::DetachedConnection TcpNetwork<Slot>::detach(ports::ConnectionId connection) {
    Slot* const slot = slab_.find_open(connection);
    if (slot == nullptr) return {};
    let_go(connection, *slot);
    ports::DetachedConnection detached{to_handle(std::exchange(slot->fd, -1)), slot->peer,
                                       slot->listener_index, nullptr};
    counters_.detached_total.add();
    release(connection.index);
    return detached;
}

template <class Slot>
ports::ConnectionId TcpNetwork<Slot>::attach(ports::DetachedConnection connection) {
    if (connection.filters != nullptr) {
        // Whoever can read through them took them off before: this is the wrong kind of network.
        close_detached(connection);
        return {};
    }
    if (connection.handle == 0) return {};
    UniqueFd fd{to_fd(connection.handle)};
    if (slab_.used() >= limits_.connections_max) {
        counters_.refused_limit_total.add();
        return {};
    }
    if (budget_ != nullptr) budget_->take();
    const ports::ConnectionId id = adopt(std::move(fd), connection.peer, connection.listener_index);
    if (!id.is_none()) counters_.attached_total.add();
    return id;
}

template <class Slot>
const ports::PeerFacts* TcpNetwork<Slot>::facts(ports::ConnectionId connection) {
    const Slot* const slot = slab_.find_open(connection);
    if (slot == nullptr || !slot->peer.is_none()) return nullptr;
    facts_ = {};
    facts_.transport = ports::TransportKind::unix_socket;
    facts_.local = local_peer(slot->fd);
    return &facts_;
}

template <class Slot>
ports::ConnectionId TcpNetwork<Slot>::adopt(UniqueFd fd, const ports::PeerAddress& peer,
                                            std::uint16_t listener_index) {
    const ports::ConnectionId id = slab_.allocate();
    Slot& slot = slab_.at(id.index);
    slot.fd = fd.release();
    slot.peer = peer;
    slot.listener_index = listener_index;
    counters_.connections.add();
    if (begin(id, slot)) return id;
    counters_.refused_limit_total.add();
    release(id.index);
    return {};
}

template <class Slot>
void TcpNetwork<Slot>::begin_lingering(ports::ConnectionId id, Slot& slot) {
    MITU_CHECK(slot.state == Slot::State::lingering);
    lingering_.add(id, clock_.now() + limits_.linger_time_max);
    lingering_.trim(limits_.lingering_max,
                    [this](ports::ConnectionId oldest) { cut_lingering(oldest); });
}

template <class Slot>
void TcpNetwork<Slot>::end_lingering() {
    if (lingering_.empty()) return;
    lingering_.end_due(
        clock_.now(), [this](ports::ConnectionId id) { return slab_.find(id) != nullptr; },
        [this](ports::ConnectionId id) { cut_lingering(id); });
}

template <class Slot>
void TcpNetwork<Slot>::cut_lingering(ports::ConnectionId id) {
    if (slab_.find(id) == nullptr) return;
    counters_.linger_cut_total.add();
    release(id.index);
}

template <class Slot>
void TcpNetwork<Slot>::release(std::uint32_t index) {
    Slot& slot = slab_.at(index);
    end(index, slot);
    if (slot.state == Slot::State::lingering) counters_.lingering.subtract();
    counters_.connections.subtract();
    if (budget_ != nullptr) budget_->give_back();
    slab_.free(index);
}

template <class Slot>
void TcpNetwork<Slot>::release_all() {
    for (std::uint32_t i = 0; i < slab_.capacity(); ++i) {
        if (slab_.at(i).state != Slot::State::free) release(i);
    }
}

}  // namespace mitu::runtime
