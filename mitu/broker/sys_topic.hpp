#pragma once
// Which topics are the server's own.

#include <string_view>

namespace mitu::broker {

/// `$SYS` and all below it: the server alone publishes there. What it tells is figures that come
/// again, so they take nothing of a tenant's quotas and are not written down.
[[nodiscard]] constexpr bool is_sys_topic(std::string_view topic) noexcept {
    return topic.starts_with("$SYS") && (topic.size() == 4 || topic[4] == '/');
}

}  // namespace mitu::broker
