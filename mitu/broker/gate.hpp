#pragma once
// The gate: who may come in. The broker asks; mitu/node answers from the fleet's registry.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "mitu/base/bytes.hpp"
#include "mitu/base/result.hpp"
#include "mitu/base/strong_id.hpp"
#include "mitu/base/time.hpp"
#include "mitu/broker/profile.hpp"
#include "mitu/mqtt/types.hpp"
#include "mitu/ports/network.hpp"

namespace mitu::broker {

/// What a CONNECT, or an AUTH that begins anew, says about who is there. Borrows the packet.
struct Login {
    std::string_view client_id;  // empty: the client wants one
    std::optional<std::string_view> user_name;
    std::optional<ByteView> password;
    /// Enhanced authentication (MQTT 5.0 section 4.12): set, and the gate is asked to begin().
    std::optional<std::string_view> authentication_method;
    ports::PeerAddress peer;
    std::uint16_t listener_index = 0;
    /// What TLS, PROXY header or Unix socket say of the client; null: nothing, it is plain TCP.
    const ports::PeerFacts* facts = nullptr;
};

struct Refusal {
    mqtt::ReasonCode reason = mqtt::ReasonCode::not_authorized;
    std::string text;  // for the client (v5 Reason String) and the log
    /// Whose client it would have been; nullopt: nobody can tell.
    std::optional<TenantId> tenant{};
};

/// Who has been let in, and as what.
struct Admitted {
    TenantId tenant = tenant_default;
    /// Empty: the shard makes one up.
    std::string client_id;
    std::shared_ptr<const Profile> profile;
    /// What was proved holds until then (a token expires); the client is disconnected with
    /// maximum_connect_time.
    Instant valid_until = Instant::never();
    /// Who it has proved to be. Empty: the user name of CONNECT, if there is one.
    std::string user;
    /// The last Authentication Data of an exchange, for CONNACK or AUTH.
    std::string authentication_data;
    /// By what this was decided; the gate's own (Gate::current).
    std::shared_ptr<const void> basis{};
};

/// The exchange goes on: the client is to answer this Authentication Data by AUTH.
struct Challenge {
    std::string authentication_data;
};

/// One enhanced authentication that is under way: SCRAM's state, for example.
/// Threading  moves with its connection; never used by two threads at once.
class Exchange {
public:
    using Step = std::variant<Challenge, Admitted, Refusal>;
    virtual ~Exchange() = default;
    /// The client's next Authentication Data, which the CONNECT or AUTH that began may have brought
    /// too. Immediate. After anything but a Challenge the exchange is over.
    [[nodiscard]] virtual Step step(ByteView authentication_data) = 0;
};

/// Names one connection attempt of one shard, for the late answer.
struct AdmissionTicket {
    ShardId shard;
    ports::ConnectionId connection;
    std::uint32_t serial = 0;
};

using AdmissionOutcome = std::variant<Admitted, Refusal>;

/// The answer to a ticket; it reaches the shard through Shard::on_admission.
struct Admission {
    AdmissionTicket ticket;
    AdmissionOutcome outcome;
};

/// Exactly one Admission with the ticket follows, never from inside the call.
struct Pending {};

/// Threading  any thread; one gate serves all shards.
class Gate {
public:
    using Verdict = std::variant<Pending, Admitted, Refusal>;

    virtual ~Gate() = default;
    /// A CONNECT without authentication method. What is slow (argon2id, another server) is Pending.
    /// Lifetime  `login` is borrowed until return.
    [[nodiscard]] virtual Verdict judge(const AdmissionTicket& ticket, const Login& login) = 0;
    /// What a client may do at the moment at which it comes in: a login may have been under way, or
    /// between two shards, while the rules changed. Null: it is not admitted any more.
    [[nodiscard]] virtual std::shared_ptr<const Profile> current(const Admitted& admitted) const {
        return admitted.profile;
    }

    /// A CONNECT with an authentication method, or a client that is here authenticates anew: then
    /// `login` has its client id, and whoever it turns out to be must be the same.
    /// Errors  bad_authentication_method: not offered here.
    [[nodiscard]] virtual Result<std::unique_ptr<Exchange>, Refusal> begin(const Login& login) {
        static_cast<void>(login);
        return std::unexpected(Refusal{mqtt::ReasonCode::bad_authentication_method,
                                       "no enhanced authentication is offered here"});
    }
};

/// Lets everybody in, as tenant `default`.
class OpenGate final : public Gate {
public:
    [[nodiscard]] Verdict judge(const AdmissionTicket& /*ticket*/, const Login& login) override {
        Admitted admitted;
        admitted.client_id = login.client_id;
        admitted.profile = profile_;
        return admitted;
    }

private:
    std::shared_ptr<const Profile> profile_ = open_profile();
};

}  // namespace mitu::broker
