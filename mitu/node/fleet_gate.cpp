#include "mitu/node/fleet_gate.hpp"

#include <fmt/format.h>

#include "mitu/fleet/credential.hpp"
#include "mitu/node/profiles.hpp"

namespace mitu::node {

using broker::Admission;
using broker::Claim;
using broker::Login;
using broker::Refusal;
using mqtt::ReasonCode;

FleetGate::FleetGate(std::shared_ptr<const fleet::Catalog> catalog, FleetGateOptions options)
    : catalog_{std::move(catalog)},
      options_{std::move(options)},
      profiles_{make_profiles(*catalog_)} {}

Result<Claim, Refusal> FleetGate::claim(const Login& login) {
    if (!login.user_name) return claim_anonymous(login);
    const auto device = catalog_->find_login(*login.user_name);
    if (!device) {
        if (device.error() == fleet::LoginError::ambiguous) {
            return std::unexpected(
                Refusal{ReasonCode::bad_user_name_or_password,
                        "several tenants have a device of this name; log in as device@tenant"});
        }
        return claim_anonymous(login);
    }
    if (!login.client_id.empty() && login.client_id != device->id) {
        return std::unexpected(
            Refusal{ReasonCode::client_identifier_not_valid,
                    fmt::format("the client id of a device is its device id: use \"{}\", or none",
                                device->id)});
    }
    return Claim{device->tenant, std::string{device->id}, nullptr};
}

Result<Claim, Refusal> FleetGate::claim_anonymous(const Login& login) const {
    if (!options_.allow_anonymous) {
        return std::unexpected(
            login.user_name
                ? Refusal{ReasonCode::bad_user_name_or_password, ""}
                : Refusal{ReasonCode::not_authorized, "log in: anonymous clients are not allowed"});
    }
    if (catalog_->find(tenant_default, login.client_id)) {
        return std::unexpected(Refusal{ReasonCode::client_identifier_not_valid,
                                       "this is the id of a registered device: log in as it"});
    }
    return Claim{tenant_default, std::string{login.client_id},
                 profiles_[catalog_->group_for_anonymous().value]};
}

void FleetGate::prove(const broker::AdmissionTicket& ticket, const Login& login) {
    const auto device = catalog_->find_login(login.user_name.value_or(""));
    const auto refuse = [&](ReasonCode reason, std::string text) {
        options_.answer(Admission{ticket, nullptr, {reason, std::move(text)}});
    };
    if (!device) {
        refuse(ReasonCode::bad_user_name_or_password, "");
        return;
    }
    std::string password = login.password ? to_text(*login.password) : std::string{};
    const auto& profile = profiles_[device->group.value];
    if (proved_.is_known(device->index, password)) {
        options_.answer(Admission{ticket, profile, {}});
        return;
    }
    auto job = [this, ticket, profile, index = device->index, password = std::move(password)] {
        const std::string credential = catalog_->credential_of(index);
        if (credential.empty() || !fleet::verify_credential(credential, password)) {
            options_.answer(
                Admission{ticket, nullptr, {ReasonCode::bad_user_name_or_password, ""}});
            return;
        }
        proved_.remember(index, password);
        options_.answer(Admission{ticket, profile, {}});
    };
    if (!options_.run_later(std::move(job))) {
        refuse(ReasonCode::server_busy, "too many logins at once; try again in a few seconds");
    }
}

}  // namespace mitu::node
