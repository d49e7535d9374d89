#pragma once
// What a node is told at start.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/broker/limits.hpp"
#include "mitu/config/config.hpp"
#include "mitu/config/files.hpp"
#include "mitu/http/tls.hpp"
#include "mitu/runtime/held_sockets.hpp"
#include "mitu/runtime/server_network.hpp"

namespace mitu::api {
class Upgrades;
}

namespace mitu::node {

/// Whether each shard stays on a processor of its own.
enum class Pinning : std::uint8_t {
    never,
    by_node,  // where the machine has several NUMA nodes: a shard that wanders leaves its memory
    always,
};

/// The API under /api/v1, beside what NodeOptions::http says.
struct ApiOptions {
    std::string users_file{};  // accounts of the API; empty: none can be made
    std::string audit_file{};  // who changed what; empty: not kept
    std::uint32_t login_rate_per_minute = 10;
    Duration token_ttl = Duration::seconds(std::int64_t{12} * 3'600);
    std::string unix_socket{};            // its owner is an administrator; empty: none
    std::optional<http::TlsFiles> tls{};  // none: plain HTTP
    api::Upgrades* upgrades = nullptr;    // outlives the node; null: 501
};

struct NodeOptions {
    std::vector<std::string> listen{"tcp://127.0.0.1:1883"};
    std::string http = "127.0.0.1:9880";  // empty: no HTTP
    ApiOptions api;
    std::uint16_t shards = 0;                            // 0: one per core
    std::optional<runtime::Io> io = runtime::Io::epoll;  // none: what the kernel allows
    Pinning pinning = Pinning::by_node;
    bool allow_anonymous = false;
    std::string registry_file;        // empty: no registered devices
    std::string policy_directory;     // overlays the policies compiled in; empty: none
    std::string version = "unknown";  // that `$SYS` tells
    std::string port_file;  // written once connections are taken: {"mqtt":PORT,"http":PORT}
    std::uint64_t connections_wanted = 1'000'000;  // open files asked of the kernel
    std::uint32_t login_threads = 1;               // check passwords (argon2id)
    std::uint32_t logins_waiting_max = 20'000;
    broker::Limits limits;
    /// Called once all that needs a privilege is done (limit of open files, listening sockets, keys
    /// and certificates) and before there is a thread, or anything is written: here a server that
    /// was started as root becomes somebody else. What it returns keeps the node from starting.
    std::function<std::optional<std::string>()> once_open;
    /// Sockets that stand open while nobody serves. Null: there are none. Outlives the node.
    runtime::HeldSockets* held_sockets = nullptr;
    /// Listeners, methods and chains, access. Null: `listen` and `allow_anonymous` say it all.
    std::shared_ptr<const config::Config> config;
    /// What `config` was made of, and how to make it anew. Null: of nothing that lasts; then there
    /// is nothing to reload, and the API changes neither bans, users nor listeners.
    std::shared_ptr<const config::FromFiles> files;
    std::function<Result<config::FromFiles, std::string>()> read_files;
};

}  // namespace mitu::node
