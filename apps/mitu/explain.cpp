#include "apps/mitu/explain.hpp"

#include <fmt/format.h>

namespace mitu::cli {

namespace {

using client::EndCause;
using mqtt::ReasonCode;

std::string_view remedy(ReasonCode reason) noexcept {
    switch (reason) {
        case ReasonCode::bad_user_name_or_password:
            return "; check --username (device@tenant) and --password";
        case ReasonCode::not_authorized:
            return "; the server takes no anonymous clients, or this one may not do this: check "
                   "--username and --password";
        case ReasonCode::client_identifier_not_valid:
            return "; choose another --client-id";
        case ReasonCode::unsupported_protocol_version:
            return "; try another --mqtt-version";
        case ReasonCode::session_taken_over:
            return "; another connection uses this client id: choose another --client-id";
        case ReasonCode::server_busy:
        case ReasonCode::server_unavailable:
        case ReasonCode::quota_exceeded:
        case ReasonCode::connection_rate_exceeded:
            return "; try again later";
        default:
            return "";
    }
}

}  // namespace

std::string explain(ReasonCode reason) {
    return fmt::format("{} (0x{:02X})", mqtt::to_text(reason), static_cast<unsigned>(reason));
}

std::string explain(client::Refusal refusal) {
    switch (refusal) {
        case client::Refusal::packet_too_large:
            return "the packet is larger than the server or MQTT allows";
        case client::Refusal::topic_invalid:
            return "that is not a topic name; it must not be empty, nor have + or #";
        case client::Refusal::filter_invalid:
            return "that is not a topic filter; + and # must be whole levels, # the last one";
        case client::Refusal::qos_not_supported:
            return "the server does not take this QoS";
        case client::Refusal::retain_not_supported:
            return "the server does not retain messages";
        case client::Refusal::topic_alias_invalid:
            return "the topic alias is above the server's maximum";
        case client::Refusal::feature_not_supported:
            return "the server has no wildcards, shared subscriptions or identifiers";
        default:
            return std::string{client::to_text(refusal)};
    }
}

std::string cannot_connect(const Endpoint& endpoint, const std::string& error) {
    return fmt::format(
        "cannot connect to {}: {}; is the server running there? --host and --port, or --url, say "
        "where it is",
        endpoint.text(), error);
}

std::string explain(const client::ConnectionEnded& ended, const Endpoint& endpoint) {
    const std::string detail =
        ended.detail.empty() ? "" : fmt::format(": {}", std::string{ended.detail});
    std::string text;
    switch (ended.cause) {
        case EndCause::refused:
            text = fmt::format("{} refused the connection: {}{}{}", endpoint.text(),
                               explain(ended.reason), detail, remedy(ended.reason));
            break;
        case EndCause::disconnected_by_server:
            text = fmt::format("{} ended the connection: {}{}{}", endpoint.text(),
                               explain(ended.reason), detail, remedy(ended.reason));
            break;
        case EndCause::protocol_error:
            text = fmt::format("{} broke the protocol: {}{}", endpoint.text(),
                               explain(ended.reason), detail);
            break;
        case EndCause::closed_by_peer:
        case EndCause::connack_timeout:
        case EndCause::keep_alive_timeout:
        case EndCause::disconnected_by_client:
            text = fmt::format("lost {}{}", endpoint.text(), detail);
            break;
    }
    if (!ended.server_reference.empty()) {
        text += fmt::format("; it names another server: {}", std::string{ended.server_reference});
    }
    return text;
}

ExitCode exit_code_for(const client::ConnectionEnded& ended) noexcept {
    switch (ended.cause) {
        case EndCause::refused:
        case EndCause::disconnected_by_server:
            return ExitCode::failed;
        default:
            return ExitCode::connection;
    }
}

}  // namespace mitu::cli
