#pragma once
// FleetGate: the broker's gate, answered from the fleet's registry.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mitu/broker/gate.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/node/credential_cache.hpp"

namespace mitu::node {

struct FleetGateOptions {
    /// Clients that are not in the registry belong to tenant `default`; false: they are refused.
    bool allow_anonymous = false;
    /// Takes a job that checks a password, which may take a tenth of a second; false: too busy. The
    /// simulator runs it at a later virtual time, the server on its worker pool.
    std::function<bool(std::function<void()>)> run_later;
    /// Brings an answer to its shard. Any thread.
    std::function<void(broker::Admission)> answer;
};

/// A registered device logs in with user name "id@tenant" (or "id", when only one tenant has it)
/// and its password. Its client id is its device id (or empty: then it is assigned), so that no
/// device can take over another one's session.
/// Threading  any thread; the catalog is immutable.
class FleetGate final : public broker::Gate {
public:
    FleetGate(std::shared_ptr<const fleet::Catalog> catalog, FleetGateOptions options);

    [[nodiscard]] Verdict judge(const broker::AdmissionTicket& ticket,
                                const broker::Login& login) override;

private:
    [[nodiscard]] Verdict judge_anonymous(const broker::Login& login) const;
    [[nodiscard]] Verdict judge_device(const broker::AdmissionTicket& ticket,
                                       const broker::Login& login, const fleet::Device& device);

    std::shared_ptr<const fleet::Catalog> catalog_;
    FleetGateOptions options_;
    std::vector<std::shared_ptr<const broker::Profile>> profiles_;  // by group
    CredentialCache proved_;
};

}  // namespace mitu::node
