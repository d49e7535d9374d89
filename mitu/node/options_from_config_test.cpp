#include "mitu/node/options_from_config.hpp"

#include <gtest/gtest.h>

namespace mitu::node {
namespace {

Result<NodeOptions, yaml::Problems> options_of(std::string_view text) {
    config::Sources sources;
    sources.file = yaml::SourceFile{"f.yaml", text};
    const auto loaded = config::load(sources);
    EXPECT_TRUE(loaded) << yaml::to_text(loaded.error());
    if (!loaded) return std::unexpected(loaded.error());
    return options_from_config(*loaded);
}

std::string problems_of(std::string_view text) {
    const auto options = options_of(text);
    return options ? "" : yaml::to_text(options.error());
}

TEST(options_from_config, no_configuration_is_what_a_node_is_by_default) {
    const auto options = options_of("");
    ASSERT_TRUE(options) << yaml::to_text(options.error());
    const NodeOptions plain;
    EXPECT_EQ(options->listen, std::vector<std::string>{"tcp://127.0.0.1:1883"});
    EXPECT_EQ(options->http, plain.http);
    EXPECT_EQ(options->shards, plain.shards);
    EXPECT_EQ(options->io, plain.io);
    EXPECT_EQ(options->pinning, plain.pinning);
    EXPECT_EQ(options->allow_anonymous, plain.allow_anonymous);
    EXPECT_EQ(options->connections_wanted, plain.connections_wanted);
    EXPECT_EQ(options->login_threads, plain.login_threads);
    EXPECT_EQ(options->logins_waiting_max, plain.logins_waiting_max);
    const broker::Limits& ours = options->limits;
    const broker::Limits& theirs = plain.limits;
    EXPECT_EQ(ours.packet_bytes_max, theirs.packet_bytes_max);
    EXPECT_EQ(ours.receive_maximum, theirs.receive_maximum);
    EXPECT_EQ(ours.topic_alias_maximum, theirs.topic_alias_maximum);
    EXPECT_EQ(ours.session_expiry_s_max, theirs.session_expiry_s_max);
    EXPECT_EQ(ours.inflight_max, theirs.inflight_max);
    EXPECT_EQ(ours.queue_messages_max, theirs.queue_messages_max);
    EXPECT_EQ(ours.queue_bytes_max, theirs.queue_bytes_max);
    EXPECT_EQ(ours.queue_retained_max, theirs.queue_retained_max);
    EXPECT_EQ(ours.subscriptions_max, theirs.subscriptions_max);
    EXPECT_EQ(ours.session_bytes_max, theirs.session_bytes_max);
    EXPECT_EQ(ours.session_pool_bytes_max, theirs.session_pool_bytes_max);
    EXPECT_EQ(ours.sessions_max, theirs.sessions_max);
    EXPECT_EQ(ours.retained_messages_max, theirs.retained_messages_max);
    EXPECT_EQ(ours.message_bytes_max, theirs.message_bytes_max);
    EXPECT_EQ(ours.connect_timeout, theirs.connect_timeout);
    EXPECT_EQ(ours.shutdown_timeout, theirs.shutdown_timeout);
}

TEST(options_from_config, values_arrive) {
    const auto options = options_of(
        "node: {shards: 3, io: auto, pin: always}\n"
        "limits: {session_expiry_max: 1h, connections_max: 5, packet_bytes_max: 4KiB}\n"
        "listeners: [{name: a, bind: '[::1]:0'}, {name: b, bind: '127.0.0.1:0'}]\n"
        "authentication: {allow_anonymous: loopback}\n"
        "api: {bind: \"\"}\n");
    ASSERT_TRUE(options) << yaml::to_text(options.error());
    EXPECT_EQ(options->shards, 3);
    EXPECT_FALSE(options->io);
    EXPECT_EQ(options->pinning, Pinning::always);
    EXPECT_EQ(options->limits.session_expiry_s_max, 3'600u);
    EXPECT_EQ(options->limits.packet_bytes_max, 4'096u);
    EXPECT_EQ(options->connections_wanted, 5u);
    ASSERT_NE(options->config, nullptr) << "listeners and methods go as they are";
    EXPECT_EQ(options->config->listeners.size(), 2u);
    EXPECT_EQ(options->http, "");
}

TEST(options_from_config, every_way_to_ask_and_every_key_of_tls_is_served) {
    const auto options = options_of(
        "listeners:\n"
        "  - name: tls\n"
        "    bind: '*:2'\n"
        "    tls: {certificates: [{certificate: c, key: k, key_password_file: p}]}\n"
        "authentication:\n"
        "  methods:\n"
        "    - {name: s, kind: http, http: {url: 'http://127.0.0.1/', method: get}}\n"
        "api: {tls: {certificate: c, key: k, key_password_file: p, minimum_version: '1.3'}}\n");
    ASSERT_TRUE(options) << yaml::to_text(options.error());
    ASSERT_TRUE(options->api.tls);
    EXPECT_TRUE(options->api.tls->key_password_file.ends_with("p"));
    EXPECT_TRUE(options->api.tls->needs_tls_1_3);
}

TEST(options_from_config, what_is_not_served_is_refused_and_never_left_out) {
    EXPECT_EQ(problems_of("node: {user: mitu}\nsys_topics:\n  enabled: false\n"),
              "f.yaml:3: sys_topics.enabled is not served by this version yet; remove it\n");
    EXPECT_EQ(
        problems_of("authentication:\n"
                    "  methods: [{name: j, kind: jwt, jwt: {jwks_url: 'http://127.0.0.1/'}}]\n"),
        "");
}

TEST(options_from_config, every_limit_is_served) {
    EXPECT_EQ(
        problems_of("limits:\n"
                    "  topic_levels_max: 7\n"
                    "  wildcard_levels_max: 0\n"
                    "  messages_per_s: 5\n"
                    "  bytes_per_s: 5KiB\n"
                    "  client: {messages_per_s: 1, bytes_per_s: 2KiB, connects_per_minute: 3}\n"
                    "listeners:\n"
                    "  - name: a\n"
                    "    bind: '*:1'\n"
                    "    limits: {messages_per_s: 5, bytes_per_s: 4KiB}\n"),
        "");
}

}  // namespace
}  // namespace mitu::node
