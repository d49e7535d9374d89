#pragma once
// Which topics a client may use: filters with variables, checked here, enforced by the broker
// (mitu/broker/profile.hpp).

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/result.hpp"

namespace mitu::identity {

/// What may stand in a policy's filter as ${device}, ${tenant}, ${class}.
inline constexpr std::array<std::string_view, 3> access_variables{"device", "tenant", "class"};
/// What may stand in the rules of a login (ACL file, token, backend): these two besides.
inline constexpr std::array<std::string_view, 5> login_variables{"device", "tenant", "class",
                                                                 "client_id", "user"};
inline constexpr std::uint32_t access_filter_bytes_max = 1'024;

/// Filters that check_access_filter() has passed. Deny wins; what no filter allows is denied.
/// A lone "#" means every topic, those that begin with `$` too.
struct AccessRules {
    std::vector<std::string> allow;
    std::vector<std::string> deny;

    bool operator==(const AccessRules&) const = default;
};

struct Access {
    AccessRules publish;
    AccessRules subscribe;

    bool operator==(const Access&) const = default;
};

enum class FilterError : std::uint8_t {
    empty,
    too_long,
    bad_wildcard,      // + or # beside other characters of its level, or # before the end
    bad_character,     // a control character
    unknown_variable,  // ${something else}
    open_variable,     // ${ without }
    shared,            // $share/...: access is about the filter inside it
};

/// Whether `filter` may stand in a rule. nullopt: yes.
/// Source  MQTT 5.0 section 4.7.1, with variables anywhere within a level.
[[nodiscard]] std::optional<FilterError> check_access_filter(
    std::string_view filter,
    std::span<const std::string_view> variables = access_variables) noexcept;

/// What to do about it: `use + and # as whole levels, # last`.
[[nodiscard]] std::string_view remedy(FilterError error) noexcept;

/// How a filter writes the variables of a login.
enum class FilterSyntax : std::uint8_t {
    dollar,             // ${client_id}, ${user}, and EMQX's ${clientid}, ${username}
    percent,            // %c and %u, as in mosquitto's `pattern` lines; ${ is refused
    without_variables,  // as in mosquitto's `topic` lines: % is a character; ${ is refused
};

/// The filter as the broker takes it, with `${client_id}` and `${user}`. mosquitto's lone `#`
/// becomes `+/#`, which like it matches no topic that begins with `$`.
/// Errors  what is wrong, for people, without the filter itself.
[[nodiscard]] Result<std::string, std::string> read_login_filter(std::string_view filter,
                                                                 FilterSyntax syntax);

}  // namespace mitu::identity
