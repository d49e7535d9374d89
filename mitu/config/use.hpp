#pragma once
// What a key takes, in words and as a check. Inside mitu/config only.

#include <optional>
#include <string>

#include "mitu/config/key.hpp"

namespace mitu::config {

/// "1KiB..16GiB", "debug, info, warn, error or off": what follows "use" in a problem.
[[nodiscard]] std::string use_of(const Key& key);

/// A value as a problem, `show` or `diff` may show it: a secret is ***.
[[nodiscard]] std::string shown(const Key& key, const nlohmann::json& value);

/// Whether `key`, which is neither a section nor a list of them, takes `value`.
[[nodiscard]] bool takes(const Key& key, const nlohmann::json& value);

}  // namespace mitu::config
