#include "mitu/node/options_from_config.hpp"

#include <gtest/gtest.h>

#include "mitu/config/load.hpp"

namespace mitu::node {
namespace {

NodeOptions options_of(std::string_view text) {
    config::Sources sources;
    sources.file = yaml::SourceFile{"f.yaml", text};
    const auto loaded = config::load(sources);
    if (!loaded) {
        ADD_FAILURE() << yaml::to_text(loaded.error());
        return {};
    }
    return options_from_config(loaded->config);
}

TEST(options_from_config, no_configuration_is_what_a_node_is_by_default) {
    const auto options = options_of("");
    const NodeOptions plain;
    EXPECT_EQ(options.listen, std::vector<std::string>{"tcp://127.0.0.1:1883"});
    EXPECT_EQ(options.http, plain.http);
    EXPECT_EQ(options.shards, plain.shards);
    EXPECT_EQ(options.io, plain.io);
    EXPECT_EQ(options.pinning, plain.pinning);
    EXPECT_EQ(options.allow_anonymous, plain.allow_anonymous);
    EXPECT_EQ(options.connections_wanted, plain.connections_wanted);
    EXPECT_EQ(options.login_threads, plain.login_threads);
    EXPECT_EQ(options.logins_waiting_max, plain.logins_waiting_max);
    const broker::Limits& ours = options.limits;
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
    EXPECT_EQ(options.shards, 3);
    EXPECT_FALSE(options.io);
    EXPECT_EQ(options.pinning, Pinning::always);
    EXPECT_EQ(options.limits.session_expiry_s_max, 3'600u);
    EXPECT_EQ(options.limits.packet_bytes_max, 4'096u);
    EXPECT_EQ(options.connections_wanted, 5u);
    ASSERT_NE(options.config, nullptr) << "listeners and methods go as they are";
    EXPECT_EQ(options.config->listeners.size(), 2u);
    EXPECT_EQ(options.http, "");
}

TEST(options_from_config, tls_of_the_api_arrives) {
    const auto options = options_of(
        "api: {tls: {certificate: c, key: k, key_password_file: p, minimum_version: '1.3'}}\n");
    ASSERT_TRUE(options.api.tls);
    EXPECT_TRUE(options.api.tls->key_password_file.ends_with("p"));
    EXPECT_TRUE(options.api.tls->needs_tls_1_3);
}

}  // namespace
}  // namespace mitu::node
