#include "mitu/node/fleet_gate.hpp"

#include <fmt/format.h>

#include "mitu/identity/credential.hpp"
#include "mitu/node/profiles.hpp"

namespace mitu::node {

using broker::Admission;
using broker::Admitted;
using broker::Login;
using broker::Refusal;
using mqtt::ReasonCode;

FleetGate::FleetGate(std::shared_ptr<const fleet::Catalog> catalog, FleetGateOptions options)
    : catalog_{std::move(catalog)},
      options_{std::move(options)},
      profiles_{make_profiles(*catalog_)} {}

broker::Gate::Verdict FleetGate::judge(const broker::AdmissionTicket& ticket, const Login& login) {
    if (!login.user_name) return judge_anonymous(login);
    const auto device = catalog_->find_login(*login.user_name);
    if (device) return judge_device(ticket, login, *device);
    if (device.error() == fleet::LoginError::ambiguous) {
        return Refusal{ReasonCode::bad_user_name_or_password,
                       "several tenants have a device of this name; log in as device@tenant"};
    }
    return judge_anonymous(login);
}

broker::Gate::Verdict FleetGate::judge_anonymous(const Login& login) const {
    if (!options_.allow_anonymous) {
        return login.user_name ? Refusal{ReasonCode::bad_user_name_or_password, ""}
                               : Refusal{ReasonCode::not_authorized,
                                         "log in: anonymous clients are not allowed"};
    }
    if (catalog_->find(tenant_default, login.client_id)) {
        return Refusal{ReasonCode::client_identifier_not_valid,
                       "this is the id of a registered device: log in as it"};
    }
    Admitted admitted;
    admitted.client_id = login.client_id;
    admitted.profile = profiles_[catalog_->group_for_anonymous().value];
    return admitted;
}

broker::Gate::Verdict FleetGate::judge_device(const broker::AdmissionTicket& ticket,
                                              const Login& login, const fleet::Device& device) {
    if (!login.client_id.empty() && login.client_id != device.id) {
        return Refusal{
            ReasonCode::client_identifier_not_valid,
            fmt::format("the client id of a device is its device id: use \"{}\", or none",
                        device.id)};
    }
    std::string password = login.password ? to_text(*login.password) : std::string{};
    Admitted admitted;
    admitted.tenant = device.tenant;
    admitted.client_id = device.id;
    admitted.profile = profiles_[device.group.value];
    if (proved_.is_known(device.index, password)) return admitted;
    auto job = [this, ticket, admitted = std::move(admitted), index = device.index,
                password = std::move(password)] {
        const std::string credential = catalog_->credential_of(index);
        if (credential.empty() || !identity::verify_credential(credential, password)) {
            options_.answer(Admission{ticket, Refusal{ReasonCode::bad_user_name_or_password, ""}});
            return;
        }
        proved_.remember(index, password);
        options_.answer(Admission{ticket, admitted});
    };
    if (!options_.run_later(std::move(job))) {
        return Refusal{ReasonCode::server_busy,
                       "too many logins at once; try again in a few seconds"};
    }
    return broker::Pending{};
}

}  // namespace mitu::node
