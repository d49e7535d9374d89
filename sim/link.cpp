#include "sim/link.hpp"

#include <algorithm>

#include "sim/world.hpp"

namespace mitu::sim {

Link::Link(World& world, ConnectionSerial serial, std::string_view actor, LinkClient& client,
           const LinkConditions& conditions, Prng prng, const IpAddress& from)
    : world_{world},
      serial_{serial},
      actor_{actor},
      client_{&client},
      conditions_{conditions},
      prng_{prng},
      socket_{std::make_shared<broker::testing::VirtualSocket>()} {
    socket_->tap = this;
    socket_->peer.ip = from;
    socket_->window_bytes = conditions.window_bytes;
}

// --- the client's side ---

void Link::send(ByteView bytes) {
    if (is_open_ && !bytes.empty()) put(up_, Kind::data, bytes, true);
}

void Link::close() {
    if (!is_open_) return;
    is_open_ = false;
    put(up_, Kind::end, {}, true);
}

void Link::reset() {
    if (!is_open_) return;
    is_open_ = false;
    put(up_, Kind::reset, {}, true);
}

void Link::forget(Farewell farewell) {
    if (farewell == Farewell::reset) reset();
    client_ = nullptr;
}

// --- on its way ---

void Link::put(std::deque<Piece>& way, Kind kind, ByteView bytes, bool is_up) {
    const auto spread =
        static_cast<std::uint64_t>((conditions_.delay_max - conditions_.delay_min).count_ns());
    const Duration delay =
        conditions_.delay_min +
        Duration::nanoseconds(static_cast<std::int64_t>(prng_.below(spread + 1)));
    Instant ready = world_.now() + delay;
    if (!way.empty()) ready = std::max(ready, way.back().ready);
    way.push_back({ready, kind, Bytes(bytes.begin(), bytes.end())});
    world_.timeline().at(
        ready, [self = shared_from_this(), is_up] { is_up ? self->pump_up() : self->pump_down(); });
}

void Link::arrive() {
    has_arrived_ = true;
    if (!world_.server_is_up() || world_.server_is_stopping()) {
        lose_server();
        return;
    }
    world_.tell_opened(serial_, actor_);
    world_.accept(socket_);
    pump_up();
}

void Link::pump_up() {
    if (!has_arrived_ || up_is_cut_ || server_gone_) return;
    while (!up_.empty() && up_.front().ready <= world_.now()) {
        const Piece piece = std::move(up_.front());
        up_.pop_front();
        if (server_closed_) continue;
        switch (piece.kind) {
            case Kind::data:
                socket_->to_broker.insert(socket_->to_broker.end(), piece.bytes.begin(),
                                          piece.bytes.end());
                break;
            case Kind::end:
                socket_->closed_by_client = true;
                break;
            case Kind::reset:
                socket_->reset_by_client = socket_->closed_by_client = true;
                break;
        }
    }
}

void Link::drain() {
    if (down_is_cut_ || end_is_sent_) return;
    const std::size_t room =
        conditions_.window_bytes - std::min(conditions_.window_bytes, down_bytes_);
    const std::size_t taken = std::min(room, socket_->to_client.size());
    if (taken != 0) {
        put(down_, Kind::data, ByteView{socket_->to_client}.first(taken), false);
        down_bytes_ += taken;
        socket_->to_client.erase(socket_->to_client.begin(),
                                 socket_->to_client.begin() + static_cast<std::ptrdiff_t>(taken));
    }
    if ((server_closed_ || server_gone_) && socket_->to_client.empty()) {
        end_is_sent_ = true;
        put(down_, Kind::end, {}, false);
    }
}

void Link::pump_down() {
    if (down_is_cut_) return;
    bool moved = false;
    while (!down_.empty() && down_.front().ready <= world_.now()) {
        const Piece piece = std::move(down_.front());
        down_.pop_front();
        down_bytes_ -= piece.bytes.size();
        moved = true;
        if (client_ == nullptr || !is_open_) continue;
        if (piece.kind == Kind::data) {
            client_->on_bytes(piece.bytes);
        } else {
            is_open_ = false;
            client_->on_closed();
        }
    }
    if (moved) drain();
}

void Link::lose_server() {
    if (!has_arrived_) return;  // the next server may be there by then
    server_gone_ = true;
    socket_->tap = nullptr;
    drain();
}

// --- the storm's side ---

void Link::cut_up(bool is_cut) {
    up_is_cut_ = is_cut;
    if (!is_cut) pump_up();
}

void Link::cut_down(bool is_cut) {
    down_is_cut_ = is_cut;
    if (is_cut) return;
    drain();
    pump_down();
}

void Link::mend() {
    if (up_is_cut_) cut_up(false);
    if (down_is_cut_) cut_down(false);
}

void Link::calm() {
    conditions_.delay_min = calm_link.delay_min;
    conditions_.delay_max = calm_link.delay_max;
    set_window(calm_link.window_bytes);
    mend();
}

void Link::set_window(std::size_t bytes) {
    conditions_.window_bytes = bytes;
    socket_->window_bytes = bytes;
    drain();
}

// --- what the broker does ---

void Link::on_read(ByteView bytes) {
    world_.tell_heard(serial_);
    const auto fault = read_.feed(bytes, version_, [&](const mqtt::Packet& packet, auto size) {
        world_.tell_read({world_.now(), world_.step_count(), serial_, packet, size});
    });
    world_.note(serial_, 1, bytes);
    if (fault) world_.tell_garbage(serial_);
}

void Link::on_written(ByteView bytes, bool may_have_waited) {
    const auto fault = written_.feed(bytes, version_, [&](const mqtt::Packet& packet, auto size) {
        world_.tell_written(
            {world_.now(), world_.step_count(), serial_, packet, size, may_have_waited});
    });
    world_.note(serial_, 2, bytes);
    if (fault) world_.report("sends_only_packets", *fault);
    world_.mark_dirty(shared_from_this());
}

void Link::on_held_up(bool is_held_up) { world_.tell_held_up(serial_, is_held_up); }

void Link::on_closed(bool by_broker) {
    server_closed_ = true;
    world_.note(serial_, by_broker ? 3 : 4, {});
    world_.tell_closed(serial_, by_broker);
    world_.mark_dirty(shared_from_this());
}

}  // namespace mitu::sim
