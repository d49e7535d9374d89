#include "mitu/broker/placement.hpp"

#include "mitu/base/hash.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::broker {
namespace {

constexpr std::uint64_t session_seed = 0x4D697475'00000000;
constexpr std::uint64_t topic_seed = 0x4D697475'00010000;

ShardId reduce(std::uint64_t hash, std::uint16_t shard_count) noexcept {
    return ShardId{static_cast<std::uint16_t>(hash % shard_count)};
}

/// The first home_levels levels of `topic`, or all of it.
std::string_view home_prefix(std::string_view topic) noexcept {
    std::size_t end = 0;
    for (std::uint32_t level = 0; level < home_levels; ++level) {
        end = topic.find('/', end);
        if (end == std::string_view::npos) return topic;
        ++end;
    }
    return topic.substr(0, end - 1);
}

}  // namespace

std::optional<ThingTopic> parse_thing_topic(std::string_view topic) noexcept {
    if (!topic.starts_with(things_prefix)) return std::nullopt;
    topic.remove_prefix(things_prefix.size());
    const std::size_t slash = topic.find('/');
    const std::string_view device = topic.substr(0, slash);
    if (device.empty()) return std::nullopt;
    return ThingTopic{
        device, slash == std::string_view::npos ? std::string_view{} : topic.substr(slash + 1)};
}

ShardId session_home(TenantId tenant, std::string_view client_id,
                     std::uint16_t shard_count) noexcept {
    return reduce(hash_bytes(client_id, session_seed + tenant.value), shard_count);
}

std::uint64_t publisher_key(TenantId tenant, std::string_view client_id) noexcept {
    const std::uint64_t hash = hash_bytes(client_id, session_seed + tenant.value);
    return hash != 0 ? hash : 1;
}

ShardId topic_home(TenantId tenant, std::string_view topic, std::uint16_t shard_count) noexcept {
    if (shard_count == 1) return ShardId{0};
    if (const auto thing = parse_thing_topic(topic)) {
        return session_home(tenant, thing->device, shard_count);
    }
    return reduce(hash_bytes(home_prefix(topic), topic_seed + tenant.value), shard_count);
}

std::optional<ShardId> filter_home(TenantId tenant, std::string_view filter,
                                   std::uint16_t shard_count) noexcept {
    if (shard_count == 1) return ShardId{0};
    const std::string_view prefix = home_prefix(filter);
    if (mqtt::has_wildcard(prefix)) return std::nullopt;
    // A shorter prefix is the whole filter: without wildcards it names one topic.
    std::uint32_t levels = 1;
    for (const char c : prefix) levels += c == '/' ? 1 : 0;
    if (levels < home_levels && prefix.size() != filter.size()) return std::nullopt;
    return topic_home(tenant, prefix, shard_count);
}

}  // namespace mitu::broker
