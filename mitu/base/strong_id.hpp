#pragma once
// Ids that cannot be mixed up: StrongId<struct ShardTag, uint16_t> and friends.

#include <compare>
#include <cstdint>
#include <functional>

namespace mitu {

template <class Tag, class Value>
struct StrongId {
    Value value{};
    constexpr auto operator<=>(const StrongId&) const noexcept = default;
};

using ShardId = StrongId<struct ShardTag, std::uint16_t>;
/// A tenant's dense number on this node; 0 is the tenant `default`.
using TenantId = StrongId<struct TenantTag, std::uint16_t>;

inline constexpr TenantId tenant_default{0};

}  // namespace mitu

template <class Tag, class Value>
struct std::hash<mitu::StrongId<Tag, Value>> {
    std::size_t operator()(const mitu::StrongId<Tag, Value>& id) const noexcept {
        return static_cast<std::size_t>(id.value) * 0x9E3779B97F4A7C15ULL;
    }
};
