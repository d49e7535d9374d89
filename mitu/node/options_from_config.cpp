#include "mitu/node/options_from_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "mitu/config/diff.hpp"
#include "mitu/config/units.hpp"

namespace mitu::node {
namespace {

/// What is mapped below; a key that begins so is served.
constexpr std::array<std::string_view, 61> served{
    "node.data",
    "node.shards",
    "node.io",
    "node.pin",
    "node.huge_pages",
    "node.port_file",
    "node.login_threads",
    "log.",  // by main(), before there is a node
    "policies.directory",
    "registry.file",
    "listeners[].name",
    "listeners[].bind",
    "listeners[].protocol",
    "listeners[].enabled",
    "listeners[].tenant",
    "listeners[].authentication",
    "listeners[].allow_anonymous",
    "listeners[].tenants_by_sni",
    "listeners[].tls",
    "listeners[].websocket",
    "listeners[].proxy_protocol",
    "listeners[].unix",
    "listeners[].limits.connections_max",
    "listeners[].limits.connect_rate_per_s",
    "listeners[].limits.connect_burst",
    "listeners[].limits.handshakes_max",
    "listeners[].limits.packet_bytes_max",
    "authentication.",
    "access.",
    "tenants",
    "users",
    "bans",
    "flapping.",
    "memory.",
    "limits.packet_bytes_max",
    "limits.receive_maximum",
    "limits.topic_alias_maximum",
    "limits.session_expiry_max",
    "limits.inflight_max",
    "limits.queue_messages_max",
    "limits.queue_bytes_max",
    "limits.queue_retained_max",
    "limits.subscriptions_max",
    "limits.session_bytes_max",
    "limits.connections_max",
    "limits.connect_rate_per_s",
    "limits.retained_messages_max",
    "limits.retained_bytes_max",
    "limits.logins_waiting_max",
    "limits.shard_sessions_max",
    "limits.shard_retained_messages_max",
    "limits.shard_message_bytes_max",
    "limits.shard_session_pool_bytes_max",
    "limits.connect_timeout",
    "limits.shutdown_timeout",
    "api.bind",
    "api.tls",
    "api.users_file",
    "api.audit_file",
    "metrics.",
    "sys_topics.",
};

bool is_served(std::string_view path) {
    return std::any_of(served.begin(), served.end(),
                       [&](std::string_view prefix) { return path.starts_with(prefix); });
}

class Mapper {
public:
    explicit Mapper(const config::Loaded& loaded) : loaded_{loaded}, config_{loaded.config} {}

    Result<NodeOptions, yaml::Problems> map() {
        refuse_unserved();
        process();
        limits();
        what_stays_refused();
        if (!problems_.empty()) return std::unexpected(std::move(problems_));
        return std::move(options_);
    }

private:
    void refuse(const std::string& path, std::string text) {
        const config::Origin origin = loaded_.origins.near(path);
        problems_.push_back(
            {origin.name.empty() ? "configuration" : origin.name, origin.line, std::move(text)});
    }
    void refuse_changes(const config::Config& plain, const config::Config& own,
                        std::string_view instead_of, const std::string& with) {
        for (const config::Change& change : config::diff(plain, own)) {
            std::string path = change.path;
            std::string general = path;
            if (!instead_of.empty() && path.starts_with(instead_of)) {
                path = with + path.substr(instead_of.size());
                general = "listeners[]" + change.path.substr(instead_of.size());
            }
            if (is_served(general)) continue;
            refuse(path, fmt::format("{} is not served by this version yet; remove it", path));
        }
    }
    void refuse_unserved() {
        // Listeners one by one, each against one that has nothing but its name and address.
        config::Config own = config_;
        own.listeners = config::Config{}.listeners;
        refuse_changes(config::Config{}, own, {}, {});
        for (std::size_t i = 0; i < config_.listeners.size(); ++i) {
            const config::Listener& listener = config_.listeners[i];
            config::Config plain;
            plain.listeners.assign(1, {});
            plain.listeners[0].name = listener.name;
            plain.listeners[0].bind = listener.bind;
            config::Config with = plain;
            with.listeners[0] = listener;
            refuse_changes(plain, with, fmt::format("listeners[{}]", listener.name),
                           fmt::format("listeners[{}]", i));
        }
    }

    void process() {
        const config::Node& node = config_.node;
        options_.config = std::make_shared<config::Config>(config_);
        options_.http = config_.api.bind;
        options_.api.users_file = config_.api.users_file;
        options_.api.audit_file = config_.api.audit_file;
        if (config_.api.tls) {
            options_.api.tls = http::TlsFiles{config_.api.tls->certificate, config_.api.tls->key};
        }
        options_.shards = node.shards;
        switch (node.io) {
            case config::Io::epoll:
                options_.io = runtime::Io::epoll;
                break;
            case config::Io::io_uring:
                options_.io = runtime::Io::io_uring;
                break;
            case config::Io::automatic:
                options_.io = std::nullopt;
                break;
        }
        switch (node.pin) {
            case config::Pin::never:
                options_.pinning = Pinning::never;
                break;
            case config::Pin::by_node:
                options_.pinning = Pinning::by_node;
                break;
            case config::Pin::always:
                options_.pinning = Pinning::always;
                break;
        }
        options_.registry_file = config_.registry.file;
        options_.policy_directory = config_.policies.directory;
        options_.port_file = node.port_file;
        options_.login_threads = node.login_threads;
        options_.limits.message_heap.pool.huge_pages = node.huge_pages;
    }
    void limits() {
        const config::Limits& from = config_.limits;
        broker::Limits& to = options_.limits;
        options_.connections_wanted = from.connections_max;
        options_.logins_waiting_max = from.logins_waiting_max;
        to.packet_bytes_max = from.packet_bytes_max;
        to.receive_maximum = from.receive_maximum;
        to.topic_alias_maximum = from.topic_alias_maximum;
        if (from.session_expiry_max) {
            to.session_expiry_s_max =
                static_cast<std::uint32_t>(from.session_expiry_max->count_s());
        }
        to.inflight_max = from.inflight_max;
        to.queue_messages_max = from.queue_messages_max;
        to.queue_bytes_max = from.queue_bytes_max;
        to.queue_retained_max = from.queue_retained_max;
        to.subscriptions_max = from.subscriptions_max;
        to.session_bytes_max = from.session_bytes_max;
        to.session_pool_bytes_max = from.shard_session_pool_bytes_max;
        to.sessions_max = from.shard_sessions_max;
        to.retained_messages_max = from.shard_retained_messages_max;
        to.message_bytes_max = from.shard_message_bytes_max;
        to.connect_timeout = from.connect_timeout;
        to.shutdown_timeout = from.shutdown_timeout;
    }
    void what_stays_refused() {
        for (std::size_t i = 0; i < config_.listeners.size(); ++i) {
            const auto& tls = config_.listeners[i].tls;
            if (!tls) continue;
            for (std::size_t k = 0; k < tls->certificates.size(); ++k) {
                if (tls->certificates[k].key_password.empty() &&
                    tls->certificates[k].key_password_file.empty()) {
                    continue;
                }
                refuse_key(fmt::format("listeners[{}].tls.certificates[{}].key_password", i, k));
            }
        }
        if (config_.api.tls && !config_.api.tls->key_password_file.empty()) {
            refuse_key("api.tls.key_password_file");
        }
        const auto& methods = config_.authentication.methods;
        for (std::size_t i = 0; i < methods.size(); ++i) {
            const std::string path = fmt::format("authentication.methods[{}]", i);
            if (!methods[i].jwt.jwks_url.empty()) refuse_key(path + ".jwt.jwks_url");
            if (methods[i].kind == config::MethodKind::http &&
                methods[i].http.method == config::HttpMethod::get) {
                refuse_key(path + ".http.method");
            }
        }
    }
    void refuse_key(const std::string& path) {
        refuse(path, fmt::format("{} is not served by this version yet; remove it", path));
    }

    const config::Loaded& loaded_;
    const config::Config& config_;
    NodeOptions options_;
    yaml::Problems problems_;
};

}  // namespace

Result<NodeOptions, yaml::Problems> options_from_config(const config::Loaded& loaded) {
    return Mapper{loaded}.map();
}

}  // namespace mitu::node
