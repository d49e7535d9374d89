#pragma once
// One checked YAML document to one Policy or Tenant. Inside mitu/fleet only.

#include <optional>
#include <string>
#include <string_view>

#include "mitu/fleet/policy.hpp"
#include "mitu/fleet/template_schema.hpp"

namespace mitu::fleet {

inline constexpr std::size_t settings_bytes_max = 4'096;
inline constexpr std::size_t settings_depth_max = 5;

/// "30s", "5m", "24h". nullopt: not a duration.
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text) noexcept;

[[nodiscard]] Tenant compile_tenant(const yaml::Document& document, const std::string& file);

/// Checks what a schema cannot say: ranges of durations, filters, labels, settings.
/// Errors  nullopt, with the problems added.
[[nodiscard]] std::optional<Policy> compile_policy(const yaml::Document& document,
                                                   const std::string& file,
                                                   const TemplateSchema& schema,
                                                   Problems& problems);

}  // namespace mitu::fleet
