#pragma once
// Config: everything that `mitud` can be told, as plain values. What each key means, its range and
// whether it applies live stands in the table (table.hpp), from which docs/configuration.md is
// made.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mitu/base/time.hpp"
#include "mitu/config/authentication.hpp"
#include "mitu/config/limits.hpp"
#include "mitu/config/listener.hpp"

namespace mitu::config {

enum class Io : std::uint8_t { epoll, io_uring, automatic };
enum class Pin : std::uint8_t { never, by_node, always };

struct Node {
    std::string data = "mitu-data";
    std::uint16_t shards = 0;
    Io io = Io::epoll;
    Pin pin = Pin::by_node;
    bool huge_pages = false;
    std::string user;
    std::string group;
    bool core_dumps = false;
    std::string port_file;
    std::uint16_t login_threads = 1;
};

enum class LogLevel : std::uint8_t { debug, info, warn, error, off };
enum class LogFormat : std::uint8_t { text, json };

struct Log {
    LogLevel level = LogLevel::info;
    LogFormat format = LogFormat::text;
};

struct Policies {
    std::string directory;
};

struct Registry {
    std::string file;  // empty: DATA/devices.csv, if it exists
};

enum class AccessDefault : std::uint8_t {
    deny,
    policy,  // what the policy of the device allows
};

struct Access {
    std::string acl_file;
    AccessDefault default_access = AccessDefault::policy;
};

/// Of the built-in user database (method `users`), for MQTT. Hashes only.
struct User {
    std::string name;
    std::string tenant = "default";
    std::string credential;     // argon2id, PHC notation
    std::string scram_sha_256;  // iterations, salt and keys, for method `scram`
    std::string device_class;
    bool enabled = true;
    std::uint64_t revision = 0;  // of the configuration, in which the API last changed the user
};

struct ApiTls {
    std::string certificate;
    std::string key;
    std::string key_password_file;
    TlsVersion minimum_version = TlsVersion::v1_2;
};

struct Api {
    std::string bind = "127.0.0.1:9880";  // empty: none
    std::optional<ApiTls> tls;
    std::string users_file;
    std::uint32_t login_rate_per_minute = 10;
    std::string audit_file;
    Duration token_ttl = Duration::seconds(std::int64_t{12} * 3'600);
};

struct Metrics {
    bool enabled = true;
    std::string bind;  // empty: the API's
};

struct Store {
    Durability durability = Durability::sync;
    Duration async_delay = Duration::milliseconds(100);
    std::uint64_t cache_bytes = 64ULL << 20;
    std::uint64_t write_buffer_bytes = 64ULL << 20;
    std::uint64_t free_bytes_min = 64ULL << 20;
    std::uint32_t open_files_max = 256;
    Duration will_grace = Duration::seconds(30);
};

struct SysTopics {
    bool enabled = true;
    Duration interval = Duration::seconds(10);
};

struct Config {
    Node node;
    Log log;
    Policies policies;
    Registry registry;
    std::vector<Listener> listeners{default_listener()};
    Authentication authentication;
    Access access;
    std::vector<Tenant> tenants;
    std::vector<User> users;
    Limits limits;
    Memory memory;
    Flapping flapping;
    SessionFaults session_faults;
    std::vector<Ban> bans;
    Api api;
    Metrics metrics;
    Store store;
    SysTopics sys_topics;

    /// `mqtt` on 127.0.0.1:1883.
    [[nodiscard]] static Listener default_listener() {
        Listener listener;
        listener.name = "mqtt";
        listener.bind = "127.0.0.1:1883";
        return listener;
    }
};

}  // namespace mitu::config
