#pragma once
// What did not go through for one client: how often, and the last few with time and bound.

#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "mitu/admission/refusal_log.hpp"
#include "mitu/broker/counters.hpp"

namespace mitu::broker {

enum class RefusalKind : std::uint8_t {
    message_dropped,  // on its way to the client, or from it (`drop` says why)
    publish_refused,  // by the topic's home, which said 0x97
    subscription_refused,
    slowed_down,  // read later
};
[[nodiscard]] std::string_view to_text(RefusalKind kind) noexcept;

struct RefusalReason {
    RefusalKind kind = RefusalKind::message_dropped;
    DropReason drop = DropReason::queue_full;  // message_dropped only
    bool has_bound = false;                    // the ring's Bound says something
    constexpr bool operator==(const RefusalReason&) const noexcept = default;
};

using Refusals = admission::RefusalRing<RefusalReason>;

/// Only clients to which something was refused have one.
struct Losses {
    std::array<std::uint64_t, drop_reason_count> drops{};
    Refusals last;
};
static_assert(std::is_trivially_destructible_v<Losses>);

}  // namespace mitu::broker
