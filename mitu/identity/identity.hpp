#pragma once
// Identity: who a client has proved to be, and what follows from it.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "mitu/identity/access.hpp"

namespace mitu::identity {

/// Wall-clock time as tokens write it. Units: seconds since the Unix epoch, UTC.
using UnixSeconds = std::int64_t;

/// 2^53: beyond it a JSON number does not hold every second.
inline constexpr double unix_seconds_max = 9'007'199'254'740'992.0;

/// Of a user, tenant, client or class that a certificate, a token or a backend names.
inline constexpr std::size_t identity_name_bytes_max = 1'024;

/// What a method of the chain has found out. An empty field says nothing: the caller goes by what
/// it knows otherwise (the listener's tenant, the policy's access).
struct Identity {
    std::string user;  // of a login, a certificate, a token; empty: anonymous
    std::string tenant;
    std::string client_id;  // the only one that this client may use
    std::string device_class;
    std::shared_ptr<const Access> access;  // null: what the policy says
    /// The session ends then; nullopt: never for this reason.
    std::optional<UnixSeconds> expires_at;
};

}  // namespace mitu::identity
