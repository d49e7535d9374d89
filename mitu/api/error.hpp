#pragma once
// What the API says when it says no: a stable number, a sentence, and details for programs.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mitu/base/result.hpp"

namespace mitu::api {

/// The numbers are part of the interface: they are never given another meaning.
enum class Code : std::uint16_t {
    // 10xx: the request cannot be understood
    request_malformed = 1000,
    parameter_invalid = 1001,
    body_not_json = 1002,
    body_invalid = 1003,
    cursor_invalid = 1004,
    topic_invalid = 1005,
    filter_invalid = 1006,
    body_too_large = 1007,
    header_too_large = 1008,
    // 11xx: who asks
    credentials_missing = 1100,
    credentials_wrong = 1101,
    too_many_attempts = 1102,
    role_too_low = 1103,
    node_wide = 1104,       // for those who are not bound to a tenant
    topic_reserved = 1105,  // belongs to the server
    read_only = 1106,       // nobody has set up users: from this machine one may look
    cross_site = 1107,      // a browser sends it on behalf of another site
    // 12xx: there is no such thing
    path_unknown = 1200,
    tenant_unknown = 1201,
    client_unknown = 1202,
    retained_unknown = 1203,
    ban_unknown = 1204,
    user_unknown = 1205,
    api_user_unknown = 1206,
    api_key_unknown = 1207,
    listener_unknown = 1208,
    method_not_allowed = 1209,
    // 13xx: not as things are now
    exists_already = 1300,
    revision_conflict = 1301,
    client_not_connected = 1302,
    last_admin = 1303,
    set_in_file = 1304,   // the configuration file says so, and wins
    cannot_apply = 1305,  // it could be saved, and not be made so
    // 14xx: a limit
    quota_exceeded = 1400,
    too_many_traces = 1401,
    // 15xx: the server
    internal = 1500,
    shard_silent = 1501,
    not_available = 1502,  // this server was not built or configured with it
    overloaded = 1503,
    not_saved = 1504,  // the change is not on disk, and not made
};

/// The HTTP status that goes with a code.
[[nodiscard]] unsigned status_of(Code code) noexcept;
/// "client_unknown": for people who read answers and logs.
[[nodiscard]] std::string_view name_of(Code code) noexcept;

struct Error {
    Code code = Code::internal;
    std::string message;  // what, which value, what to do
    std::vector<std::pair<std::string, std::string>> details{};
};

/// What a backend answers: a value, or why not.
template <class T>
using Answer = Result<T, Error>;

inline std::unexpected<Error> refuse(Code code, std::string message) {
    return std::unexpected(Error{code, std::move(message)});
}

}  // namespace mitu::api
