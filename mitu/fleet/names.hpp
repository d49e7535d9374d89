#pragma once
// What names of devices, tenants, classes and labels are made of.

#include <string_view>

namespace mitu::fleet {

/// No '/', '+', '#' (they would reach out of a device's topics) and no '@' (it parts id and
/// tenant).
[[nodiscard]] bool is_valid_device_id(std::string_view text) noexcept;
/// A tenant, class or policy.
[[nodiscard]] bool is_valid_name(std::string_view text) noexcept;
[[nodiscard]] bool is_valid_label_key(std::string_view text) noexcept;
[[nodiscard]] bool is_valid_label_value(std::string_view text) noexcept;

inline constexpr std::size_t labels_max = 32;

inline constexpr std::string_view device_id_use = "1..128 of A-Z a-z 0-9 . _ : -";
inline constexpr std::string_view name_use = "1..64 of a-z 0-9 _ -, not beginning with _ or -";
inline constexpr std::string_view label_key_use = "1..63 of A-Z a-z 0-9 . _ / -";
inline constexpr std::string_view label_value_use = "at most 63 of A-Z a-z 0-9 . _ : / -";

}  // namespace mitu::fleet
