#pragma once
// How the end of a connection and the answers of a server are told to people.

#include <string>

#include "apps/mitu/commands.hpp"
#include "apps/mitu/system.hpp"
#include "mitu/client/event.hpp"
#include "mitu/client/session.hpp"

namespace mitu::cli {

/// "127.0.0.1:1883 refused the connection: not_authorized (0x87): unknown device; check ..."
[[nodiscard]] std::string explain(const client::ConnectionEnded& ended, const Endpoint& endpoint);
/// What a command ends with when its connection ended so.
[[nodiscard]] ExitCode exit_code_for(const client::ConnectionEnded& ended) noexcept;

/// "not_authorized (0x87)"
[[nodiscard]] std::string explain(mqtt::ReasonCode reason);
[[nodiscard]] std::string explain(client::Refusal refusal);
/// "cannot connect to 127.0.0.1:1883: Connection refused; is the server running there? ..."
[[nodiscard]] std::string cannot_connect(const Endpoint& endpoint, const std::string& error);

}  // namespace mitu::cli
