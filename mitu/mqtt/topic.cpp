#include "mitu/mqtt/topic.hpp"

#include <algorithm>

#include "mitu/mqtt/text.hpp"

namespace mitu::mqtt {
namespace {

constexpr std::size_t topic_bytes_max = 65'535;
constexpr std::string_view shared_prefix = "$share/";

constexpr bool is_wildcard(char c) noexcept { return c == '+' || c == '#'; }

/// A filter without its `$share/NAME/`.
bool is_valid_plain_filter(std::string_view filter) noexcept {
    if (filter.empty()) return false;
    const TextScan scan = scan_text(filter);
    if (scan.valid_bytes != filter.size()) return false;
    for (std::size_t i = scan.wildcard_at; i < filter.size(); ++i) {
        if (!is_wildcard(filter[i])) continue;
        if (i > 0 && filter[i - 1] != '/') return false;  // [MQTT-4.7.1-1], [MQTT-4.7.1-2]
        const bool last = i + 1 == filter.size();
        if (filter[i] == '#' && !last) return false;                          // [MQTT-4.7.1-1]
        if (filter[i] == '+' && !last && filter[i + 1] != '/') return false;  // [MQTT-4.7.1-2]
    }
    return true;
}

/// Walks a filter as levels that are required one by one, then perhaps an open end: levels beyond
/// which anything may follow. Two filters need care, because no topic is empty [MQTT-4.7.3-1]: "#"
/// is "+" with an open end, and "/#" (whose parent would be the empty topic) is "/+" with one.
class FilterWalk {
public:
    explicit FilterWalk(std::string_view filter) noexcept
        : levels_{filter}, needs_one_more_{filter == "#" || filter == "/#"} {}

    /// nullopt: no more levels are required; ask is_open().
    std::optional<std::string_view> next() noexcept {
        if (open_) return std::nullopt;
        const std::optional<std::string_view> level = levels_.next();
        if (!level || *level != "#") return level;
        open_ = true;
        if (!needs_one_more_) return std::nullopt;
        return "+";
    }
    [[nodiscard]] bool is_open() const noexcept { return open_; }

private:
    TopicLevels levels_;
    bool needs_one_more_;
    bool open_ = false;
};

bool starts_with_dollar(std::string_view text) noexcept { return text.starts_with('$'); }

}  // namespace

bool is_valid_topic_name(std::string_view topic) noexcept {
    if (topic.empty() || topic.size() > topic_bytes_max) return false;
    const TextScan scan = scan_text(topic);
    return scan.valid_bytes == topic.size() && scan.wildcard_at == std::string_view::npos;
}

bool is_valid_topic_filter(std::string_view filter) noexcept {
    if (filter.size() > topic_bytes_max) return false;
    if (!filter.starts_with(shared_prefix)) return is_valid_plain_filter(filter);
    const std::optional<SharedFilter> shared = parse_shared(filter);
    if (!shared) return false;  // [MQTT-4.8.2-1], [MQTT-4.8.2-2]
    const TextScan group = scan_text(shared->group);
    return group.valid_bytes == shared->group.size() &&
           group.wildcard_at == std::string_view::npos && is_valid_plain_filter(shared->filter);
}

std::optional<SharedFilter> parse_shared(std::string_view filter) noexcept {
    if (!filter.starts_with(shared_prefix)) return std::nullopt;
    const std::string_view rest = filter.substr(shared_prefix.size());
    const std::size_t slash = rest.find('/');
    if (slash == 0 || slash == std::string_view::npos || slash + 1 == rest.size()) {
        return std::nullopt;
    }
    return SharedFilter{rest.substr(0, slash), rest.substr(slash + 1)};
}

bool has_wildcard(std::string_view filter) noexcept {
    return std::any_of(filter.begin(), filter.end(), is_wildcard);
}

bool matches(std::string_view filter, std::string_view topic) noexcept {
    if (starts_with_dollar(topic) && !filter.empty() && is_wildcard(filter[0])) {
        return false;  // [MQTT-4.7.2-1]
    }
    const std::size_t filter_size = filter.size();
    const std::size_t topic_size = topic.size();
    std::size_t f = 0;
    std::size_t t = 0;
    // Each turn compares one level; both cursors stand at the start of theirs.
    for (;;) {
        if (f < filter_size && filter[f] == '#') return true;
        if (f < filter_size && filter[f] == '+') {
            ++f;
            while (t < topic_size && topic[t] != '/') ++t;
        } else {
            while (f < filter_size && t < topic_size && filter[f] == topic[t] && filter[f] != '/') {
                ++f;
                ++t;
            }
        }
        const bool filter_ends = f == filter_size;
        const bool topic_ends = t == topic_size;
        if (topic_ends) {
            // "sport/#" matches its parent "sport" too (section 4.7.1.2).
            return filter_ends || filter.substr(f) == "/#";
        }
        if (filter_ends || filter[f] != '/' || topic[t] != '/') return false;
        ++f;
        ++t;
    }
}

bool covers(std::string_view wide, std::string_view narrow) noexcept {
    FilterWalk wide_walk{wide};
    FilterWalk narrow_walk{narrow};
    for (bool first = true;; first = false) {
        const std::optional<std::string_view> wide_level = wide_walk.next();
        if (!wide_level && wide_walk.is_open()) {
            return true;
        }
        const std::optional<std::string_view> narrow_level = narrow_walk.next();
        if (!wide_level) return !narrow_level && !narrow_walk.is_open();
        if (!narrow_level) return false;  // narrow matches topics with fewer levels
        if (*wide_level == "+") {
            if (first && starts_with_dollar(*narrow_level)) return false;  // [MQTT-4.7.2-1]
        } else if (*wide_level != *narrow_level) {
            return false;
        }
    }
}

bool intersects(std::string_view a, std::string_view b) noexcept {
    FilterWalk a_walk{a};
    FilterWalk b_walk{b};
    for (bool first = true;; first = false) {
        const std::optional<std::string_view> a_level = a_walk.next();
        const std::optional<std::string_view> b_level = b_walk.next();
        if (!a_level && !b_level) return true;
        if (!a_level) return a_walk.is_open();
        if (!b_level) return b_walk.is_open();
        const bool a_any = *a_level == "+";
        const bool b_any = *b_level == "+";
        if (first &&
            ((a_any && starts_with_dollar(*b_level)) || (b_any && starts_with_dollar(*a_level)))) {
            return false;  // [MQTT-4.7.2-1]
        }
        if (!a_any && !b_any && *a_level != *b_level) return false;
    }
}

}  // namespace mitu::mqtt
