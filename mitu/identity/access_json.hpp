#pragma once
// Access rules as JSON: of a token's claim, of a backend's answer. Inside mitu/identity only.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "mitu/base/result.hpp"
#include "mitu/identity/access.hpp"

namespace mitu::identity {

inline constexpr std::size_t login_rules_max = 512;

/// Reads either of
///   {"publish": [FILTER...], "subscribe": [...], "all": [...]}   (also "pub", "sub": EMQX 4)
///   [{"permission": "allow"|"deny", "action": "publish"|"subscribe"|"all", "topic": FILTER}...]
/// with variables as FilterSyntax::dollar has them. In the second form EMQX takes the first rule
/// that matches; here a denial wins wherever it stands, which is stricter.
/// Errors  what is wrong, for people: another member (a condition that is not understood must not
///         be taken for none), a filter that is none, too many rules.
[[nodiscard]] Result<Access, std::string> read_access(const nlohmann::json& value);

}  // namespace mitu::identity
