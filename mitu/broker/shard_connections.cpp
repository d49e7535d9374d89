// Bytes in, bytes out.

#include <algorithm>

#include "mitu/broker/placement.hpp"
#include "mitu/broker/shard.hpp"
#include "mitu/ports/trial.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::broker {
namespace {

constexpr std::size_t spare_buffers_max = 1'024;
constexpr std::size_t spare_buffer_bytes_max = 64u << 10;

/// The version that a CONNECT speaks, as far as it can be made out: it decides in which form it is
/// refused. Unknown future levels are answered as version 5.
mqtt::ProtocolVersion connect_version(ByteView packet) noexcept {
    std::size_t at = 1;
    while (at < packet.size() && at < 4 && (packet[at] & 0x80) != 0) ++at;
    ++at;
    if (at + 2 > packet.size()) return mqtt::ProtocolVersion::v3_1_1;
    const std::size_t name_bytes = (std::size_t{packet[at]} << 8) | packet[at + 1];
    at += 2 + name_bytes;
    if (at >= packet.size()) return mqtt::ProtocolVersion::v3_1_1;
    return packet[at] >= 5 ? mqtt::ProtocolVersion::v5 : mqtt::ProtocolVersion::v3_1_1;
}

}  // namespace

// --- the table ---

Connection* Shard::find(ports::ConnectionId id) noexcept { return connections_.find(id); }

Connection& Shard::add_connection(ports::ConnectionId id, const ports::PeerAddress& peer,
                                  std::uint16_t listener_index) {
    Connection& slot = connections_.slot(id.index);
    MITU_CHECK(slot.state == Connection::State::free);
    slot = Connection{};
    slot.id = id;
    slot.state = Connection::State::greeting;
    slot.peer = peer;
    slot.listener_index = listener_index;
    const Instant deadline = now_ + limits_.connect_timeout;
    work_of(slot).deadline = deadline;
    timers_.add({deadline, TimerQueue::Kind::connection, id.index, id.generation});
    ++connection_count_;
    counters_.connections.add();
    return slot;
}

void Shard::remove_connection(Connection& connection) {
    give_back_work(connection);
    if (!standings_.empty()) standings_.erase(connection.id.index);
    --connection_count_;
    counters_.connections.subtract();
    // The slot stays for the next connection with this index.
    connection = Connection{};
}

// --- events ---

void Shard::on_event(const ports::NetworkEvent& event) {
    using Kind = ports::NetworkEvent::Kind;
    if (event.kind == Kind::opened) {
        open(event);
        return;
    }
    Connection* const connection = find(event.connection);
    if (connection == nullptr) return;
    switch (event.kind) {
        case Kind::received:
            counters_.bytes_received_total.add(event.bytes.size());
            receive(*connection, event.bytes);
            break;
        case Kind::writable:
            connection->is_blocked = false;
            touch(*connection);
            if (connection->is_paused) resume_later(*connection);
            break;
        case Kind::closed:
            closed(*connection);
            break;
        case Kind::opened:
            break;
    }
}

void Shard::open(const ports::NetworkEvent& event) {
    counters_.connections_opened_total.add();
    if (is_shutting_down_) {
        ports_.network.close(event.connection);
        return;
    }
    static_cast<void>(add_connection(event.connection, event.peer, event.listener_index));
}

void Shard::closed(Connection& connection) {
    const bool was_attached = connection.state == Connection::State::attached;
    const SessionRef ref = session_of(connection);
    remove_connection(connection);
    if (!was_attached) return;
    if (Session* const session = sessions_.get(ref)) part(*session, Parting::lost);
}

// --- bytes in ---

void Shard::receive(Connection& connection, ByteView bytes) {
    if (connection.state == Connection::State::closing) return;
    if (connection.state == Connection::State::attached) {
        if (Session* const session = sessions_.get(session_of(connection))) {
            session->on_heard(now_);
            if (ports_.things != nullptr) {
                const Things::Cookie thing = sessions_.notes(session->self()).thing;
                if (thing != 0) ports_.things->on_heard(thing, now_);
            }
        }
    }
    if (connection.has_input() || connection.is_paused) {
        Bytes& input = work_of(connection).input;
        input.insert(input.end(), bytes.begin(), bytes.end());
        // on_admission() resumes that one; whoever was paused is resumed for the reason it was.
        const bool is_to_resume =
            connection.state != Connection::State::admitting && !connection.is_paused;
        // Here waits as much as one packet may have and what one read brings; the rest waits in
        // the socket, and so does the client's end: what it said before is dealt with first.
        pause(connection);
        if (is_to_resume) resume_later(connection);
        return;
    }
    const ports::ConnectionId id = connection.id;
    const std::size_t taken = process(connection, bytes);
    // It may have been given away or closed on the way.
    if (find(id) != &connection) return;
    if (connection.state == Connection::State::closing) return;
    if (taken < bytes.size()) {
        work_of(connection)
            .input.assign(bytes.begin() + static_cast<std::ptrdiff_t>(taken), bytes.end());
    }
}

bool Shard::may_read_on(Connection& connection, ByteView next) {
    if (connection.work && connection.work->holds_input) [[unlikely]] {
        pause(connection);
        return false;
    }
    const bool is_stopped =
        connection.is_blocked || (connection.work && connection.work->held_until != 0);
    if (is_stopped && connection.output_bytes() > limits_.output_backlog_bytes_max) {
        pause(connection);  // it sends, but does not read our answers; goes on when they leave
        return false;
    }
    if (is_held_back(next)) {
        counters_.lane_stalls_total.add();
        pause(connection);
        resume_later(connection);
        return false;
    }
    if (connection.state != Connection::State::attached) return true;
    const Session* const session = sessions_.get(session_of(connection));
    if (session == nullptr) return true;
    // The session's own pace, and the tenant's if the last packet had to wait for it.
    const Instant set_at = connection.resume_at();
    const bool is_set = !set_at.is_never() && set_at > now_;
    const Instant not_before = session->read_not_before();
    if (not_before <= now_ && !is_set) return true;
    pause(connection);
    // Never: completions will resume it.
    if (not_before > now_ && !not_before.is_never() && (!is_set || set_at < not_before)) {
        resume_at(connection, not_before);
    }
    return false;
}

/// Whether this waits until what publishers have sent has gone on. A PING does not: a client takes
/// silence for our death. QoS 0 that nobody keeps does not wait for the disk.
bool Shard::is_held_back(ByteView packet) {
    const bool has_way = may_use_lanes();
    if (has_way && disk_has_room()) return false;
    const unsigned first = packet.front();
    const auto type = static_cast<mqtt::PacketType>(first >> 4);
    if (type == mqtt::PacketType::pingreq) return false;
    constexpr unsigned qos_and_retain = 0x07;
    return !has_way || type != mqtt::PacketType::publish || (first & qos_and_retain) != 0;
}

std::size_t Shard::process(Connection& connection, ByteView bytes) {
    const ports::ConnectionId id = connection.id;
    std::size_t taken = 0;
    while (taken < bytes.size()) {
        if (connection.state == Connection::State::closing) return bytes.size();
        if (connection.state == Connection::State::admitting) return taken;
        if (!may_read_on(connection, bytes.subspan(taken))) return taken;
        const ByteView rest = bytes.subspan(taken);
        if (holds_back(connection, rest)) {
            pause(connection);  // for good
            return taken;
        }
        const std::optional<std::size_t> packet_bytes =
            connection.state == Connection::State::greeting ? process_connect(connection, rest)
            : connection.state == Connection::State::challenged
                ? process_challenged(connection, rest)
                : process_packet(connection, rest);
        if (!packet_bytes) return taken;                   // more is to come
        if (find(id) != &connection) return bytes.size();  // it lives elsewhere now
        taken += *packet_bytes;
    }
    return taken;
}

/// One packet of a session. nullopt: it is not whole yet. Whatever it has come to shows in the
/// connection's state.
std::optional<std::size_t> Shard::process_packet(Connection& connection, ByteView bytes) {
    Session* const session = sessions_.get(session_of(connection));
    MITU_CHECK(session != nullptr && session->connection() == connection.id);
    mqtt::DecodeOptions options;
    options.version = connection.version;
    options.packet_bytes_max = packet_bytes_max(connection.listener_index);
    if (tracer_.is_on()) [[unlikely]]
        trace_in(*session, bytes, options);
    Effects effects{turn_memory_};
    bool is_publish = false;
    enum class Step : std::uint8_t { needs_more, is_wrong, was_taken };
    Step step = Step::needs_more;
    std::size_t size_bytes = 0;
    mqtt::DecodeError error{};
    const bool is_sound = guarded(session->self(), [&] {
        const auto decoded = mqtt::decode(bytes, options);
        static_assert(std::is_trivially_destructible_v<decltype(decoded)>);
        if (!decoded) {
            error = decoded.error();
            step = Step::is_wrong;
        } else if (*decoded) {
            size_bytes = (*decoded)->size_bytes;
            is_publish = std::holds_alternative<mqtt::Publish>((*decoded)->packet);
            session->on_bytes(static_cast<std::uint32_t>(size_bytes), now_);
            session->on_packet((*decoded)->packet, now_, effects);
            step = Step::was_taken;
        }
    });
    if (!is_sound) return bytes.size();
    if (step == Step::needs_more) return std::nullopt;
    if (step == Step::is_wrong) {
        fail(connection, error, bytes);
        return bytes.size();
    }
    const TenantId tenant = session->tenant();
    apply(*session, &connection, effects);
    touch(connection);
    if (ports_.admission != nullptr) charge_paces(tenant, connection, size_bytes, is_publish);
    return size_bytes;
}

/// The first packet of a connection, and what became of it.
std::optional<std::size_t> Shard::process_connect(Connection& connection, ByteView bytes) {
    mqtt::DecodeOptions options;
    options.version = connection.version;
    options.packet_bytes_max = packet_bytes_max(connection.listener_index);
    std::optional<decltype(mqtt::decode(bytes, options))> decoded;
    const auto fault =
        memory::in_fault_zone([&] { decoded.emplace(mqtt::decode(bytes, options)); });
    if (fault) {
        counters_.session_faults[static_cast<std::size_t>(*fault)].add();
        counters_.connections_refused_total.add();
        trace::log(trace::Level::warn, "connect_broke",
                   {{"fault", to_text(*fault)}, {"peer", ports::address_text(connection.peer)}});
        close(connection);
        return bytes.size();
    }
    if (!*decoded) {
        fail(connection, decoded->error(), bytes);
        return bytes.size();
    }
    if (!**decoded) return std::nullopt;
    const auto& [packet, size_bytes] = ***decoded;
    const auto* const connect = std::get_if<mqtt::Connect>(&packet);
    if (connect == nullptr) {  // [MQTT-3.1.0-1]
        counters_.protocol_errors_total.add();
        close(connection);
        return bytes.size();
    }
    greet(connection, *connect, bytes.first(size_bytes), bytes.subspan(size_bytes));
    return size_bytes;
}

void Shard::fail(Connection& connection, const mqtt::DecodeError& error, ByteView packet) {
    counters_.protocol_errors_total.add();
    if (connection.state == Connection::State::challenged) {
        refuse_connect(connection, error.reason, error.rule);
        return;
    }
    if (connection.state == Connection::State::greeting) {
        // Only what is a CONNECT at all is told why (MQTT 5.0 section 4.13.1).
        if (!packet.empty() && packet[0] == 0x10) {
            connection.version = connect_version(packet);
            refuse_connect(connection, error.reason, error.rule);
        } else {
            close(connection);
        }
        return;
    }
    Session* const session = sessions_.get(session_of(connection));
    MITU_CHECK(session != nullptr);
    trace::log(trace::Level::info, "client_broke_protocol",
               {{"client", session->client_id()},
                {"reason", mqtt::to_text(error.reason)},
                {"rule", error.rule},
                {"offset", error.offset_bytes},
                {"peer", ports::address_text(connection.peer)}});
    refuse(*session, &connection, error.reason, error.rule, Parting::lost);
}

// --- pausing and resuming ---

void Shard::pause(Connection& connection) {
    if (connection.is_paused) return;
    connection.is_paused = true;
    ports_.network.pause_reading(connection.id);
}

void Shard::resume_later(Connection& connection) {
    if (connection.is_resumable || connection.state == Connection::State::closing) return;
    connection.is_resumable = true;
    resumable_.push_back(connection.id);
}

void Shard::resume_all() {
    if (resumable_.empty() || !can_route()) return;
    resuming_.clear();
    resuming_.swap(resumable_);
    for (const ports::ConnectionId id : resuming_) {
        Connection* const connection = find(id);
        if (connection == nullptr) continue;
        connection->is_resumable = false;
        if (connection->state == Connection::State::closing) continue;
        const bool was_paused = connection->is_paused;
        connection->is_paused = false;
        Bytes input;
        if (connection->work) input.swap(connection->work->input);
        const std::size_t taken = process(*connection, input);
        if (find(id) != connection || connection->state == Connection::State::closing) continue;
        if (taken == 0) {
            if (!input.empty()) work_of(*connection).input = std::move(input);
        } else if (taken < input.size()) {
            // A buffer of its own size: what a large packet needed is not kept.
            work_of(*connection)
                .input.assign(input.begin() + static_cast<std::ptrdiff_t>(taken), input.end());
        }
        if (was_paused && !connection->is_paused) ports_.network.resume_reading(id);
    }
}

// --- bytes out ---

void Shard::touch(Connection& connection) {
    if (connection.is_touched) return;
    connection.is_touched = true;
    touched_.push_back(connection.id);
}

Connection::Work& Shard::work_of(Connection& connection) {
    if (!connection.work) connection.work = spare_work_.take();
    return *connection.work;
}

void Shard::give_back_work(Connection& connection) {
    if (!connection.work) return;
    keep_buffer(std::move(connection.work->output));
    spare_work_.keep(std::move(connection.work));
}

SessionRef Shard::session_of(const Connection& connection) const noexcept {
    return {connection.session_index, connection.session_generation, id_};
}

Bytes& Shard::output_of(Connection& connection) {
    Bytes& output = work_of(connection).output;
    if (output.capacity() == 0 && !spare_buffers_.empty()) {
        output.swap(spare_buffers_.back());
        spare_buffers_.pop_back();
    }
    return output;
}

void Shard::send_out(const Session& session, Connection* connection, Effects& effects) {
    if (connection == nullptr || effects.out.empty()) return;
    if (ports_.admission != nullptr) {
        pace_of(session.tenant()).traffic.packets_sent += effects.packets;
    }
    if (tracer_.is_on()) [[unlikely]]
        trace_out(session, effects.out.view());
    Bytes& out = output_of(*connection);
    out.insert(out.end(), effects.out.begin(), effects.out.end());
}

void Shard::keep_buffer(Bytes&& buffer) {
    if (buffer.capacity() == 0 || buffer.capacity() > spare_buffer_bytes_max ||
        spare_buffers_.size() >= spare_buffers_max) {
        return;
    }
    buffer.clear();
    spare_buffers_.push_back(std::move(buffer));
}

void Shard::close(Connection& connection) {
    connection.state = Connection::State::closing;
    Connection::Work& work = work_of(connection);
    work.connect = work.input = Bytes{};
    connection.session_index = connection.session_generation = 0;
    work.deadline = now_ + limits_.shutdown_timeout;
    timers_.add({work.deadline, TimerQueue::Kind::connection, connection.id.index,
                 connection.id.generation});
    touch(connection);
}

void Shard::flush_all() {
    flushing_.clear();
    flushing_.swap(touched_);
    for (const ports::ConnectionId id : flushing_) {
        Connection* const connection = find(id);
        if (connection == nullptr) continue;
        connection->is_touched = false;
        if (!connection->is_blocked) flush(*connection);
    }
}

void Shard::flush(Connection& connection) {
    if (connection.work && connection.work->held_until != 0) [[unlikely]]
        return;  // what it says is not yet true after a crash
    const SessionRef self = session_of(connection);
    Session* const session =
        connection.state == Connection::State::attached ? sessions_.get(self) : nullptr;
    Effects effects{turn_memory_};
    batch_.clear();
    if (connection.work) batch_.lend(connection.work->output);
    bool more = false;
    const std::uint64_t sent_before = counters_.messages_sent_total.read();
    const TenantId tenant = session != nullptr ? session->tenant() : tenant_default;
    if (session != nullptr && !guarded(self, [&] {
            more = session->pump(now_, batch_, effects);
            if (!more) session->shed_idle_parts(now_);
        })) {
        // Half a packet may stand at its end. What the session had said before goes out with the
        // reason, when the connection that is closing now is flushed.
        batch_.clear();
        return;
    }
    if (batch_.total_bytes() != 0) {
        const std::size_t written = write_batch(connection);
        ports::pass_trial(ports::TrialPoint::shard_sent);
        if (session != nullptr && ports_.admission != nullptr) {
            const std::uint64_t sent = counters_.messages_sent_total.read() - sent_before;
            admission::TenantTraffic& traffic = pace_of(tenant).traffic;
            traffic.messages_sent += sent;
            traffic.packets_sent += sent;
            traffic.bytes_sent += written;
        }
    }
    // Not before: what is given to a member on another shard may move bytes that the batch lends.
    if (session != nullptr) {
        apply(*session, &connection, effects);
        // It broke, or ended, while its effects were carried out: its last words are in `output`,
        // and another flush is due.
        const bool was_attached = connection.state == Connection::State::attached;
        if (!was_attached) return;
    }
    if (connection.is_blocked) return;
    if (connection.state == Connection::State::closing) {
        const ports::ConnectionId id = connection.id;
        remove_connection(connection);
        ports_.network.close(id);
        return;
    }
    if (more) touch(connection);
    if (session != nullptr && journal_ != nullptr) read_backlog(self);
    if (connection.work && connection.work->is_done()) give_back_work(connection);
}

/// Returns  bytes that the network took.
std::size_t Shard::write_batch(Connection& connection) {
    const std::size_t written = ports_.network.write(connection.id, batch_.parts());
    counters_.writes_total.add();
    counters_.bytes_sent_total.add(written);
    if (written < batch_.total_bytes()) {
        Bytes rest;
        batch_.copy_rest(written, rest);
        work_of(connection).output = std::move(rest);
        connection.is_blocked = true;
    } else if (connection.work) {
        keep_buffer(std::move(connection.work->output));
        connection.work->output = Bytes{};
    }
    batch_.clear();
    return written;
}

}  // namespace mitu::broker
