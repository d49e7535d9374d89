#pragma once
// Gatekeeper: the broker's gate, answered by chains of methods (mitu/identity).

#include <functional>
#include <memory>

#include "mitu/base/mutex.hpp"
#include "mitu/base/thread_annotations.hpp"
#include "mitu/broker/gate.hpp"
#include "mitu/node/authentication.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::node {

struct GatekeeperOptions {
    /// Takes a job that checks a password, which may take a tenth of a second; false: too busy. The
    /// simulator runs it at a later virtual time, the server on its worker pool.
    std::function<bool(std::function<void()>)> run_later;
    /// Brings an answer to its shard. Any thread.
    std::function<void(broker::Admission)> answer;
    /// `count` fresh random bytes, for the nonces of SCRAM.
    std::function<std::string(std::size_t count)> random;
};

/// Who comes in is what the chain of listener and tenant says. What it leaves open: the tenant is
/// `default`, the client id as CONNECT has it, the rules those of the policy that selects tenant
/// and class. The id of a registered device is that device's alone.
/// Threading  any thread.
/// Lifetime   `clock` outlives it; a login that is under way keeps the authentication that it
///            began with.
class Gatekeeper final : public broker::Gate {
public:
    Gatekeeper(const ports::Clock& clock, std::shared_ptr<const Authentication> authentication,
               GatekeeperOptions options);

    /// For logins that begin from now on.
    void replace(std::shared_ptr<const Authentication> authentication) MITU_EXCLUDES(mutex_);
    [[nodiscard]] std::shared_ptr<const Authentication> authentication() const
        MITU_EXCLUDES(mutex_);

    [[nodiscard]] Verdict judge(const broker::AdmissionTicket& ticket,
                                const broker::Login& login) override;
    [[nodiscard]] std::shared_ptr<const broker::Profile> current(
        const broker::Admitted& admitted) const override;
    [[nodiscard]] Result<std::unique_ptr<broker::Exchange>, broker::Refusal> begin(
        const broker::Login& login) override;

    /// What a client that was let in as `now` may do by the present configuration. Null: it would
    /// not be let in any more. Rules that came with its login stay as they are.
    [[nodiscard]] std::shared_ptr<const broker::Profile> renewed(
        TenantId tenant, std::string_view client_id,
        const std::shared_ptr<const broker::Profile>& now) const;

private:
    const ports::Clock& clock_;
    GatekeeperOptions options_;
    identity::SecretKey decoy_key_{};
    mutable Mutex mutex_;
    std::shared_ptr<const Authentication> authentication_ MITU_GUARDED_BY(mutex_);
};

}  // namespace mitu::node
