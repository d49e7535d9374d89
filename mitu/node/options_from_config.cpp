#include "mitu/node/options_from_config.hpp"

#include <memory>
#include <optional>
#include <utility>

namespace mitu::node {
namespace {

class Mapper {
public:
    explicit Mapper(const config::Config& config) : config_{config} {}

    NodeOptions map() {
        process();
        limits();
        return std::move(options_);
    }

private:
    void process() {
        const config::Node& node = config_.node;
        auto whole = std::make_shared<config::Config>(config_);
        // "The server's" is who it becomes, though root makes the socket.
        for (config::Listener& listener : whole->listeners) {
            if (!listener.bind.starts_with("unix:") || !listener.unix_socket.owner.empty())
                continue;
            listener.unix_socket.owner = node.user;
            if (listener.unix_socket.group.empty()) listener.unix_socket.group = node.group;
        }
        options_.config = std::move(whole);
        options_.api.login_rate_per_minute = config_.api.login_rate_per_minute;
        options_.api.token_ttl = config_.api.token_ttl;
        options_.http = config_.api.bind;
        options_.api.users_file = config_.api.users_file;
        options_.api.audit_file = config_.api.audit_file;
        if (config_.api.tls) {
            const config::ApiTls& tls = *config_.api.tls;
            options_.api.tls =
                http::TlsFiles{.certificate_file = tls.certificate,
                               .key_file = tls.key,
                               .key_password_file = tls.key_password_file,
                               .needs_tls_1_3 = tls.minimum_version == config::TlsVersion::v1_3};
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

    const config::Config& config_;
    NodeOptions options_;
};

}  // namespace

NodeOptions options_from_config(const config::Config& config) { return Mapper{config}.map(); }

}  // namespace mitu::node
