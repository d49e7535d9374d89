// From CONNECT to an attached session.

#include <fmt/format.h>

#include "mitu/broker/placement.hpp"
#include "mitu/broker/shard.hpp"
#include "mitu/mqtt/encode.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::broker {

using mqtt::ReasonCode;

namespace {

Login login_of(const mqtt::Connect& connect, const Connection& connection) {
    Login login;
    login.client_id = connect.client_id;
    login.user_name = connect.user_name;
    login.password = connect.password;
    login.authentication_method = connect.properties.authentication_method;
    login.peer = connection.peer;
    login.listener_index = connection.listener_index;
    return login;
}

/// 3.1.1 has words for five refusals only; everything else just closes.
bool has_return_code(ReasonCode reason) noexcept {
    switch (reason) {
        case ReasonCode::unsupported_protocol_version:
        case ReasonCode::client_identifier_not_valid:
        case ReasonCode::server_unavailable:
        case ReasonCode::server_busy:
        case ReasonCode::quota_exceeded:
        case ReasonCode::bad_user_name_or_password:
        case ReasonCode::banned:
        case ReasonCode::connection_rate_exceeded:
        case ReasonCode::not_authorized:
            return true;
        default:
            return false;
    }
}

/// Sets a value for as long as a call takes.
template <class Value>
class During {
public:
    During(Value& place, const Value& value) : place_{place} { place_ = value; }
    ~During() { place_ = Value{}; }
    During(const During&) = delete;
    During& operator=(const During&) = delete;

private:
    Value& place_;
};

/// A client that leaves its shard; closed if it never got into a lane.
class Departure {
public:
    Departure(ports::Network& network, ports::DetachedConnection connection,
              std::unique_ptr<Arrival> arrival)
        : network_{network}, connection_{connection}, arrival_{std::move(arrival)} {}
    ~Departure() {
        if (arrival_) network_.close(network_.attach(connection_));
    }
    Departure(const Departure&) = delete;
    Departure& operator=(const Departure&) = delete;

    [[nodiscard]] bool leave(memory::Lane& lane) {
        if (!write_connection(lane, {connection_, arrival_.get()})) return false;
        const Arrival* const given_away = arrival_.release();  // the record owns it now
        static_cast<void>(given_away);
        return true;
    }

private:
    ports::Network& network_;
    ports::DetachedConnection connection_;
    std::unique_ptr<Arrival> arrival_;
};

}  // namespace

void Shard::greet(Connection& connection, const mqtt::Connect& connect, ByteView packet,
                  ByteView input) {
    connection.version = connect.version;
    work_of(connection).packet_bytes_max = connect.properties.maximum_packet_size;
    const During whose{at_hand_, AtHand{std::nullopt, connect.client_id}};
    if (const auto away = look_at_stranger(connection)) {
        turn_away(connection, nullptr, *away);
        return;
    }
    Login login = login_of(connect, connection);
    login.facts = ports_.network.facts(connection.id);
    if (login.authentication_method) {
        begin_exchange(connection, connect, login, packet, input);
        return;
    }
    const std::uint32_t serial = next_admission_serial_++;
    auto verdict = ports_.gate.judge({id_, connection.id, serial}, login);
    if (auto* const admitted = std::get_if<Admitted>(&verdict)) {
        settle_outcome(connection, connect, packet, input, std::move(*admitted));
    } else if (auto* const refusal = std::get_if<Refusal>(&verdict)) {
        settle_outcome(connection, connect, packet, input, std::move(*refusal));
    } else {
        connection.state = Connection::State::admitting;
        work_of(connection).admission_serial = serial;
        work_of(connection).connect = to_bytes(packet);
        pause(connection);  // a client that has said all and gone is let in all the same
    }
}

/// `input` is what came behind the CONNECT; it goes with a client whose session lives elsewhere.
void Shard::settle_outcome(Connection& connection, const mqtt::Connect& connect, ByteView packet,
                           ByteView input, AdmissionOutcome outcome) {
    if (const auto* const refusal = std::get_if<Refusal>(&outcome)) {
        at_hand_.tenant = refusal->tenant;
        refuse_connect(connection, refusal->reason, refusal->text);
        return;
    }
    auto& admitted = std::get<Admitted>(outcome);
    if (!admitted.client_id.empty()) {
        const ShardId home =
            session_home(admitted.tenant, admitted.client_id, ports_.mailroom.shard_count());
        if (home != id_) {
            migrate(connection, home, packet, input, std::move(admitted));
            return;
        }
    }
    connection.state = Connection::State::greeting;
    admit(connection, connect, packet, admitted);
}

void Shard::migrate(Connection& connection, ShardId to, ByteView packet, ByteView input,
                    Admitted admitted) {
    // The new shard gives a full connect timeout again: it is bounded still.
    auto arrival =
        std::make_unique<Arrival>(Arrival{to_bytes(packet), to_bytes(input), std::move(admitted)});
    auto departure = std::make_shared<Departure>(
        ports_.network, ports_.network.detach(connection.id), std::move(arrival));
    remove_connection(connection);
    counters_.connections_migrated_total.add();
    send_control(to, [departure = std::move(departure)](memory::Lane& lane) {
        return departure->leave(lane);
    });
}

namespace {

/// A CONNECT that was decoded before.
template <class Act>
void with_connect(const Bytes& packet, std::uint32_t packet_bytes_max, Act act) {
    mqtt::DecodeOptions options;
    options.packet_bytes_max = packet_bytes_max;
    const auto decoded = mqtt::decode(packet, options);
    MITU_CHECK(decoded && *decoded);
    const auto* const connect = std::get_if<mqtt::Connect>(&(*decoded)->packet);
    MITU_CHECK(connect != nullptr);
    act(*connect);
}

}  // namespace

void Shard::on_connection_mail(const ConnectionMail& mail) {
    const std::unique_ptr<Arrival> arrival{mail.arrival};
    const ports::ConnectionId id = ports_.network.attach(mail.connection);
    if (id.is_none()) {
        counters_.connections_refused_total.add();
        return;
    }
    if (is_shutting_down_) {
        ports_.network.close(id);
        return;
    }
    Connection& connection =
        add_connection(id, mail.connection.peer, mail.connection.listener_index);
    with_connect(arrival->connect, limits_.packet_bytes_max, [&](const mqtt::Connect& connect) {
        const During whose{at_hand_, AtHand{std::nullopt, connect.client_id}};
        connection.version = connect.version;
        work_of(connection).packet_bytes_max = connect.properties.maximum_packet_size;
        admit(connection, connect, arrival->connect, arrival->admitted);
    });
    if (find(id) != &connection || connection.state == Connection::State::closing) return;
    if (!arrival->input.empty()) receive(connection, arrival->input);
}

void Shard::on_admission(Admission admission, Instant now) {
    now_ = now;
    Connection* const connection = find(admission.ticket.connection);
    if (connection == nullptr || connection->state != Connection::State::admitting ||
        work_of(*connection).admission_serial != admission.ticket.serial) {
        return;
    }
    Bytes packet;
    packet.swap(work_of(*connection).connect);
    Bytes input;
    input.swap(work_of(*connection).input);
    const ports::ConnectionId id = connection->id;
    with_connect(
        packet, packet_bytes_max(connection->listener_index), [&](const mqtt::Connect& connect) {
            const During whose{at_hand_, AtHand{std::nullopt, connect.client_id}};
            settle_outcome(*connection, connect, packet, input, std::move(admission.outcome));
        });
    if (find(id) != connection) return;
    if (connection->state == Connection::State::admitting) {  // it waits for its session
        work_of(*connection).input = std::move(input);
        return;
    }
    if (connection->state != Connection::State::attached) return;
    work_of(*connection).input = std::move(input);
    if (connection->has_input() || connection->is_paused) resume_later(*connection);
}

void Shard::admit(Connection& connection, const mqtt::Connect& connect, ByteView packet,
                  const Admitted& admitted) {
    const TenantId tenant = admitted.tenant;
    const auto profile = ports_.gate.current(admitted);
    const std::string client_id =
        admitted.client_id.empty() ? make_client_id(tenant) : admitted.client_id;

    at_hand_.tenant = tenant;
    if (profile == nullptr) {
        refuse_connect(connection, ReasonCode::not_authorized,
                       "this client is not admitted any more");
        return;
    }
    // One of those that broke may have this name.
    const auto waits = [&] {
        bury_broken();
        Rebuild* const rebuild = find_rebuild(tenant, client_id);
        if (rebuild != nullptr) wait_for_rebuild(*rebuild, connection, packet, admitted);
        return rebuild != nullptr;
    };
    if (waits()) return;
    // First all that may fail: who is refused finds everything as it was.
    const std::string_view user =
        admitted.user.empty() ? connect.user_name.value_or("") : std::string_view{admitted.user};
    if (const auto away = look_at_proved(tenant, client_id, user)) {
        turn_away(connection, &tenant, *away);
        return;
    }
    Session* session = sessions_.find(tenant, client_id);
    const bool is_new = session == nullptr;
    if (is_new && sessions_.size() >= limits_.sessions_max) {
        turn_away(connection, &tenant,
                  no_place({admission::Limit::sessions, admission::Scope::server}));
        return;
    }
    auto acceptance = Acceptance::judge(
        connect,
        {tenant, client_id, *profile, connect.client_id.empty(), admitted.authentication_data,
         packet_bytes_max(connection.listener_index)},
        limits_, messages_);
    if (!acceptance) {
        refuse_connect(connection, acceptance.error(),
                       acceptance.error() == ReasonCode::packet_too_large
                           ? "CONNACK would be too large"
                           : "the will was refused");
        return;
    }
    const bool replaces = session != nullptr && session->is_attached();
    if (const auto bound =
            take_places(tenant, connection.listener_index,
                        replaces ? &sessions_.notes(session->self()) : nullptr, is_new)) {
        turn_away(connection, &tenant, no_place(*bound));
        return;
    }
    if (replaces) {
        counters_.takeovers_total.add();
        if (tracer_.is_on()) [[unlikely]]
            tracer_.say(tenant, trace_event(TraceKind::taken_over, *session));
        Connection* const old = find(session->connection());
        MITU_CHECK(old != nullptr && old != &connection);
        refuse(*session, old, ReasonCode::session_taken_over, "a client with the same id connected",
               Parting::taken_over);
        if (waits()) return give_back_connection(tenant, connection.listener_index);
        session = sessions_.find(tenant, client_id);  // it may have ended with its connection
    }
    if (session != nullptr && !session->is_attached()) {
        // Its time may be up though its timer has not run yet: a turn looks at the network first.
        on_session_timer(*session);
        if (waits()) return give_back_connection(tenant, connection.listener_index);
        session = sessions_.find(tenant, client_id);
    }
    // A will that outlived its client's session is all that such a one has.
    const bool is_will_only = session != nullptr && !session->is_attached() && keeps(tenant) &&
                              sessions_.notes(session->self()).kept == 0;
    bool has_ended_kept = false;
    if (session != nullptr && (connect.clean_start || is_will_only)) {
        const SessionRef old = session->self();
        has_ended_kept = is_will_only || sessions_.notes(old).kept != 0;
        const StoredWillId forgiven =
            is_will_only && session->will() != nullptr ? session->will()->id : StoredWillId{};
        Effects effects{turn_memory_};
        const bool is_sound = guarded(old, [&] {
            session->forgive_will(effects);
            session->end(now_, effects);
        });
        if (is_sound) {
            apply(*session, nullptr, effects);
        } else if (!forgiven.is_none()) {
            journal_->erase_will(forgiven);  // what it said of it is lost
        }
        if (waits()) return give_back_connection(tenant, connection.listener_index);
        session = nullptr;
    }
    if (session != nullptr) {
        // What it subscribed to with other credentials these may not allow.
        adopt_profile(session->self(), profile);
        if (waits()) return give_back_connection(tenant, connection.listener_index);
        session = sessions_.find(tenant, client_id);
    }
    const bool session_present = session != nullptr;
    if (session == nullptr) {
        if (!is_new) take_session_again(tenant);  // the old one has given its own back
        session = sessions_.create(tenant, client_id);
    }
    if (session == nullptr) {
        give_back_connection(tenant, connection.listener_index);
        refuse_connect(connection, ReasonCode::quota_exceeded, "no memory for the client id");
        return;
    }

    const SessionRef self = session->self();
    SessionNotes& notes = sessions_.notes(self);
    if (keeps(tenant) && acceptance->terms().expiry_s != 0 && notes.kept == 0) {
        notes.kept = journal_->next_session();
    }
    notes.profile = profile;
    notes.connection = connection.id;
    notes.listener_index = connection.listener_index;
    counters_.clients.add();
    if (ports_.admission != nullptr) ++pace_of(tenant).traffic.connects;
    Effects effects{turn_memory_};
    auto will = acceptance->take_will(self);
    if (will && keeps(tenant)) will->id = journal_->next_will(notes.kept);
    if (!guarded(self, [&] {
            session->attach(connect, *acceptance, will, connection.id, *profile, session_present,
                            now_, effects);
        })) {
        // CONNACK comes first, or nothing (MQTT 5.0 section 3.14).
        refuse_connect(connection, reason_of(broken_.back().fault), "the session broke");
        return;
    }
    connection.state = Connection::State::attached;
    ports_.network.settle(connection.id);
    connection.session_index = self.index;
    connection.session_generation = self.generation;
    work_of(connection).deadline = Instant::never();
    note_standing(connection, connect.properties.authentication_method.value_or(""), client_id,
                  user, admitted.valid_until);
    if (trace::log_enabled(trace::Level::debug)) {
        trace::log(trace::Level::debug, "client_connected",
                   {{"client", client_id},
                    {"tenant", profile->tenant_name},
                    {"policy", profile->policy_name},
                    {"session_present", session_present},
                    {"peer", ports::address_text(connection.peer)}});
    }
    if (tracer_.is_on()) [[unlikely]]
        trace_attached(*session, connection, connect, session_present);
    if (ports_.things != nullptr) {
        notes.thing = ports_.things->on_attached(tenant, client_id, now_, server_publishes_);
    }
    if (keeps(tenant)) {
        const bool was_put = keep_session(*session, notes);
        if (will) keep_will(*will, tenant, client_id);
        if (was_put || will || has_ended_kept) hold(connection, tenant);
        wait_for_wills(connection);
    }
    apply(*session, &connection, effects);
    if (Session* const still = sessions_.get(self)) arm(*still);
    touch(connection);
}

void Shard::refuse_connect(Connection& connection, ReasonCode reason, std::string_view text,
                           std::uint32_t retry_after_s, const admission::Bound* bound) {
    counters_.connections_refused_total.add();
    note_attempt(connection, reason, text, bound);
    trace::log(trace::Level::info, "client_refused",
               {{"reason", mqtt::to_text(reason)},
                {"text", text},
                {"peer", ports::address_text(connection.peer)}});
    if (connection.version == mqtt::ProtocolVersion::v5 || has_return_code(reason)) {
        mqtt::Connack connack;
        connack.reason = reason;
        Bytes user;
        if (connection.version == mqtt::ProtocolVersion::v5 && !text.empty()) {
            connack.properties.reason_string = text;
            if (retry_after_s != 0) {
                static_cast<void>(mqtt::append_user_property(user, "retry-after-s",
                                                             fmt::format("{}", retry_after_s)));
                connack.properties.user.block = user;
            }
            const std::uint32_t bytes_max = work_of(connection).packet_bytes_max;
            if (bytes_max != 0 && mqtt::encoded_size(connack, connection.version) > bytes_max) {
                connack.properties.reason_string.reset();  // [MQTT-3.2.2-19, 3.2.2-20]
                connack.properties.user = {};
            }
        }
        Bytes& out = output_of(connection);
        const std::size_t before = out.size();
        out.resize(before + mqtt::encoded_size(connack, connection.version));
        const auto written =
            mqtt::encode(connack, connection.version, MutableByteView{out}.subspan(before));
        MITU_CHECK(written != 0);
    }
    close(connection);
}

std::string Shard::make_client_id(TenantId tenant) {
    for (;;) {
        std::string id = fmt::format("mitu-{:016x}", ports_.entropy.next());
        if (session_home(tenant, id, ports_.mailroom.shard_count()) == id_ &&
            sessions_.find(tenant, id) == nullptr) {
            return id;
        }
    }
}

}  // namespace mitu::broker
