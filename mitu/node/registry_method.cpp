#include "mitu/node/registry_method.hpp"

#include <fmt/format.h>

#include "mitu/identity/credential.hpp"
#include "mitu/node/credential_cache.hpp"

namespace mitu::node {
namespace {

using identity::Allow;
using identity::Deny;
using identity::Ignore;
using identity::RefusalKind;

class RegistryMethod final : public identity::Method,
                             public std::enable_shared_from_this<RegistryMethod> {
public:
    explicit RegistryMethod(std::shared_ptr<const fleet::Catalog> catalog)
        : catalog_{std::move(catalog)} {}

    [[nodiscard]] std::string_view name() const noexcept override { return "registry"; }

    [[nodiscard]] identity::Answer ask(const std::shared_ptr<const identity::Login>& login,
                                       const identity::Now& /*now*/) const override {
        if (!login->user) return Ignore{"no user name", {}};
        const auto device = find(*login);
        if (!device && device.error() == fleet::LoginError::ambiguous) {
            return Deny{{RefusalKind::credentials,
                         "several tenants have a device of this name; log in as device@tenant"}};
        }
        if (!device) return Ignore{"no such device", {}};
        if (!login->client_id.empty() && login->client_id != device->id) {
            return Deny{
                {RefusalKind::client_id,
                 fmt::format("the client id of a device is its device id: use \"{}\", or none",
                             device->id)}};
        }
        Allow allow;
        allow.identity.user = device->id;
        allow.identity.tenant = device->tenant_name;
        allow.identity.client_id = device->id;
        allow.identity.device_class = device->class_name;
        if (proved_.is_known(device->index, login->password_or_empty())) return allow;
        return identity::SlowWork{[self = shared_from_this(), login, index = device->index,
                                   allow = std::move(allow)]() -> identity::Verdict {
            const std::string credential = self->catalog_->credential_of(index);
            const std::string_view password = login->password_or_empty();
            if (credential.empty() || !identity::verify_credential(credential, password)) {
                return Deny{{RefusalKind::credentials, "wrong password"}};
            }
            self->proved_.remember(index, password);
            return allow;
        }};
    }

private:
    [[nodiscard]] Result<fleet::Device, fleet::LoginError> find(
        const identity::Login& login) const {
        if (login.tenant.empty() || login.user->find('@') != std::string::npos) {
            return catalog_->find_login(*login.user);
        }
        const auto tenant = catalog_->find_tenant(login.tenant);
        const auto device = tenant ? catalog_->find(*tenant, *login.user) : std::nullopt;
        if (!device) return std::unexpected(fleet::LoginError::unknown);
        return *device;
    }

    std::shared_ptr<const fleet::Catalog> catalog_;
    mutable CredentialCache proved_;
};

}  // namespace

identity::MethodPtr make_registry_method(std::shared_ptr<const fleet::Catalog> catalog) {
    return std::make_shared<RegistryMethod>(std::move(catalog));
}

}  // namespace mitu::node
