#include "mitu/config/load.hpp"

#include <gtest/gtest.h>

#include "mitu/config/documents.hpp"

namespace mitu::config {
namespace {

Result<Loaded, yaml::Problems> load_text(std::string_view text) {
    Sources sources;
    sources.file = yaml::SourceFile{"f.yaml", text};
    sources.tenants.emplace();
    return load(sources);
}

std::string problems_of(std::string_view text) {
    const auto loaded = load_text(text);
    return loaded ? "" : yaml::to_text(loaded.error());
}

TEST(config_load, nothing_gives_the_defaults) {
    const auto loaded = load({});
    ASSERT_TRUE(loaded) << yaml::to_text(loaded.error());
    EXPECT_EQ(loaded->config.listeners.size(), 1u);
    EXPECT_EQ(loaded->config.listeners[0].bind, "127.0.0.1:1883");
    EXPECT_EQ(loaded->config.authentication.methods[0].kind, MethodKind::registry);
    EXPECT_EQ(loaded->config.authentication.allow_anonymous, Anonymous::never);
    EXPECT_EQ(loaded->revision, 1u);
    EXPECT_EQ(loaded->content_hash, load_text("")->content_hash);
    EXPECT_EQ(loaded->content_hash, load_text("log:\nlimits: {}\n")->content_hash);
}

TEST(config_load, every_kind_of_value_arrives) {
    const auto loaded = load_text(
        "node: {shards: 2, io: auto, huge_pages: true}\n"
        "listeners:\n"
        "  - name: tls\n"
        "    bind: \"*:8883\"\n"
        "    allow_anonymous: loopback\n"
        "    tenants_by_sni: {mqtt.acme.example: acme}\n"
        "    tls:\n"
        "      certificates: [{certificate: c.pem, key: k.pem}]\n"
        "      minimum_version: 1.3\n"
        "    limits: {bytes_per_s: 64KiB, connections_max: null}\n"
        "tenants: [{name: acme, limits: {connections_max: 5}}]\n"
        "limits: {session_expiry_max: 7d, packet_bytes_max: 2048}\n"
        "bans: [{address: 10.0.0.0/8, until: \"2030-01-01T00:00:00Z\"}]\n");
    ASSERT_TRUE(loaded) << yaml::to_text(loaded.error());
    const Config& config = loaded->config;
    EXPECT_EQ(config.node.shards, 2);
    EXPECT_EQ(config.node.io, Io::automatic);
    EXPECT_TRUE(config.node.huge_pages);
    const Listener& listener = config.listeners.at(0);
    EXPECT_EQ(listener.allow_anonymous, Anonymous::loopback);
    EXPECT_EQ(listener.tenants_by_sni.at("mqtt.acme.example"), "acme");
    ASSERT_TRUE(listener.tls);
    EXPECT_EQ(listener.tls->minimum_version, TlsVersion::v1_3);
    EXPECT_EQ(listener.tls->certificates.at(0).key, "k.pem");
    EXPECT_EQ(listener.limits.bytes_per_s, 65'536u);
    EXPECT_FALSE(listener.limits.connections_max);
    EXPECT_EQ(config.tenants.at(0).limits.connections_max, 5u);
    EXPECT_EQ(config.limits.session_expiry_max, Duration::seconds(7 * 86'400));
    EXPECT_EQ(config.limits.packet_bytes_max, 2'048u);
    EXPECT_EQ(config.bans.at(0).until->unix_ms, 1'893'456'000'000);
}

TEST(config_load, tells_all_that_is_wrong_at_once_with_line_value_and_remedy) {
    EXPECT_EQ(problems_of("node:\n"
                          "  shards: 999\n"
                          "  io: uring\n"
                          "log: {levle: info}\n"
                          "limits:\n"
                          "  packet_bytes_max: 1KB\n"
                          "  connect_timeout: 10\n"
                          "  inflight_max: -1\n"
                          "listeners:\n"
                          "  - bind: 127.0.0.1\n"
                          "  - name: b\n"
                          "    bind: \"*:1\"\n"
                          "    tenant: nobody\n"
                          "    authentication: [registri]\n"
                          "listeners: []\n"
                          "metrics: 3\n"
                          "api: {bind: 7}\n"),
              "f.yaml:2: node.shards is 999; use 0..256\n"
              "f.yaml:3: node.io is \"uring\"; use epoll, io_uring or auto\n"
              "f.yaml:4: log.levle is not known; did you mean level?\n"
              "f.yaml:6: limits.packet_bytes_max is \"1KB\"; use 1KiB..268435460\n"
              "f.yaml:7: limits.connect_timeout is 10; use 100ms..5m\n"
              "f.yaml:8: limits.inflight_max is -1; use 1..65535\n"
              "f.yaml:15: listeners is there twice; remove one\n"
              "f.yaml:16: metrics is 3; use a map\n"
              "f.yaml:17: api.bind is 7; use ADDRESS:PORT (127.0.0.1:9880, [::1]:9880, *:9880), or "
              "\"\" for none\n");
    EXPECT_EQ(
        problems_of("listeners:\n"
                    "  - bind: 127.0.0.1\n"
                    "  - name: b\n"
                    "    bind: \"*:1\"\n"
                    "    tenant: nobody\n"
                    "    authentication: [registri, registry, registry]\n"
                    "  - {name: b, bind: \"*:1\"}\n"),
        "f.yaml:2: listeners[0].bind is \"127.0.0.1\"; use ADDRESS:PORT (127.0.0.1:1883, "
        "[::1]:8883, *:1883) or unix:/PATH\n"
        "f.yaml:2: listeners[0].name is missing; use 1..64 of a-z 0-9 _ -, not beginning with "
        "_ or -\n"
        "f.yaml:5: listeners[1].tenant is \"nobody\", which is no tenant; use default, or add "
        "it to tenants\n"
        "f.yaml:6: listeners[1].authentication[0] is \"registri\", which is no method; did you "
        "mean registry?\n"
        "f.yaml:6: listeners[1].authentication[2] is \"registry\", which is there twice; "
        "remove one\n"
        "f.yaml:7: listeners[2].name is \"b\", as is listeners[1]; use another name\n");
}

TEST(config_load, one_mistake_in_a_table_of_mistakes_gives_one_problem) {
    struct Row {
        const char* text;
        const char* problem;
    };
    const Row rows[] = {
        {"x", "f.yaml:1: the document is \"x\"; use a map of sections\n"},
        {"---\nlog: {}\n---\nlog: {}\n", "f.yaml:4: a second document; use one, without ---\n"},
        {"listeners: {}", "f.yaml:1: listeners is {}; use a list of maps\n"},
        {"listeners: [7]", "f.yaml:1: listeners[0] is 7; use a map\n"},
        {"node: {data: \"\"}", "f.yaml:1: node.data is \"\"; use text that is not empty\n"},
        {"node: {shards: 1.5}", "f.yaml:1: node.shards is 1.5; use 0..256\n"},
        {"node: {shards: null}", "f.yaml:1: node.shards is null; use 0..256\n"},
        {"node: {huge_pages: yes}", "f.yaml:1: node.huge_pages is \"yes\"; use true or false\n"},
        {"node: {user: 1000}", "f.yaml:1: node.user is 1000; use text, in quotes\n"},
        {"limits: {connections_max: 0}",
         "f.yaml:1: limits.connections_max is 0; use 1..100000000\n"},
        {"limits: {topic_levels_max: 0}",
         "f.yaml:1: limits.topic_levels_max is 0; use 1..1024, or null\n"},
        {"authentication: {chain: registry}",
         "f.yaml:1: authentication.chain is \"registry\"; use a list, each 1..64 of a-z 0-9 _ -, "
         "not beginning with _ or -\n"},
        {"authentication: {chain: [registry, 7]}",
         "f.yaml:1: authentication.chain[1] is 7; use 1..64 of a-z 0-9 _ -, not beginning with _ "
         "or -\n"},
        {"listeners: [{name: a, bind: '*:1', tls: }]",
         "f.yaml:1: listeners[0].tls is empty; fill it in, or remove it\n"},
        {"listeners: [{name: a, bind: '*:1', tls: {}}]",
         "f.yaml:1: listeners[0].tls.certificates is missing; use a list of maps\n"},
        {"listeners: [{name: a, bind: '*:1', tls: {certificates: []}}]",
         "f.yaml:1: listeners[0].tls.certificates is []; use a list of maps\n"},
        {"listeners: [{name: a, bind: '*:1', tls: {client_certificates: required, certificates: "
         "[{certificate: c, key: k}]}}]",
         "f.yaml:1: listeners[0].tls.ca_file is missing, and listeners[0].tls.client_certificates "
         "is required; name the authorities that sign them\n"},
        {"listeners: [{name: a, bind: '*:1', tls: {minimum_version: 1.3, ciphers: X, certificates: "
         "[{certificate: c, key: k}]}}]",
         "f.yaml:1: listeners[0].tls.ciphers is for TLS 1.2, but listeners[0].tls.minimum_version "
         "is 1.3; remove it, or use cipher_suites\n"},
        {"listeners: [{name: a, bind: '*:1', websocket: {path: /x}}]",
         "f.yaml:1: listeners[0].websocket is set, but listeners[0].protocol is mqtt; use "
         "websocket\n"},
        {"listeners: [{name: a, bind: '*:1', unix: {mode: '0600'}}]",
         "f.yaml:1: listeners[0].unix is for Unix sockets, but listeners[0].bind is \"*:1\"; "
         "remove "
         "it, or bind to unix:/PATH\n"},
        {"listeners: [{name: a, bind: '*:1', tenants_by_sni: {a.example: default}}]",
         "f.yaml:1: listeners[0].tenants_by_sni needs TLS, which carries the name; add "
         "listeners[0].tls\n"},
        {"listeners: [{name: a, bind: '*:1', proxy_protocol: {from: [10.0.0.1/8]}}]",
         "f.yaml:1: listeners[0].proxy_protocol.from[0] is \"10.0.0.1/8\"; use an address or a "
         "network: 10.0.0.7, 10.1.0.0/16, fd00::/8 (bits below the prefix are 0)\n"},
        {"listeners: [{name: a, bind: '*:1'}, {name: b, bind: '*:1'}]",
         "f.yaml:1: listeners[1].bind is \"*:1\", as is listeners[0].bind; use another port\n"},
        {"authentication: {methods: [{name: j, kind: jwt}]}",
         "f.yaml:1: authentication.methods[0].jwt has none of keys_file, jwks_file, jwks_url and "
         "secret_file; use one\n"},
        {"authentication: {methods: [{name: j, kind: jwt, jwt: {keys_file: k, algorithms: "
         "[HS256]}}]}",
         "f.yaml:1: authentication.methods[0].jwt.algorithms[0] is \"HS256\", which does not go "
         "with public keys; use algorithms that begin with RS or ES\n"},
        {"authentication: {methods: [{name: j, kind: users, jwt: {claims: {acl: acl}}}]}",
         "f.yaml:1: authentication.methods[0].jwt is set, but authentication.methods[0].kind is "
         "users; remove it\n"},
        {"authentication: {methods: [{name: p, kind: password_file}]}",
         "f.yaml:1: authentication.methods[0].file is missing; name a file that `mitu passwd` "
         "writes\n"},
        {"authentication: {methods: [{name: h, kind: http}]}",
         "f.yaml:1: authentication.methods[0].http.url is missing; use http://HOST[:PORT][/PATH] "
         "or "
         "https://...\n"},
        {"authentication: {methods: [{name: h, kind: http, http: {url: 'ftp://x'}}]}",
         "f.yaml:1: authentication.methods[0].http.url is \"ftp://x\"; use "
         "http://HOST[:PORT][/PATH] or https://...\n"},
        {"bans: [{reason: none}]",
         "f.yaml:1: bans[0] has none of client_id, user and address; use one\n"},
        {"bans: [{user: a, until: tomorrow}]",
         "f.yaml:1: bans[0].until is \"tomorrow\"; use a time in UTC: \"2026-12-31T23:59:59Z\", or "
         "null\n"},
        {"tenants: [{name: a, limits: {connections_max: 1, reserved_connections: 2}}]",
         "f.yaml:1: tenants[0].limits.reserved_connections is 2, above "
         "tenants[0].limits.connections_max; use 0..1\n"},
        {"api: {bind: '*:9880', users_file: u}",
         "f.yaml:1: api.bind is \"*:9880\", where passwords would travel in the clear; add "
         "api.tls, or use 127.0.0.1\n"},
        {"memory: {disconnect_slow_at: 50}",
         "f.yaml:1: memory.disconnect_slow_at is 50, below memory.drop_qos0_at, which is 85; "
         "messages go before clients do\n"},
    };
    for (const Row& row : rows) EXPECT_EQ(problems_of(row.text), row.problem) << row.text;
}

TEST(config_load, a_secret_is_in_no_message) {
    const std::string text =
        "users: [{name: u, credential: hunter2}]\n"
        "authentication: {methods: [{name: j, kind: jwt, jwt: {secret: 12345678, secret_file: "
        "f}}]}\n";
    const std::string problems = problems_of(text);
    EXPECT_EQ(problems,
              "f.yaml:1: users[0].credential is no argon2id hash; use what `mitu passwd` prints\n"
              "f.yaml:2: authentication.methods[0].jwt.secret is ***; use text, in quotes\n");
    const auto loaded = load_text(
        "users: [{name: u, credential: $argon2id$hunter2}]\n"
        "authentication: {methods: [{name: h, kind: http, http: {url: 'http://x', headers: "
        "{Authorization: hunter2}, bearer_token: hunter2}}]}\n");
    ASSERT_TRUE(loaded) << yaml::to_text(loaded.error());
    for (const bool as_json : {false, true}) {
        const std::string shown = show(*loaded, {.origins = true, .as_json = as_json});
        EXPECT_EQ(shown.find("hunter2"), std::string::npos);
        EXPECT_NE(shown.find("***"), std::string::npos);
    }
}

TEST(config_load, flags_win_over_the_environment_which_wins_over_the_file) {
    Sources sources;
    sources.file = yaml::SourceFile{"f.yaml",
                                    "node:\n  shards: 1\n  login_threads: 2\nlog:\n  level: warn\n"
                                    "limits:\n  inflight_max: 9\n"};
    yaml::Problems problems;
    const std::vector<std::pair<std::string, std::string>> variables{
        {"MITU__NODE__SHARDS", "2"},
        {"MITU__NODE__LOGIN_THREADS", "3"},
        {"MITU__LISTENERS__0__BIND", "127.0.0.1:0"},
        {"MITU__AUTHENTICATION__CHAIN", "[registry]"},
        {"mitu__node__data", "ignored: the prefix is in upper case"},
        {"MITU_URL", "not ours"},
    };
    sources.environment = overrides_from_environment(variables, problems);
    EXPECT_TRUE(problems.empty()) << yaml::to_text(problems);
    sources.flags = {{"node.shards", "3", "--shards"}};
    const auto loaded = load(sources);
    ASSERT_TRUE(loaded) << yaml::to_text(loaded.error());
    EXPECT_EQ(loaded->config.node.shards, 3);
    EXPECT_EQ(loaded->config.node.login_threads, 3);
    EXPECT_EQ(loaded->config.node.data, "mitu-data");
    EXPECT_EQ(loaded->config.limits.inflight_max, 9);
    EXPECT_EQ(loaded->config.listeners.at(0).name, "mqtt") << "one value over the default item";
    EXPECT_EQ(loaded->config.listeners.at(0).bind, "127.0.0.1:0");
    EXPECT_EQ(to_text(loaded->origins.of("node.shards")), "--shards");
    EXPECT_EQ(to_text(loaded->origins.of("node.login_threads")), "MITU__NODE__LOGIN_THREADS");
    EXPECT_EQ(to_text(loaded->origins.of("log.level")), "f.yaml:5");
    EXPECT_EQ(to_text(loaded->origins.of("log.format")), "default");
    EXPECT_EQ(to_text(loaded->origins.of("listeners[0].bind")), "MITU__LISTENERS__0__BIND");
    EXPECT_EQ(to_text(loaded->origins.of("listeners[0].name")), "default");
}

TEST(config_load, what_is_wrong_beside_the_file_names_the_variable_or_the_flag) {
    yaml::Problems problems;
    const std::vector<std::pair<std::string, std::string>> variables{
        {"MITU__LIMTS__INFLIGHT_MAX", "1"},
        {"MITU__LIMITS__INFLIGHT_MX", "1"},
        {"MITU__", "1"},
        {"MITU__NODE__SHARDS", "many"},
        {"MITU__LISTENERS__5__BIND", "*:1"},
        {"MITU__AUTHENTICATION__CHAIN", "[registry"},
    };
    Sources sources;
    sources.environment = overrides_from_environment(variables, problems);
    EXPECT_EQ(
        yaml::to_text(problems),
        "environment MITU__LIMTS__INFLIGHT_MAX: limts.inflight_max is not known; did you mean "
        "MITU__LIMITS?\n"
        "environment MITU__LIMITS__INFLIGHT_MX: limits.inflight_mx is not known; did you mean "
        "MITU__LIMITS__INFLIGHT_MAX?\n"
        "environment MITU__:  is not known; see `mitu config reference` for the keys\n");
    sources.flags = {{"log.level", "loud", "--log-level"}};
    const auto loaded = load(sources);
    ASSERT_FALSE(loaded);
    const std::string text = yaml::to_text(loaded.error());
    EXPECT_NE(text.find("environment MITU__NODE__SHARDS: node.shards is \"many\"; use 0..256\n"),
              std::string::npos)
        << text;
    EXPECT_NE(
        text.find("environment MITU__LISTENERS__5__BIND: listeners[5].bind has no place; list "
                  "items are counted from 0 and follow each other\n"),
        std::string::npos)
        << text;
    EXPECT_NE(text.find("MITU__AUTHENTICATION__CHAIN"), std::string::npos) << text;
    EXPECT_NE(
        text.find("--log-level: log.level is \"loud\"; use debug, info, warn, error or off\n"),
        std::string::npos)
        << text;
}

TEST(config_load, names_every_file_that_must_be_there) {
    const auto loaded = load_text(
        "listeners:\n"
        "  - {name: a, bind: '*:1', tls: {client_certificates: required, ca_file: ca, crl_files: "
        "[r], certificates: [{certificate: c, key: k}]}}\n"
        "registry: {file: d.csv}\n");
    ASSERT_TRUE(loaded) << yaml::to_text(loaded.error());
    std::string files;
    for (const NamedFile& file : named_files(loaded->config)) {
        files += file.key + "=" + file.path + "\n";
    }
    EXPECT_EQ(files,
              "registry.file=d.csv\n"
              "listeners[0].tls.certificates[0].certificate=c\n"
              "listeners[0].tls.certificates[0].key=k\n"
              "listeners[0].tls.ca_file=ca\n"
              "listeners[0].tls.crl_files[0]=r\n");
}

}  // namespace
}  // namespace mitu::config
