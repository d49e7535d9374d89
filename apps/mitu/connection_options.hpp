#pragma once
// The options by which pub, sub and fleet simulate connect, and the properties of a message.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/mitu/system.hpp"
#include "mitu/base/result.hpp"
#include "mitu/client/connect_options.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the name is CLI11's
class App;
class Option;
}  // namespace CLI

namespace mitu::cli {

/// Options that only MQTT 5 has; asking for one with 3.1.1 is a mistake worth saying.
using Version5Options = std::vector<const CLI::Option*>;

/// The properties of a message as typed, for `mitu pub` and, with a prefix, for a will.
struct MessageFlags {
    bool payload_is_utf8 = false;
    std::optional<std::uint32_t> message_expiry_s;
    std::optional<std::uint16_t> topic_alias;
    std::optional<std::string> response_topic;
    std::optional<std::string> correlation_data;  // text, or 0x and hexadecimal digits
    std::optional<std::string> content_type;
    std::vector<std::string> user_properties;  // NAME=VALUE

    Version5Options version5;
};

/// `prefix` is "" or "will-".
void add_message_options(CLI::App& app, MessageFlags& flags, const std::string& prefix,
                         const std::string& group);
[[nodiscard]] Result<client::MessageProperties, std::string> make_properties(
    const MessageFlags& flags, const std::string& prefix);

/// Encodes NAME=VALUE pairs. Errors: a text that names `option`.
[[nodiscard]] Result<Bytes, std::string> make_user_properties(const std::vector<std::string>& pairs,
                                                              const std::string& option);

struct ConnectionFlags {
    std::string url;
    std::optional<std::string> host;
    std::optional<std::uint16_t> port;
    mqtt::ProtocolVersion version = mqtt::ProtocolVersion::v5;
    std::string client_id;
    std::optional<std::string> user_name;
    std::optional<std::string> password;
    std::uint16_t keep_alive_s = 60;
    bool keep_session = false;
    std::optional<std::uint32_t> session_expiry_s;
    std::optional<std::uint16_t> receive_maximum;
    std::optional<std::uint32_t> maximum_packet_size;
    std::uint16_t topic_alias_maximum = 16;
    bool request_response_information = false;
    bool no_problem_information = false;
    std::vector<std::string> user_properties;
    std::uint16_t inflight_count_max = 64;
    Duration connect_timeout = Duration::seconds(10);

    std::string will_topic;
    std::string will_payload;
    int will_qos = 0;
    bool will_retain = false;
    std::uint32_t will_delay_s = 0;
    MessageFlags will;

    Version5Options version5;
};

/// What `fleet simulate` shares with pub and sub: where the server is, the version, times.
void add_server_options(CLI::App& app, ConnectionFlags& flags);
/// All of it: identity, session, will.
void add_connection_options(CLI::App& app, ConnectionFlags& flags);

struct Connection {
    Endpoint endpoint;
    client::ConnectOptions options;
    Duration connect_timeout;
};
/// Errors  a text for people: which option, which value, what to do.
[[nodiscard]] Result<Connection, std::string> make_connection(const ConnectionFlags& flags);

/// nullopt: none of `options` was given. Else what to say about the first that was.
[[nodiscard]] std::optional<std::string> needs_version_5(const Version5Options& options);

/// An option whose value is a duration such as 250ms, 30s, 5m.
CLI::Option* add_duration_option(CLI::App& app, const std::string& names, Duration& duration,
                                 const std::string& description);

}  // namespace mitu::cli
