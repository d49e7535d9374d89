#pragma once
// Which topics a policy allows: filters with variables, checked here, enforced by the broker
// (mitu/broker/profile.hpp).

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mitu::fleet {

/// What may stand in a filter as ${device}, ${tenant}, ${class}.
inline constexpr std::array<std::string_view, 3> access_variables{"device", "tenant", "class"};
inline constexpr std::uint32_t access_filter_bytes_max = 1'024;

/// Filters that check_access_filter() has passed. Deny wins; what no filter allows is denied.
/// A lone "#" means every topic, those that begin with `$` too.
struct AccessRules {
    std::vector<std::string> allow;
    std::vector<std::string> deny;
};

struct Access {
    AccessRules publish;
    AccessRules subscribe;
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

/// Whether `filter` may stand in a policy. nullopt: yes.
/// Source  MQTT 5.0 section 4.7.1, with variables anywhere within a level.
[[nodiscard]] std::optional<FilterError> check_access_filter(std::string_view filter) noexcept;

/// What to do about it: `use + and # as whole levels, # last`.
[[nodiscard]] std::string_view remedy(FilterError error) noexcept;

}  // namespace mitu::fleet
