#include "apps/mitu/connection_options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>

#include "apps/mitu/text.hpp"
#include "mitu/mqtt/encode.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::cli {

namespace {

constexpr std::uint32_t session_expiry_default_s = 3'600;
constexpr std::uint16_t port_default = 1883;

const std::map<std::string, mqtt::ProtocolVersion>& version_names() {
    static const std::map<std::string, mqtt::ProtocolVersion> names{
        {"5", mqtt::ProtocolVersion::v5},           {"5.0", mqtt::ProtocolVersion::v5},
        {"mqttv5", mqtt::ProtocolVersion::v5},      {"3.1.1", mqtt::ProtocolVersion::v3_1_1},
        {"311", mqtt::ProtocolVersion::v3_1_1},     {"4", mqtt::ProtocolVersion::v3_1_1},
        {"mqttv311", mqtt::ProtocolVersion::v3_1_1}};
    return names;
}

/// Text, or 0x and hexadecimal digits.
Result<Bytes, std::string> parse_binary(const std::string& text, const std::string& option) {
    if (!text.starts_with("0x")) return to_bytes(as_bytes(text));
    auto bytes = parse_hex(std::string_view{text}.substr(2));
    if (!bytes) {
        return std::unexpected(fmt::format(
            "{}: {} is not hexadecimal; write an even number of digits after 0x", option, text));
    }
    return std::move(*bytes);
}

CLI::Option* add_seconds_or_never(CLI::App& app, const std::string& names,
                                  std::optional<std::uint32_t>& seconds,
                                  const std::string& description) {
    return app
        .add_option(
            names,
            [&seconds, names](const CLI::results_t& results) {
                const std::string& text = results.front();
                if (text == "never") {
                    seconds = 0xFFFF'FFFF;
                    return true;
                }
                const auto duration = parse_duration(text);
                if (!duration || duration->count_s() > 0xFFFF'FFFE) {
                    throw CLI::ValidationError(
                        names, text +
                                   " is not a time; write 30s, 5m, 2h, a number of seconds, "
                                   "or never");
                }
                seconds = static_cast<std::uint32_t>(duration->count_s());
                return true;
            },
            description)
        ->type_name("TIME");
}

}  // namespace

CLI::Option* add_duration_option(CLI::App& app, const std::string& names, Duration& duration,
                                 const std::string& description) {
    return app
        .add_option(
            names,
            [&duration, names](const CLI::results_t& results) {
                const std::string& text = results.front();
                const auto parsed = parse_duration(text);
                if (!parsed) {
                    throw CLI::ValidationError(
                        names,
                        text + " is not a time; write 250ms, 30s, 5m or a number of seconds");
                }
                duration = *parsed;
                return true;
            },
            description)
        ->type_name("TIME");
}

std::optional<std::string> needs_version_5(const Version5Options& options) {
    for (const CLI::Option* option : options) {
        if (option->count() == 0) continue;
        return fmt::format("{} exists only in MQTT 5; drop it, or use --mqtt-version 5",
                           option->get_name());
    }
    return std::nullopt;
}

// --- message properties ------------------------------------------------------------------------

void add_message_options(CLI::App& app, MessageFlags& flags, const std::string& prefix,
                         const std::string& group) {
    const auto keep = [&](CLI::Option* option) {
        option->group(group);
        flags.version5.push_back(option);
    };
    keep(app.add_option("--" + prefix + "content-type", flags.content_type,
                        "content type, for example application/json"));
    keep(app.add_option("--" + prefix + "response-topic", flags.response_topic,
                        "topic on which an answer is expected"));
    keep(app.add_option("--" + prefix + "correlation-data", flags.correlation_data,
                        "what the answer has to repeat: text, or 0x and hexadecimal digits"));
    keep(add_seconds_or_never(app, "--" + prefix + "message-expiry", flags.message_expiry_s,
                              "the message is worthless after this time"));
    keep(app.add_flag("--" + prefix + "payload-utf8", flags.payload_is_utf8,
                      "say that the payload is UTF-8 text"));
    keep(app.add_option("--" + prefix + "user-property", flags.user_properties,
                        "user property NAME=VALUE; may be given more than once")
             ->allow_extra_args(false));
}

Result<Bytes, std::string> make_user_properties(const std::vector<std::string>& pairs,
                                                const std::string& option) {
    Bytes block;
    for (const std::string& pair : pairs) {
        const std::size_t equals = pair.find('=');
        if (equals == std::string::npos) {
            return std::unexpected(
                fmt::format("{}: {} has no equals sign; write NAME=VALUE", option, pair));
        }
        const std::string_view text{pair};
        if (!mqtt::is_valid_utf8(text) ||
            !mqtt::append_user_property(block, text.substr(0, equals), text.substr(equals + 1))) {
            return std::unexpected(fmt::format(
                "{}: the property is not UTF-8 or longer than 65535 bytes; MQTT cannot carry it",
                option));
        }
    }
    return block;
}

Result<client::MessageProperties, std::string> make_properties(const MessageFlags& flags,
                                                               const std::string& prefix) {
    client::MessageProperties properties;
    if (flags.payload_is_utf8) properties.payload_is_utf8 = true;
    properties.message_expiry_interval_s = flags.message_expiry_s;
    if (properties.message_expiry_interval_s == 0xFFFF'FFFF) {
        properties.message_expiry_interval_s.reset();  // never: said by saying nothing
    }
    properties.topic_alias = flags.topic_alias;
    properties.content_type = flags.content_type;
    properties.response_topic = flags.response_topic;
    if (flags.response_topic && !mqtt::is_valid_topic_name(*flags.response_topic)) {
        return std::unexpected(
            fmt::format("--{}response-topic: {} is not a topic name; it must have no + or #",
                        prefix, *flags.response_topic));
    }
    if (flags.correlation_data) {
        auto data = parse_binary(*flags.correlation_data, "--" + prefix + "correlation-data");
        if (!data) return std::unexpected(data.error());
        properties.correlation_data = std::move(*data);
    }
    auto user = make_user_properties(flags.user_properties, "--" + prefix + "user-property");
    if (!user) return std::unexpected(user.error());
    properties.user_properties = std::move(*user);
    return properties;
}

// --- the connection ----------------------------------------------------------------------------

void add_server_options(CLI::App& app, ConnectionFlags& flags) {
    const std::string group = "Server";
    auto* url = app.add_option("--url", flags.url,
                               "mqtt://[user[:password]@]host[:port], instead of --host and --port")
                    ->group(group)
                    ->envname("MITU_URL");
    app.add_option("-H,--host", flags.host, "name or address (127.0.0.1)")
        ->group(group)
        ->excludes(url);
    app.add_option("-p,--port", flags.port, "TCP port (1883)")
        ->group(group)
        ->check(CLI::Range(1, 65'535))
        ->excludes(url);
    app.add_option("-V,--mqtt-version", flags.version, "5 or 3.1.1 (5)")
        ->group(group)
        ->transform(CLI::CheckedTransformer(version_names(), CLI::ignore_case).description(""))
        ->type_name("VERSION");
    app.add_option("-k,--keep-alive", flags.keep_alive_s,
                   "seconds of silence after which a ping is due; 0: none (60)")
        ->group(group);
    add_duration_option(app, "--connect-timeout", flags.connect_timeout,
                        "how long the server may take to answer (10s)")
        ->group(group);
    app.add_option("--inflight", flags.inflight_count_max,
                   "QoS 1 and 2 messages that may wait for their acknowledgement at once (64)")
        ->group(group)
        ->check(CLI::Range(1, 65'535));
}

void add_connection_options(CLI::App& app, ConnectionFlags& flags) {
    add_server_options(app, flags);
    const auto keep = [&](CLI::Option* option) { flags.version5.push_back(option); };

    const std::string login = "Login";
    app.add_option("-i,--client-id", flags.client_id, "client id (the server chooses one)")
        ->group(login);
    app.add_option("-u,--username", flags.user_name, "user name")->group(login);
    app.add_option("-P,--password", flags.password, "password; better: the variable MITU_PASSWORD")
        ->group(login)
        ->envname("MITU_PASSWORD");

    const std::string session = "Session";
    app.add_flag(
           "-c,--keep-session", flags.keep_session,
           "resume the session of this client id, and leave it behind when the connection ends")
        ->group(session);
    auto* expiry = add_seconds_or_never(app, "-x,--session-expiry", flags.session_expiry_s,
                                        "how long the server keeps the session after the "
                                        "connection ends: a time or never (0; 1h with "
                                        "--keep-session)");
    expiry->group(session);
    keep(expiry);
    keep(app.add_option("--receive-maximum", flags.receive_maximum,
                        "QoS 1 and 2 messages that the server may have under way to us (65535)")
             ->group(session)
             ->check(CLI::Range(1, 65'535)));
    keep(app.add_option("--packet-size-max", flags.maximum_packet_size,
                        "largest packet that we take, in bytes (no limit)")
             ->group(session)
             ->check(CLI::Range(1U, 0xFFFF'FFFFU)));
    keep(app.add_option("--topic-alias-max", flags.topic_alias_maximum,
                        "topic aliases that the server may use towards us (16)")
             ->group(session));
    keep(app.add_flag("--request-response-information", flags.request_response_information,
                      "ask the server for its response information")
             ->group(session));
    keep(app.add_flag("--no-problem-information", flags.no_problem_information,
                      "ask the server for no reason strings")
             ->group(session));
    keep(app.add_option("--connect-user-property", flags.user_properties,
                        "user property NAME=VALUE of CONNECT; may be given more than once")
             ->group(session)
             ->allow_extra_args(false));

    const std::string will = "Will";
    auto* topic = app.add_option("--will-topic", flags.will_topic,
                                 "what the server publishes when this client is lost: topic")
                      ->group(will);
    app.add_option("--will-payload", flags.will_payload, "payload (empty)")
        ->group(will)
        ->needs(topic);
    app.add_option("--will-qos", flags.will_qos, "QoS (0)")
        ->group(will)
        ->check(CLI::Range(0, 2))
        ->needs(topic);
    app.add_flag("--will-retain", flags.will_retain, "retained")->group(will)->needs(topic);
    keep(app.add_option("--will-delay", flags.will_delay_s, "seconds to wait before it (0)")
             ->group(will)
             ->needs(topic));
    add_message_options(app, flags.will, "will-", will);
}

Result<Connection, std::string> make_connection(const ConnectionFlags& flags) {
    Connection connection;
    connection.connect_timeout = flags.connect_timeout;
    client::ConnectOptions& options = connection.options;
    options.version = flags.version;
    options.client_id = flags.client_id;
    options.user_name = flags.user_name;
    if (flags.password) options.password = to_bytes(as_bytes(*flags.password));
    connection.endpoint.port = port_default;
    if (!flags.url.empty()) {
        const auto url = parse_url(flags.url);
        if (!url) return std::unexpected(fmt::format("--url {}: {}", flags.url, url.error()));
        if (url->scheme != "mqtt" && url->scheme != "tcp") {
            return std::unexpected(fmt::format("--url {}: {} is not spoken here; use mqtt://",
                                               flags.url, url->scheme));
        }
        connection.endpoint.host = url->host;
        connection.endpoint.port = url->port.value_or(port_default);
        if (!options.user_name) options.user_name = url->user;
        if (!options.password && url->password) {
            options.password = to_bytes(as_bytes(*url->password));
        }
    }
    if (flags.host) connection.endpoint.host = *flags.host;
    if (flags.port) connection.endpoint.port = *flags.port;

    const bool is_v5 = flags.version == mqtt::ProtocolVersion::v5;
    if (!is_v5) {
        for (const Version5Options* list : {&flags.version5, &flags.will.version5}) {
            if (const auto text = needs_version_5(*list)) return std::unexpected(*text);
        }
        if (options.password && !options.user_name) {
            return std::unexpected("--password needs --username in MQTT 3.1.1 [MQTT-3.1.2-22]");
        }
    }
    if (flags.keep_session && flags.client_id.empty()) {
        return std::unexpected(
            "--keep-session needs --client-id: a session is found by its client id");
    }
    options.clean_start = !flags.keep_session;
    options.keep_alive_s = flags.keep_alive_s;
    options.session_expiry_interval_s =
        flags.session_expiry_s.value_or(flags.keep_session && is_v5 ? session_expiry_default_s : 0);
    options.receive_maximum = flags.receive_maximum.value_or(65'535);
    options.maximum_packet_size = flags.maximum_packet_size.value_or(0);
    options.topic_alias_maximum = is_v5 ? flags.topic_alias_maximum : std::uint16_t{0};
    options.request_response_information = flags.request_response_information;
    options.request_problem_information = !flags.no_problem_information;
    options.inflight_count_max = flags.inflight_count_max;
    options.response_timeout = flags.connect_timeout;
    auto user = make_user_properties(flags.user_properties, "--connect-user-property");
    if (!user) return std::unexpected(user.error());
    options.user_properties = std::move(*user);

    if (!flags.will_topic.empty()) {
        if (!mqtt::is_valid_topic_name(flags.will_topic)) {
            return std::unexpected(fmt::format(
                "--will-topic: {} is not a topic name; it must have no + or #", flags.will_topic));
        }
        auto will = std::make_shared<client::WillOptions>();
        will->topic = flags.will_topic;
        will->payload = to_bytes(as_bytes(flags.will_payload));
        will->qos = static_cast<mqtt::QoS>(flags.will_qos);
        will->retain = flags.will_retain;
        will->delay_interval_s = flags.will_delay_s;
        auto properties = make_properties(flags.will, "will-");
        if (!properties) return std::unexpected(properties.error());
        will->properties = std::move(*properties);
        options.will = std::move(will);
    }
    return connection;
}

}  // namespace mitu::cli
