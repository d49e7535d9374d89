#include "mitu/broker/testing/virtual_network.hpp"

#include <algorithm>

namespace mitu::broker::testing {

using ports::ConnectionId;
using ports::DetachedConnection;
using ports::NetworkEvent;

std::uint64_t Transit::put(std::shared_ptr<VirtualSocket> socket) {
    sockets_.emplace(next_, std::move(socket));
    return next_++;
}

std::shared_ptr<VirtualSocket> Transit::take(std::uint64_t handle) {
    const auto node = sockets_.extract(handle);
    return node.empty() ? nullptr : node.mapped();
}

void VirtualNetwork::accept(std::shared_ptr<VirtualSocket> socket) {
    accepted_.push_back(std::move(socket));
}

bool VirtualNetwork::has_event(const Slot& slot) noexcept {
    if (!slot.socket) return false;
    const VirtualSocket& socket = *slot.socket;
    if (socket.reset_by_client) return true;
    if (slot.is_blocked && socket.room() != 0) return true;
    return !slot.is_paused && (!socket.to_broker.empty() || socket.closed_by_client);
}

bool VirtualNetwork::has_work() const noexcept {
    return is_woken_.load(std::memory_order_acquire) || !accepted_.empty() ||
           std::any_of(slots_.begin(), slots_.end(), has_event);
}

std::size_t VirtualNetwork::connection_count() const noexcept {
    return slots_.size() - free_.size();
}

void VirtualNetwork::poll(Instant /*deadline*/, std::vector<NetworkEvent>& events) {
    events.clear();
    lent_.clear();
    is_woken_.store(false, std::memory_order_relaxed);
    const auto known = static_cast<std::uint32_t>(slots_.size());
    for (std::uint32_t i = 0; i < known; ++i) {
        if (has_event(slots_[i])) report(i, events);
    }
    while (!accepted_.empty()) {
        const auto peer = accepted_.front()->peer;
        const ConnectionId id = add(std::move(accepted_.front()));
        accepted_.pop_front();
        if (id.is_none()) continue;
        NetworkEvent event;
        event.kind = NetworkEvent::Kind::opened;
        event.connection = id;
        event.peer = peer;
        events.push_back(event);
    }
}

void VirtualNetwork::report(std::uint32_t index, std::vector<NetworkEvent>& events) {
    Slot& slot = slots_[index];
    VirtualSocket& socket = *slot.socket;
    NetworkEvent event;
    event.connection = {index, slot.generation};
    bool has_read = false;
    if (slot.is_blocked && socket.room() != 0 && !socket.reset_by_client) {
        slot.is_blocked = false;
        event.kind = NetworkEvent::Kind::writable;
        events.push_back(event);
    }
    if (!slot.is_paused && !socket.to_broker.empty() && !socket.reset_by_client) {
        std::size_t size = std::min(socket.to_broker.size(), options_.read_bytes_max);
        if (options_.chops) size = 1 + static_cast<std::size_t>(prng_.below(size));
        const auto end = socket.to_broker.begin() + static_cast<std::ptrdiff_t>(size);
        // A copy of its own size, so that reading past the end is noticed.
        lent_.emplace_back(socket.to_broker.begin(), end);
        socket.to_broker.erase(socket.to_broker.begin(), end);
        has_read = true;
        event.kind = NetworkEvent::Kind::received;
        event.bytes = lent_.back();
        if (socket.tap != nullptr) socket.tap->on_read(event.bytes);
        events.push_back(event);
        event.bytes = {};
    }
    const bool is_read_out = socket.to_broker.empty() && !slot.is_paused && !has_read;
    if (socket.reset_by_client || (socket.closed_by_client && is_read_out)) {
        event.kind = NetworkEvent::Kind::closed;
        events.push_back(event);
        if (socket.tap != nullptr) socket.tap->on_closed(false);
        release(index);
    }
}

std::size_t VirtualNetwork::write(ConnectionId connection, std::span<const ByteView> parts) {
    Slot* const slot = find(connection);
    if (slot == nullptr || slot->is_blocked) return 0;
    VirtualSocket& socket = *slot->socket;
    std::size_t offered = 0;
    for (const ByteView part : parts) offered += part.size();
    std::size_t left = std::min(offered, socket.room());
    if (left != 0 && options_.chops) left = 1 + static_cast<std::size_t>(prng_.below(left));
    if (left != 0 && faults_.fire(ports::Fault::write_short)) left = 1;
    const std::size_t taken = left;
    for (const ByteView part : parts) {
        const ByteView now = part.first(std::min(part.size(), left));
        socket.to_client.insert(socket.to_client.end(), now.begin(), now.end());
        if (socket.tap != nullptr && !now.empty()) socket.tap->on_written(now, slot->was_short);
        left -= now.size();
    }
    slot->is_blocked = slot->was_short = taken < offered;
    if (socket.tap != nullptr) socket.tap->on_held_up(slot->is_blocked);
    return taken;
}

void VirtualNetwork::pause_reading(ConnectionId connection) {
    if (Slot* const slot = find(connection)) slot->is_paused = true;
}

void VirtualNetwork::resume_reading(ConnectionId connection) {
    if (Slot* const slot = find(connection)) slot->is_paused = false;
}

void VirtualNetwork::close(ConnectionId connection) {
    Slot* const slot = find(connection);
    if (slot == nullptr) return;
    slot->socket->closed_by_broker = true;
    if (slot->socket->tap != nullptr) slot->socket->tap->on_closed(true);
    release(connection.index);
}

DetachedConnection VirtualNetwork::detach(ConnectionId connection) {
    Slot* const slot = find(connection);
    if (slot == nullptr) return {};
    const auto peer = slot->socket->peer;
    const DetachedConnection detached{transit_.put(slot->socket), peer, 0};
    release(connection.index);
    return detached;
}

ConnectionId VirtualNetwork::attach(DetachedConnection connection) {
    auto socket = transit_.take(connection.handle);
    return socket ? add(std::move(socket)) : ConnectionId{};
}

VirtualNetwork::Slot* VirtualNetwork::find(ConnectionId id) noexcept {
    if (id.is_none() || id.index >= slots_.size()) return nullptr;
    Slot& slot = slots_[id.index];
    return slot.socket && slot.generation == id.generation ? &slot : nullptr;
}

ConnectionId VirtualNetwork::add(std::shared_ptr<VirtualSocket> socket) {
    if (connection_count() >= options_.connections_max) {
        socket->closed_by_broker = true;
        if (socket->tap != nullptr) socket->tap->on_closed(true);
        return {};
    }
    if (free_.empty()) {
        free_.push_back(static_cast<std::uint32_t>(slots_.size()));
        slots_.emplace_back();
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    Slot& slot = slots_[index];
    slot.socket = std::move(socket);
    slot.is_paused = slot.is_blocked = slot.was_short = false;
    return {index, ++slot.generation};
}

void VirtualNetwork::release(std::uint32_t index) {
    slots_[index].socket.reset();
    free_.push_back(index);
}

}  // namespace mitu::broker::testing
