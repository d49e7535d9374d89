#pragma once
// Who may come in where: the chains of methods, made anew whenever what they stand on changes.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mitu/fleet/catalog.hpp"
#include "mitu/identity/chain.hpp"
#include "mitu/node/profiles.hpp"

namespace mitu::node {

/// How the backend of a method is asked. `done` is called once, from any thread.
using AskBackend = std::function<void(identity::BackendRequest,
                                      std::function<void(const identity::BackendReply&)> done)>;

/// What a listener says of those who come in by it.
struct Entrance {
    std::string name;
    std::string tenant;                                 // empty: as the credential says
    std::map<std::string, std::string> tenants_by_sni;  // server name -> tenant
};

/// Threading  immutable.
struct Authentication {
    std::shared_ptr<const fleet::Catalog> catalog;
    std::shared_ptr<const Profiles> profiles;
    identity::Chains chains;
    std::map<std::string, AskBackend, std::less<>> backends;  // by the name of the method
    std::vector<Entrance> entrances;                          // by listener_index
    /// User names that end so are that tenant's: `@acme` -> acme. The longest that fits counts.
    std::vector<std::pair<std::string, std::string>> suffixes;
    /// Rules for those whose credential brings none and who are no registered device. Null: the
    /// policy that selects them, or nothing, as `denies_by_default` says.
    std::shared_ptr<const identity::AclFile> acl;
    bool denies_by_default = false;
    bool offers_scram = false;
};

/// The registry alone, and perhaps anonymous clients: what a node without configuration has.
[[nodiscard]] std::shared_ptr<const Authentication> make_registry_authentication(
    std::shared_ptr<const fleet::Catalog> catalog, identity::AnonymousRule anonymous);

}  // namespace mitu::node
