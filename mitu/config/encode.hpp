#pragma once
// Sections to JSON, every key with its value. Inside mitu/config only.

#include "mitu/config/config.hpp"
#include "mitu/config/key.hpp"

namespace mitu::config {

/// Sizes are text with a unit where that is exact. Sections that are not set are null.
[[nodiscard]] Json encode(const Shape& shape, const void* section);
/// Of one key.
[[nodiscard]] Json encode_member(const Key& key, const void* section);
[[nodiscard]] Json encode(const Config& config);

/// `value`, with *** for each secret that is set.
[[nodiscard]] Json mask_secrets(const Shape& shape, Json value);
[[nodiscard]] Json mask_secret(const Key& key, Json value);

/// Only what differs from the defaults.
[[nodiscard]] Json encode_changed(const Shape& shape, const void* section);

}  // namespace mitu::config
