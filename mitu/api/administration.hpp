#pragma once
// What the API administers besides the broker itself. Each is a part of its own: a server that has
// it hands it to the API; without it, its endpoints answer 501.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mitu/api/broker.hpp"
#include "mitu/api/error.hpp"
#include "mitu/base/time.hpp"

namespace mitu::api {

enum class BanKind : std::uint8_t { client_id, user, address, network };

struct Ban {
    std::string id{};  // the server's choice
    BanKind kind = BanKind::client_id;
    std::string value{};   // of a network: CIDR
    TenantScope tenant{};  // none: for all
    std::string reason{};
    std::string created_by{};
    std::optional<WallTime> created_at{};  // none: not known
    std::optional<WallTime> expires_at{};  // none: until it is removed
};

/// Threading  any thread, as for all below.
class Bans {
public:
    virtual ~Bans() = default;
    /// Shape  `scope` set: those of that tenant, without those for all.
    [[nodiscard]] virtual Answer<Listing<Ban>> list(const TenantScope& scope, const Page& page) = 0;
    /// Errors  ban_unknown
    [[nodiscard]] virtual Answer<Ban> find(const std::string& id) = 0;
    /// Whoever it is for is disconnected. `ban.id` is empty; the answer has one.
    /// Errors  body_invalid (an address that is none), node_wide (an address, for one tenant),
    ///         exists_already, quota_exceeded, not_saved, cannot_apply
    [[nodiscard]] virtual Answer<Ban> add(const Ban& ban) = 0;
    /// Errors  ban_unknown, set_in_file, not_saved, cannot_apply
    [[nodiscard]] virtual Answer<void> remove(const std::string& id) = 0;
};

/// An MQTT user of the built-in database. Never with its password.
struct User {
    TenantName tenant{};
    std::string name{};
    bool enabled = true;
    std::uint64_t revision = 0;
};
struct UserChange {
    std::optional<std::string> password{};
    std::optional<bool> enabled{};
};

class Users {
public:
    virtual ~Users() = default;
    [[nodiscard]] virtual Answer<Listing<User>> list(const TenantScope& scope,
                                                     const Page& page) = 0;
    /// Errors  user_unknown
    [[nodiscard]] virtual Answer<User> find(const TenantName& tenant, const std::string& name) = 0;
    /// Errors  exists_already, body_invalid, quota_exceeded, not_saved, cannot_apply, overloaded
    [[nodiscard]] virtual Answer<User> add(const TenantName& tenant, const std::string& name,
                                           const std::string& password, bool enabled) = 0;
    /// Whoever came in as the user and may not any more, or had another password, is disconnected.
    /// Errors  user_unknown, revision_conflict (`expected` is not its revision), set_in_file,
    ///         not_saved, cannot_apply, overloaded
    [[nodiscard]] virtual Answer<User> change(const TenantName& tenant, const std::string& name,
                                              const UserChange& change,
                                              std::optional<std::uint64_t> expected) = 0;
    [[nodiscard]] virtual Answer<void> remove(const TenantName& tenant, const std::string& name,
                                              std::optional<std::uint64_t> expected) = 0;
};

struct ListenerInfo {
    std::string name{};
    std::string url{};  // where it listens: "tcp://0.0.0.0:1883"
    bool enabled = true;
    std::optional<std::uint64_t> connections{};  // none: not counted by listener
};

class Listeners {
public:
    virtual ~Listeners() = default;
    [[nodiscard]] virtual Answer<std::vector<ListenerInfo>> list() = 0;
    /// A disabled one takes no new connections; those that are there stay.
    /// Errors  listener_unknown, set_in_file, not_saved, cannot_apply (the address is taken)
    [[nodiscard]] virtual Answer<ListenerInfo> set_enabled(const std::string& name,
                                                           bool enabled) = 0;
};

struct ConfigView {
    std::uint64_t revision = 0;
    std::string json{};  // effective, secrets masked
};
struct ReloadReport {
    std::uint64_t revision = 0;
    std::vector<std::string> applied{};        // keys that are live now
    std::vector<std::string> needs_restart{};  // keys that changed and are not
};

class Configuration {
public:
    virtual ~Configuration() = default;
    [[nodiscard]] virtual Answer<ConfigView> view() = 0;
    /// Errors  body_invalid: the files have errors, which the message lists; nothing was changed
    [[nodiscard]] virtual Answer<ReloadReport> reload() = 0;
};

/// The exchange of the server's program by the one that is installed now.
struct UpgradeState {
    std::uint64_t pid = 0;  // of the process that answers: another one when it is done
    std::string version{};
    std::string
        problem{};  // why the last one failed that this process was asked for; empty: it did not
};

class Upgrades {
public:
    virtual ~Upgrades() = default;
    [[nodiscard]] virtual Answer<UpgradeState> state() = 0;
    /// Begins one; state() shows what becomes of it.
    /// Errors  not_available: nobody is there who could start another process
    [[nodiscard]] virtual Answer<UpgradeState> begin() = 0;
};

/// What the server keeps on disk. Answers are JSON, in the shapes of the schemas.
class Store {
public:
    virtual ~Store() = default;
    /// Shape   StoreNumbers
    /// Errors  not_saved: it cannot be read
    [[nodiscard]] virtual Answer<std::string> numbers() = 0;
    /// Begins a check unless one is under way, and says how it is getting on: StoreCheck.
    [[nodiscard]] virtual Answer<std::string> start_check() = 0;
    [[nodiscard]] virtual Answer<std::string> last_check() = 0;
    /// Shape   `directory`: an absolute path; the answer: StoreBackup
    /// Errors  cannot_apply: it is there already, cannot be made, lies on another file system;
    ///         not_saved
    [[nodiscard]] virtual Answer<std::string> back_up(const std::string& directory) = 0;
};

/// What a server has. Null: its endpoints answer 501. All outlive the API.
struct Backends {
    Broker* broker = nullptr;  // never null
    Bans* bans = nullptr;
    Users* users = nullptr;
    Listeners* listeners = nullptr;
    Configuration* configuration = nullptr;
    Upgrades* upgrades = nullptr;
    Store* store = nullptr;
};

}  // namespace mitu::api
