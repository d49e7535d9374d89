#include "mitu/broker/profile.hpp"

#include <array>
#include <cstring>
#include <optional>

#include "mitu/mqtt/topic.hpp"

namespace mitu::broker {
namespace {

/// A filter with its variables filled in, on the stack.
class Expanded {
public:
    /// Empty: the pattern has no meaning for these values (a value is missing, would change the
    /// shape of the filter, or the whole is too long), so it matches nothing.
    Expanded(std::string_view pattern, const AccessVariables& values) {
        while (!pattern.empty()) {
            const std::size_t dollar = pattern.find("${");
            if (!append(pattern.substr(0, dollar))) return;
            if (dollar == std::string_view::npos) {
                valid_ = true;
                return;
            }
            pattern.remove_prefix(dollar);
            const std::size_t end = pattern.find('}');
            if (end == std::string_view::npos) return;
            const std::string_view name = pattern.substr(2, end - 2);
            const std::string_view value = name == "device"   ? values.device
                                           : name == "tenant" ? values.tenant
                                           : name == "class"  ? values.device_class
                                                              : std::string_view{};
            if (value.empty() || value.find_first_of("+#/") != std::string_view::npos) return;
            if (!append(value)) return;
            pattern.remove_prefix(end + 1);
        }
        valid_ = true;
    }

    [[nodiscard]] std::optional<std::string_view> text() const noexcept {
        if (!valid_) return std::nullopt;
        return std::string_view{buffer_.data(), size_};
    }

private:
    bool append(std::string_view part) noexcept {
        if (part.size() > buffer_.size() - size_) return false;
        if (!part.empty()) std::memcpy(buffer_.data() + size_, part.data(), part.size());
        size_ += part.size();
        return true;
    }

    std::array<char, 1'024> buffer_;
    std::size_t size_ = 0;
    bool valid_ = false;
};

/// Whether `decide(filter)` holds for one of the patterns.
template <class Decide>
bool any(const std::vector<std::string>& patterns, const AccessVariables& values, Decide decide) {
    for (const std::string& pattern : patterns) {
        if (pattern == "#") return true;  // every topic, those that begin with `$` too
        const Expanded expanded{pattern, values};
        if (const auto filter = expanded.text(); filter && decide(*filter)) return true;
    }
    return false;
}

}  // namespace

AccessList::AccessList(std::vector<std::string> allow, std::vector<std::string> deny)
    : allow_{std::move(allow)}, deny_{std::move(deny)} {
    for (const auto& pattern : allow_) {
        if (pattern == "#" && deny_.empty()) allows_everything_ = true;
    }
}

bool AccessList::may_publish(std::string_view topic, const AccessVariables& values) const {
    if (allows_everything_) return true;
    const auto is_match = [&](std::string_view filter) { return mqtt::matches(filter, topic); };
    return !any(deny_, values, is_match) && any(allow_, values, is_match);
}

bool AccessList::may_subscribe(std::string_view filter, const AccessVariables& values) const {
    if (allows_everything_) return true;
    return !any(deny_, values, [&](std::string_view denied) {
        return mqtt::intersects(denied, filter);
    }) && any(allow_, values, [&](std::string_view allowed) {
        return mqtt::covers(allowed, filter);
    });
}

std::shared_ptr<const Profile> open_profile() {
    auto profile = std::make_shared<Profile>();
    profile->publish = AccessList{{"#"}, {}};
    profile->subscribe = AccessList{{"#"}, {}};
    return profile;
}

}  // namespace mitu::broker
