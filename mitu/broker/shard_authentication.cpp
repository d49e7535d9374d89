// Enhanced authentication (MQTT 5.0 section 4.12), and how long what was proved holds.

#include <fmt/format.h>

#include "mitu/broker/shard.hpp"
#include "mitu/mqtt/encode.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::broker {

using mqtt::ReasonCode;

// --- before the client is let in ---

void Shard::begin_exchange(Connection& connection, const mqtt::Connect& connect, const Login& login,
                           ByteView packet, ByteView input) {
    auto exchange = ports_.gate.begin(login);
    if (!exchange) {
        refuse_connect(connection, exchange.error().reason, exchange.error().text);
        return;
    }
    Standing& standing = standings_[connection.id.index];
    standing = Standing{};
    standing.method = *login.authentication_method;
    standing.exchange = std::move(*exchange);
    go_on(connection, connect, packet, input,
          connect.properties.authentication_data.value_or(ByteView{}));
}

void Shard::go_on(Connection& connection, const mqtt::Connect& connect, ByteView packet,
                  ByteView input, ByteView data) {
    Standing& standing = standings_.at(connection.id.index);
    Exchange::Step step = standing.exchange->step(data);
    if (const auto* const challenge = std::get_if<Challenge>(&step)) {
        // Its bytes stay until the exchange is over: who the client is to be stands there.
        Connection::Work& work = work_of(connection);
        if (work.connect.empty()) work.connect = to_bytes(packet);
        const std::uint32_t bytes_max =
            work.packet_bytes_max != 0 ? work.packet_bytes_max : mqtt::packet_bytes_limit;
        if (send_auth(connection, ReasonCode::continue_authentication, standing.method,
                      challenge->authentication_data, bytes_max)) {
            connection.state = Connection::State::challenged;
        } else {
            refuse_connect(connection, ReasonCode::packet_too_large, "AUTH would be too large");
        }
        return;
    }
    standing.exchange.reset();
    if (auto* const admitted = std::get_if<Admitted>(&step)) {
        settle_outcome(connection, connect, packet, input, std::move(*admitted));
    } else {
        settle_outcome(connection, connect, packet, input, std::get<Refusal>(std::move(step)));
    }
}

/// A packet while AUTH is awaited. nullopt: it is not whole yet.
std::optional<std::size_t> Shard::process_challenged(Connection& connection, ByteView bytes) {
    mqtt::DecodeOptions options;
    options.version = connection.version;
    options.packet_bytes_max = limits_.packet_bytes_max;
    std::optional<decltype(mqtt::decode(bytes, options))> decoded;
    const auto fault =
        memory::in_fault_zone([&] { decoded.emplace(mqtt::decode(bytes, options)); });
    if (fault) {
        counters_.session_faults[static_cast<std::size_t>(*fault)].add();
        refuse_connect(connection, reason_of(*fault), "the exchange broke");
        return bytes.size();
    }
    if (!*decoded) {
        fail(connection, decoded->error(), bytes);
        return bytes.size();
    }
    if (!**decoded) return std::nullopt;
    const auto& [decoded_packet, size_bytes] = ***decoded;
    if (std::holds_alternative<mqtt::Disconnect>(decoded_packet)) {
        close(connection);
        return bytes.size();
    }
    const auto* const auth = std::get_if<mqtt::Auth>(&decoded_packet);
    if (auth == nullptr || auth->reason != ReasonCode::continue_authentication ||
        auth->authentication_method != standings_.at(connection.id.index).method) {
        counters_.protocol_errors_total.add();
        refuse_connect(connection, ReasonCode::protocol_error,
                       "AUTH with reason 0x18 and the same method is awaited [MQTT-4.12.0-3]");
        return bytes.size();
    }
    Bytes packet;
    packet.swap(work_of(connection).connect);
    mqtt::DecodeOptions connect_options;
    connect_options.packet_bytes_max = limits_.packet_bytes_max;
    const auto connect = mqtt::decode(packet, connect_options);
    MITU_CHECK(connect && *connect);
    const auto& greeting = std::get<mqtt::Connect>((*connect)->packet);
    at_hand_ = AtHand{std::nullopt, greeting.client_id};
    go_on(connection, greeting, packet, bytes.subspan(size_bytes),
          auth->authentication_data.value_or(ByteView{}));
    at_hand_ = {};
    return size_bytes;
}

// --- when it is here ---

/// The client authenticates anew (MQTT 5.0 section 4.12.1). Whoever it turns out to be must be who
/// has the session.
void Shard::authenticate(const SessionRef& self, const AuthenticateEffect& effect) {
    Session* const session = sessions_.get(self);
    if (session == nullptr || !session->is_attached()) return;
    Connection* const connection = find(session->connection());
    MITU_CHECK(connection != nullptr);
    const auto end = [&](ReasonCode reason, std::string_view text) {
        refuse(*session, connection, reason, text, Parting::lost);
    };
    const auto wrong = [&](std::string_view text) {
        counters_.protocol_errors_total.add();
        end(ReasonCode::protocol_error, text);
    };
    const auto found = standings_.find(connection->id.index);
    if (found == standings_.end() || found->second.method.empty()) {
        return wrong("no authentication method was agreed [MQTT-4.12.0-7]");
    }
    Standing& standing = found->second;
    if (effect.method != standing.method) {
        return wrong("the authentication method of CONNECT holds for good [MQTT-4.12.1-1]");
    }
    if (effect.reason == ReasonCode::re_authenticate) {
        if (standing.exchange) return wrong("an authentication is under way already");
        Login login;
        login.client_id = session->client_id();
        login.authentication_method = standing.method;
        login.peer = connection->peer;
        login.listener_index = connection->listener_index;
        login.facts = ports_.network.facts(connection->id);
        auto exchange = ports_.gate.begin(login);
        if (!exchange) return end(exchange.error().reason, exchange.error().text);
        standing.exchange = std::move(*exchange);
    } else if (effect.reason != ReasonCode::continue_authentication || !standing.exchange) {
        return wrong("no authentication is under way");
    }
    const auto say = [&](ReasonCode reason, std::string_view data) {
        const std::string method = standing.method;
        const bool is_said =
            send_auth(*connection, reason, method, data, session->packet_bytes_max());
        if (!is_said) end(ReasonCode::packet_too_large, "AUTH would be too large");
        return is_said;
    };
    Exchange::Step step = standing.exchange->step(effect.data);
    if (const auto* const challenge = std::get_if<Challenge>(&step)) {
        static_cast<void>(say(ReasonCode::continue_authentication, challenge->authentication_data));
        return;
    }
    standing.exchange.reset();
    if (const auto* const refusal = std::get_if<Refusal>(&step)) {
        return end(refusal->reason, refusal->text);
    }
    const auto& admitted = std::get<Admitted>(step);
    if (admitted.tenant != session->tenant() || admitted.client_id != session->client_id()) {
        return end(ReasonCode::not_authorized, "this is not who has the session");
    }
    auto profile = ports_.gate.current(admitted);
    if (profile == nullptr) {
        return end(ReasonCode::not_authorized, "this client is not admitted any more");
    }
    const std::string method = standing.method;
    note_standing(*connection, method, session->client_id(), admitted.user, admitted.valid_until);
    if (!say(ReasonCode::success, admitted.authentication_data)) return;
    adopt_profile(self, std::move(profile));
}

/// False: it would be larger than `bytes_max`, and was not sent [MQTT-3.1.2-24].
bool Shard::send_auth(Connection& connection, ReasonCode reason, std::string_view method,
                      std::string_view data, std::uint32_t bytes_max) {
    mqtt::Auth auth;
    auth.reason = reason;
    auth.authentication_method = method;
    if (!data.empty()) auth.authentication_data = as_bytes(data);
    const std::uint32_t size = mqtt::encoded_size(auth, connection.version);
    if (size == 0 || size > bytes_max) return false;
    Bytes& out = output_of(connection);
    const std::size_t before = out.size();
    out.resize(before + size);
    const auto written =
        mqtt::encode(auth, connection.version, MutableByteView{out}.subspan(before));
    MITU_CHECK(written != 0);
    touch(connection);
    return true;
}

// --- how long it holds ---

void Shard::note_standing(Connection& connection, std::string_view method,
                          std::string_view client_id, std::string_view user, Instant valid_until) {
    connection.has_user = !user.empty();
    const std::string_view other_user = user == client_id ? std::string_view{} : user;
    // Nothing is kept for devices that are their own user and have a password.
    if (method.empty() && other_user.empty() && valid_until.is_never()) return;
    Standing& standing = standings_[connection.id.index];
    standing.method = method;
    standing.user = other_user;
    standing.valid_until = valid_until;
    timers_.add(
        {valid_until, TimerQueue::Kind::connection, connection.id.index, connection.id.generation});
}

std::string_view Shard::user_of(const Connection& connection, const Session& session) const {
    if (!connection.has_user) return {};
    const auto found = standings_.find(connection.id.index);
    if (found == standings_.end() || found->second.user.empty()) return session.client_id();
    return found->second.user;
}

Instant Shard::valid_until(const Connection& connection) const noexcept {
    if (standings_.empty()) return Instant::never();
    const auto found = standings_.find(connection.id.index);
    return found == standings_.end() ? Instant::never() : found->second.valid_until;
}

/// What the client proved does not hold any more.
void Shard::outlive(Connection& connection) {
    standings_.at(connection.id.index).valid_until = Instant::never();
    Session* const session = sessions_.get(session_of(connection));
    if (connection.state != Connection::State::attached || session == nullptr) return;
    counters_.credentials_expired_total.add();
    refuse(*session, &connection, ReasonCode::maximum_connect_time,
           "the credentials have expired: connect with new ones", Parting::lost);
}

}  // namespace mitu::broker
