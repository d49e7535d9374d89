#pragma once
// The gate: who may come in. The broker asks; mitu/node answers from the fleet's registry.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/base/bytes.hpp"
#include "mitu/base/result.hpp"
#include "mitu/base/strong_id.hpp"
#include "mitu/broker/profile.hpp"
#include "mitu/mqtt/types.hpp"
#include "mitu/ports/network.hpp"

namespace mitu::broker {

/// What a CONNECT says about who is there. Borrows the packet.
struct Login {
    std::string_view client_id;  // empty: the client wants one
    std::optional<std::string_view> user_name;
    std::optional<ByteView> password;
    ports::PeerAddress peer;
    std::uint16_t listener_index = 0;
};

struct Refusal {
    mqtt::ReasonCode reason = mqtt::ReasonCode::not_authorized;
    std::string text;  // for the client (v5 Reason String) and the log
};

/// Whose session this would be: enough to find its shard, before anything is proved.
struct Claim {
    TenantId tenant = tenant_default;
    /// Empty: the shard makes one up.
    std::string client_id;
    /// Set where nothing has to be proved.
    std::shared_ptr<const Profile> admitted;
};

/// Names one connection attempt of one shard, for the late answer.
struct AdmissionTicket {
    ShardId shard;
    ports::ConnectionId connection;
    std::uint32_t serial = 0;
};

/// The answer to a ticket; it reaches the shard through Shard::on_admission.
struct Admission {
    AdmissionTicket ticket;
    std::shared_ptr<const Profile> profile;  // null: refused
    Refusal refusal;
};

/// Threading  any thread; one gate serves all shards.
class Gate {
public:
    virtual ~Gate() = default;
    /// Who claims to be here? Immediate; looks up, proves nothing.
    [[nodiscard]] virtual Result<Claim, Refusal> claim(const Login& login) = 0;
    /// Checks the password. Exactly one Admission per call follows, never from inside the call.
    /// Lifetime  `login` is borrowed until return.
    virtual void prove(const AdmissionTicket& ticket, const Login& login) = 0;
};

/// Lets everybody in, as tenant `default`.
class OpenGate final : public Gate {
public:
    [[nodiscard]] Result<Claim, Refusal> claim(const Login& login) override {
        return Claim{tenant_default, std::string{login.client_id}, profile_};
    }
    void prove(const AdmissionTicket& /*ticket*/, const Login& /*login*/) override {}

private:
    std::shared_ptr<const Profile> profile_ = open_profile();
};

}  // namespace mitu::broker
