#pragma once
// What the API administers, for real: bans, users, listeners and configuration of a running node.
// What lasts stands in the configuration (LiveConfig); nothing is kept here.

#include <memory>
#include <string>
#include <vector>

#include "mitu/admission/ban_list.hpp"
#include "mitu/api/administration.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/node/live_config.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::node {

inline constexpr std::size_t managed_bans_max = 10'000;
inline constexpr std::size_t managed_users_max = 10'000;

/// Lifetime   what the four of them refer to outlives them.
/// Threading  any thread but a shard's.
class NodeBans final : public api::Bans {
public:
    NodeBans(LiveConfig& live, Running& running, admission::BanList& bans,
             std::shared_ptr<const fleet::Catalog> catalog, const ports::Clock& clock)
        : live_{live},
          running_{running},
          bans_{bans},
          catalog_{std::move(catalog)},
          clock_{clock} {}

    /// Those of file and API, and those that the server set by itself (flapping).
    [[nodiscard]] api::Answer<api::Listing<api::Ban>> list(const api::TenantScope& scope,
                                                           const api::Page& page) override;
    [[nodiscard]] api::Answer<api::Ban> find(const std::string& id) override;
    [[nodiscard]] api::Answer<api::Ban> add(const api::Ban& ban) override;
    /// Errors  set_in_file too.
    [[nodiscard]] api::Answer<void> remove(const std::string& id) override;

private:
    [[nodiscard]] std::vector<api::Ban> all() const;

    LiveConfig& live_;
    Running& running_;
    admission::BanList& bans_;
    std::shared_ptr<const fleet::Catalog> catalog_;
    const ports::Clock& clock_;
};

class NodeUsers final : public api::Users {
public:
    NodeUsers(LiveConfig& live, Running& running) : live_{live}, running_{running} {}

    [[nodiscard]] api::Answer<api::Listing<api::User>> list(const api::TenantScope& scope,
                                                            const api::Page& page) override;
    [[nodiscard]] api::Answer<api::User> find(const api::TenantName& tenant,
                                              const std::string& name) override;
    /// Cost  argon2id: a tenth of a second.
    [[nodiscard]] api::Answer<api::User> add(const api::TenantName& tenant, const std::string& name,
                                             const std::string& password, bool enabled) override;
    [[nodiscard]] api::Answer<api::User> change(const api::TenantName& tenant,
                                                const std::string& name,
                                                const api::UserChange& change,
                                                std::optional<std::uint64_t> expected) override;
    [[nodiscard]] api::Answer<void> remove(const api::TenantName& tenant, const std::string& name,
                                           std::optional<std::uint64_t> expected) override;

private:
    [[nodiscard]] api::Answer<void> edit(const LiveConfig::Change& change);

    LiveConfig& live_;
    Running& running_;
};

class NodeListeners final : public api::Listeners {
public:
    NodeListeners(LiveConfig& live, Running& running) : live_{live}, running_{running} {}

    [[nodiscard]] api::Answer<std::vector<api::ListenerInfo>> list() override;
    [[nodiscard]] api::Answer<api::ListenerInfo> set_enabled(const std::string& name,
                                                             bool enabled) override;

private:
    LiveConfig& live_;
    Running& running_;
};

class NodeConfiguration final : public api::Configuration {
public:
    explicit NodeConfiguration(LiveConfig& live) : live_{live} {}

    [[nodiscard]] api::Answer<api::ConfigView> view() override;
    [[nodiscard]] api::Answer<api::ReloadReport> reload() override;

private:
    LiveConfig& live_;
};

}  // namespace mitu::node
