#pragma once
// Topic names and topic filters: validity, levels, matching. MQTT 5.0 section 4.7, 4.8.2.

#include <cstdint>
#include <optional>
#include <string_view>

namespace mitu::mqtt {

/// UTF-8 as MQTT 5.0 section 1.5.4 demands: well-formed, no surrogates, no U+0000.
[[nodiscard]] bool is_valid_utf8(std::string_view text) noexcept;

/// At least one character, no wildcard, no U+0000, at most 65'535 bytes [MQTT-4.7.3-1..3].
[[nodiscard]] bool is_valid_topic_name(std::string_view topic) noexcept;
/// Wildcards only as whole levels, `#` only last; `$share/NAME/FILTER` well formed
/// [MQTT-4.7.1-1, 4.7.1-2, 4.8.2-1, 4.8.2-2].
[[nodiscard]] bool is_valid_topic_filter(std::string_view filter) noexcept;

/// The parts of `$share/NAME/FILTER`; nullopt: not a shared subscription.
struct SharedFilter {
    std::string_view group;
    std::string_view filter;
};
[[nodiscard]] std::optional<SharedFilter> parse_shared(std::string_view filter) noexcept;

[[nodiscard]] bool has_wildcard(std::string_view filter) noexcept;

/// Walks the levels of a name or filter: "a//b" is "a", "", "b".
class TopicLevels {
public:
    explicit constexpr TopicLevels(std::string_view topic) noexcept : rest_{topic} {}
    constexpr std::optional<std::string_view> next() noexcept {
        if (done_) return std::nullopt;
        const std::size_t slash = rest_.find('/');
        if (slash == std::string_view::npos) {
            done_ = true;
            return rest_;
        }
        const std::string_view level = rest_.substr(0, slash);
        rest_.remove_prefix(slash + 1);
        return level;
    }

private:
    std::string_view rest_;
    bool done_ = false;
};

/// Whether `filter` (not a shared one) matches `topic`; `$` topics do not match a leading wildcard
/// [MQTT-4.7.2-1].
[[nodiscard]] bool matches(std::string_view filter, std::string_view topic) noexcept;
/// Whether every topic that `narrow` matches is matched by `wide` too.
[[nodiscard]] bool covers(std::string_view wide, std::string_view narrow) noexcept;
/// Whether some topic is matched by both.
[[nodiscard]] bool intersects(std::string_view a, std::string_view b) noexcept;

}  // namespace mitu::mqtt
