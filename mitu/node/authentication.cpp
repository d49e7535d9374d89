#include "mitu/node/authentication.hpp"

#include "mitu/node/registry_method.hpp"

namespace mitu::node {

std::shared_ptr<const Authentication> make_registry_authentication(
    std::shared_ptr<const fleet::Catalog> catalog, identity::AnonymousRule anonymous) {
    auto authentication = std::make_shared<Authentication>();
    identity::ChainOptions chain;
    chain.methods = {make_registry_method(catalog)};
    chain.anonymous = anonymous;
    authentication->chains.set("", "", std::make_shared<identity::Chain>(std::move(chain)));
    authentication->profiles = std::make_shared<Profiles>(catalog);
    authentication->catalog = std::move(catalog);
    return authentication;
}

}  // namespace mitu::node
