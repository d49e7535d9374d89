#pragma once
// Placement: which shard owns what. Pure functions of names, the same on every machine.

#include <cstdint>
#include <optional>
#include <string_view>

#include "mitu/base/strong_id.hpp"

namespace mitu::broker {

/// How many leading levels of a topic decide its home (the tenant not counted).
inline constexpr std::uint32_t home_levels = 3;

/// The prefix of the topics that belong to one device. Their home is the shard of that device's
/// session, so that what a device and the server say to each other never crosses shards.
inline constexpr std::string_view things_prefix = "$mitu/things/";

/// The shard that owns the session of (tenant, client id).
[[nodiscard]] ShardId session_home(TenantId tenant, std::string_view client_id,
                                   std::uint16_t shard_count) noexcept;

/// A name for (tenant, client id) that never changes, 64 bits of hash: two clients that share one
/// by chance would not get each other's retained messages under No Local. Never 0.
[[nodiscard]] std::uint64_t publisher_key(TenantId tenant, std::string_view client_id) noexcept;

/// The shard that sees every publish to `topic`: matches it, and keeps what it retains.
[[nodiscard]] ShardId topic_home(TenantId tenant, std::string_view topic,
                                 std::uint16_t shard_count) noexcept;

/// The one shard that needs to know `filter`, because every topic that it matches is at home
/// there: filters without wildcards, and filters with at least home_levels literal levels in
/// front. nullopt: the filter is needed on every shard.
[[nodiscard]] std::optional<ShardId> filter_home(TenantId tenant, std::string_view filter,
                                                 std::uint16_t shard_count) noexcept;

/// The device that a `$mitu/things/{id}/...` topic belongs to; nullopt: another topic.
struct ThingTopic {
    std::string_view device;
    std::string_view rest;  // behind `$mitu/things/{id}/`; may be empty
};
[[nodiscard]] std::optional<ThingTopic> parse_thing_topic(std::string_view topic) noexcept;

}  // namespace mitu::broker
