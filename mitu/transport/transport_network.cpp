// The port: events in, calls out, and the table of those that have filters.

#include "mitu/transport/transport_network.hpp"

#include <algorithm>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/transport/channel.hpp"
#include "mitu/transport/client_hello.hpp"

namespace mitu::transport {

using ports::ConnectionId;
using ports::NetworkEvent;
using Phase = Channel::Phase;

namespace {

// How often we look again while all places of handshakes are taken.
// Behind a ClientHello come a chain of certificates at most, and a little of what follows.
constexpr std::size_t handshake_kept_bytes_max = 262'144;
constexpr Duration full_pause = Duration::milliseconds(100);
// Room beyond the input: the front of a record may have come earlier.
constexpr std::size_t record_room_bytes = TlsStream::record_bytes_max + 1'024;

NetworkEvent make_event(NetworkEvent::Kind kind, ConnectionId id) {
    NetworkEvent event;
    event.kind = kind;
    event.connection = id;
    return event;
}

}  // namespace

TransportNetwork::TransportNetwork(std::unique_ptr<runtime::ServerNetwork> inner,
                                   const ports::Clock& clock, TransportOptions options,
                                   Doorkeeper* doorkeeper)
    : inner_{std::move(inner)},
      clock_{clock},
      options_{std::move(options)},
      doorkeeper_{doorkeeper},
      now_{clock.now()},
      waiting_{options_.limits.waiting_max} {}

TransportNetwork::~TransportNetwork() = default;

// --- the table ---

bool TransportNetwork::is_ours(ConnectionId id) const noexcept {
    return !id.is_none() && id.index < places_.size() &&
           places_[id.index].generation == id.generation;
}

Channel* TransportNetwork::find(ConnectionId id) noexcept {
    return is_ours(id) ? places_[id.index].channel.get() : nullptr;
}

Channel* TransportNetwork::find_open(ConnectionId id) noexcept {
    Channel* const channel = find(id);
    return channel != nullptr && channel->phase == Phase::open ? channel : nullptr;
}

Channel& TransportNetwork::put(std::unique_ptr<Channel> channel, ConnectionId id) {
    if (id.index >= places_.size()) places_.resize(std::size_t{id.index} + 1);
    Place& place = places_[id.index];
    MITU_CHECK(place.channel == nullptr);
    channel->id = id;
    place.channel = std::move(channel);
    place.generation = id.generation;
    counters_.filtered_connections.add();
    return *place.channel;
}

std::unique_ptr<Channel> TransportNetwork::take(Channel& channel) {
    counters_.filtered_connections.subtract();
    return std::move(places_[channel.id.index].channel);
}

const ListenerTransport* TransportNetwork::settings_of(std::uint16_t listener_index) const {
    return listener_index < options_.listeners.size() ? &options_.listeners[listener_index]
                                                      : nullptr;
}

// --- poll ---

bool TransportNetwork::has_backlog() const noexcept {
    return !owed_.empty() || !deferred_.empty() ||
           (!waiting_.empty() && active_ < options_.limits.handshakes_max);
}

void TransportNetwork::poll(Instant deadline, Events& events) {
    events.clear();
    reads_.reset();
    handshake_time_ = {};
    tell_owed(events);

    Instant until =
        std::min({deadline, headers_.next(), waits_.next(), handshakes_.next(), closings_.next()});
    if (!waiting_.empty()) until = std::min(until, clock_.now() + full_pause);
    if (has_backlog() || !events.empty()) until = Instant{};
    inner_->poll(until, inner_events_);

    now_ = clock_.now();
    run_deferred(events);
    for (const NetworkEvent& event : inner_events_) on_event(event, events);
    start_handshakes(events);
    for (Deadlines* const list : {&headers_, &waits_, &handshakes_, &closings_}) expire(*list);
}

void TransportNetwork::on_event(const NetworkEvent& event, Events& events) {
    if (event.kind == NetworkEvent::Kind::opened) {
        on_opened(event, events);
        return;
    }
    if (!is_ours(event.connection)) {
        events.push_back(event);
        return;
    }
    Channel* const channel = find(event.connection);
    if (channel == nullptr) return;
    switch (event.kind) {
        case NetworkEvent::Kind::opened:
            break;
        case NetworkEvent::Kind::received:
            on_bytes(*channel, event.bytes, events);
            break;
        case NetworkEvent::Kind::writable:
            flush_unsent(*channel);
            if (!channel->unsent.empty()) break;
            if (channel->phase == Phase::closing) {
                finish_closing(*channel);
            } else if (channel->phase == Phase::open && channel->owes_writable) {
                channel->owes_writable = false;
                events.push_back(event);
            }
            break;
        case NetworkEvent::Kind::closed:
            on_closed(*channel, events);
            break;
    }
}

void TransportNetwork::on_closed(Channel& channel, Events& events) {
    if (channel.phase == Phase::open) {
        events.push_back(make_event(NetworkEvent::Kind::closed, channel.id));
    } else if (channel.phase != Phase::closing) {
        counters_.failed_total[static_cast<std::size_t>(HandshakeFailure::gone)].add();
        tell_arrival(channel, false);
        leave_phase(channel);
    }
    const std::unique_ptr<Channel> gone = take(channel);
}

// --- bytes come in ---

void TransportNetwork::on_bytes(Channel& channel, ByteView bytes, Events& events) {
    channel.heard_at = now_;
    switch (channel.phase) {
        case Phase::closing:
            return;
        case Phase::waiting:
            keep(channel, bytes, 2 * client_hello_bytes_max);
            return;
        case Phase::tls:
            if (!channel.is_deferred && !is_out_of_time()) break;
            // Bytes are lent for this poll only. TCP holds back what more it has.
            counters_.handshake_polls_cut_total.add();
            if (!channel.is_deferred) deferred_.push_back(channel.id);
            channel.is_deferred = true;
            keep(channel, bytes, handshake_kept_bytes_max);
            return;
        case Phase::open:
            deliver(channel, bytes, events);
            return;
        case Phase::proxy_header:
        case Phase::client_hello:
        case Phase::upgrade:
            break;
    }
    advance(channel, bytes, events);
}

void TransportNetwork::deliver(Channel& channel, ByteView bytes, Events& events) {
    if (channel.is_ended || bytes.empty()) return;
    NetworkEvent event = make_event(NetworkEvent::Kind::received, channel.id);
    if (!channel.tls && !channel.websocket) {
        std::ranges::copy(bytes, reads_.reserve(bytes.size()).begin());
        event.bytes = reads_.keep(bytes.size());
        events.push_back(event);
        return;
    }
    if (!channel.tls) {
        deliver_frames(channel, bytes, events);
        return;
    }
    const std::size_t room_bytes = bytes.size() + record_room_bytes;
    if (channel.websocket && plain_.size() < room_bytes) plain_.resize(room_bytes);
    const MutableByteView room =
        channel.websocket ? MutableByteView{plain_} : reads_.reserve(room_bytes);
    const TlsStream::Read read = channel.tls->read(bytes, room, output_);
    if (channel.websocket) {
        deliver_frames(channel, room.first(read.count), events);
    } else if (read.count > 0) {
        event.bytes = reads_.keep(read.count);
        events.push_back(event);
    }
    if (read.status != TlsStream::Status::open) {
        end(channel, read.status == TlsStream::Status::failed);
    }
    static_cast<void>(flush_output(channel));
}

void TransportNetwork::deliver_frames(Channel& channel, ByteView frames, Events& events) {
    if (channel.is_ended || frames.empty()) return;
    const MutableByteView room = reads_.reserve(frames.size());
    framed_.clear();
    const WebSocketStream::Read read = channel.websocket->read(frames, room, frames_, framed_);
    if (read.count > 0) {
        NetworkEvent event = make_event(NetworkEvent::Kind::received, channel.id);
        event.bytes = reads_.keep(read.count);
        events.push_back(event);
    }
    if (!framed_.empty()) send_framed(channel);
    if (read.status != WebSocketStream::Status::open) {
        end(channel, read.status == WebSocketStream::Status::failed);
        channel.is_closed_for_writing = true;  // our close frame was the last one
    }
    static_cast<void>(flush_output(channel));
}

/// The owner has had its last bytes; the next poll tells it so.
void TransportNetwork::end(Channel& channel, bool is_breach) {
    if (is_breach) counters_.broken_total.add();
    channel.is_ended = true;
    if (is_breach) channel.is_closed_for_writing = true;
    owe(channel);
}

void TransportNetwork::owe(Channel& channel) {
    if (channel.is_in_owed) return;
    channel.is_in_owed = true;
    owed_.push_back(channel.id);
}

void TransportNetwork::tell_owed(Events& events) {
    owed_now_.clear();
    owed_now_.swap(owed_);
    for (const ConnectionId id : owed_now_) {
        Channel* const channel = find(id);
        if (channel == nullptr) continue;
        channel->is_in_owed = false;
        if (channel->phase != Phase::open) continue;
        if (channel->owes_writable && channel->unsent.empty()) {
            channel->owes_writable = false;
            events.push_back(make_event(NetworkEvent::Kind::writable, id));
        }
        // A clean end waits behind a pause like the bytes before it; a break does not.
        const bool is_broken = channel->is_closed_for_writing;
        if (channel->is_ended && (!channel->is_paused || is_broken)) {
            events.push_back(make_event(NetworkEvent::Kind::closed, id));
            start_closing(*channel);
        }
    }
}

// --- what the owner does with a connection ---

void TransportNetwork::pause_reading(ConnectionId connection) {
    if (is_ours(connection)) {
        Channel* const channel = find_open(connection);
        if (channel == nullptr) return;
        channel->is_paused = true;
    }
    inner_->pause_reading(connection);
}

void TransportNetwork::resume_reading(ConnectionId connection) {
    if (is_ours(connection)) {
        Channel* const channel = find_open(connection);
        if (channel == nullptr) return;
        channel->is_paused = false;
        if (channel->is_ended) owe(*channel);
    }
    inner_->resume_reading(connection);
}

void TransportNetwork::close(ConnectionId connection) {
    if (!is_ours(connection)) {
        inner_->close(connection);
    } else if (Channel* const channel = find_open(connection)) {
        start_closing(*channel);
    }
}

ports::DetachedConnection TransportNetwork::detach(ConnectionId connection) {
    if (!is_ours(connection)) return inner_->detach(connection);
    Channel* const channel = find_open(connection);
    if (channel == nullptr) return {};
    ports::DetachedConnection detached = inner_->detach(connection);
    detached.peer = channel->peer;
    detached.filters = take(*channel).release();
    return detached;
}

ConnectionId TransportNetwork::attach(ports::DetachedConnection connection) {
    if (connection.filters == nullptr) return inner_->attach(connection);
    std::unique_ptr<Channel> channel{
        static_cast<Channel*>(std::exchange(connection.filters, nullptr))};
    const ConnectionId id = inner_->attach(connection);
    if (id.is_none()) return id;
    channel->is_paused = false;
    channel->is_in_owed = false;
    Channel& moved = put(std::move(channel), id);
    if (!moved.unsent.empty()) flush_unsent(moved);
    if (moved.is_ended || (moved.owes_writable && moved.unsent.empty())) owe(moved);
    return id;
}

const ports::PeerFacts* TransportNetwork::facts(ConnectionId connection) {
    const ports::PeerFacts* const below = inner_->facts(connection);
    if (!is_ours(connection)) return below;
    const Channel* const channel = find_open(connection);
    if (channel == nullptr) return nullptr;
    facts_ = below != nullptr ? *below : ports::PeerFacts{};
    if (channel->tls) {
        channel->tls->describe(facts_);
        facts_.transport = ports::TransportKind::tls;
    }
    if (channel->websocket) {
        facts_.transport =
            channel->tls ? ports::TransportKind::secure_websocket : ports::TransportKind::websocket;
    }
    if (channel->proxy) facts_.proxy = *channel->proxy;
    return &facts_;
}

}  // namespace mitu::transport
