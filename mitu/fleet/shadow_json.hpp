#pragma once
// The arithmetic of shadow documents: merge, difference, metadata. Inside mitu/fleet only.

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

namespace mitu::fleet {

/// What of `desired` is not in `reported` with the same value; maps are compared key by key, lists
/// and scalars as a whole. null: nothing.
[[nodiscard]] nlohmann::json shadow_delta(const nlohmann::json& desired,
                                          const nlohmann::json& reported);

/// Puts `update` into `state`: maps key by key, all else replaces; null removes a key. `metadata`
/// is kept in step, with `at_s` for all that `update` names.
void shadow_merge(nlohmann::json& state, nlohmann::json& metadata, const nlohmann::json& update,
                  std::uint32_t at_s);

/// The shape of `state` with {"timestamp":at_s} for each scalar.
[[nodiscard]] nlohmann::json shadow_metadata(const nlohmann::json& state, std::uint32_t at_s);

/// The part of `metadata` that is about what `state` names.
[[nodiscard]] nlohmann::json shadow_metadata_of(const nlohmann::json& metadata,
                                                const nlohmann::json& state);

/// Maps and lists within each other; 0: a scalar.
[[nodiscard]] std::size_t json_depth(const nlohmann::json& value);

}  // namespace mitu::fleet
