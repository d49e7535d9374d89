#include "mitu/broker/profile.hpp"

#include <array>
#include <cstdint>
#include <cstring>

#include "mitu/broker/sys_topic.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::broker {
namespace {

/// A filter with its variables filled in, on the stack.
class Expanded {
public:
    enum class Fit : std::uint8_t {
        whole,    // text() is the filter
        missing,  // it names a value that this client does not have: it is not about this client
        none,     // a value would change the shape of the filter, or the whole is too long
    };

    Expanded(std::string_view pattern, const AccessVariables& values) {
        fit_ = fill(pattern, values);
    }
    [[nodiscard]] Fit fit() const noexcept { return fit_; }
    [[nodiscard]] std::string_view text() const noexcept { return {buffer_.data(), size_}; }

    /// Fit::none: everything below the levels in front of what does not fit.
    [[nodiscard]] std::string_view widened() noexcept {
        while (size_ != 0 && buffer_[size_ - 1] != '/') --size_;
        buffer_[size_++] = '#';
        return text();
    }

private:
    Fit fill(std::string_view pattern, const AccessVariables& values) noexcept {
        for (;;) {
            const std::size_t dollar = pattern.find("${");
            if (!append(pattern.substr(0, dollar))) return Fit::none;
            if (dollar == std::string_view::npos) return Fit::whole;
            pattern.remove_prefix(dollar);
            const std::size_t end = pattern.find('}');
            if (end == std::string_view::npos) return Fit::none;
            const std::string_view name = pattern.substr(2, end - 2);
            const std::string_view value = name == "device" || name == "client_id" ? values.device
                                           : name == "tenant"                      ? values.tenant
                                           : name == "class" ? values.device_class
                                           : name == "user"  ? values.user
                                                             : std::string_view{};
            if (value.empty()) return Fit::missing;
            if (value.find_first_of("+#/") != std::string_view::npos) return Fit::none;
            if (!append(value)) return Fit::none;
            pattern.remove_prefix(end + 1);
        }
    }
    bool append(std::string_view part) noexcept {
        if (part.size() > filter_bytes_max - size_) return false;
        if (!part.empty()) std::memcpy(buffer_.data() + size_, part.data(), part.size());
        size_ += part.size();
        return true;
    }

    static constexpr std::size_t filter_bytes_max = 1'024;
    std::array<char, filter_bytes_max + 1> buffer_;  // and the `#` of widened()
    std::size_t size_ = 0;
    Fit fit_ = Fit::none;
};

/// Whether `decide(filter)` holds for one of the patterns. A denial that a client's name does not
/// fit into is widened, so that nobody gets around it by choice of a name; a permission is void.
enum class Rule : std::uint8_t { permission, denial };
template <class Decide>
bool any(const std::vector<std::string>& patterns, Rule rule, const AccessVariables& values,
         Decide decide) {
    for (const std::string& pattern : patterns) {
        Expanded expanded{pattern, values};
        if (expanded.fit() == Expanded::Fit::missing) continue;
        if (expanded.fit() == Expanded::Fit::none && rule == Rule::permission) continue;
        const std::string_view filter =
            expanded.fit() == Expanded::Fit::none ? expanded.widened() : expanded.text();
        if (filter == "#") return true;  // every topic, those that begin with `$` too
        if (decide(filter)) return true;
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
    if (is_sys_topic(topic)) [[unlikely]]
        return false;
    if (allows_everything_) return true;
    const auto is_match = [&](std::string_view filter) { return mqtt::matches(filter, topic); };
    return !any(deny_, Rule::denial, values, is_match) &&
           any(allow_, Rule::permission, values, is_match);
}

bool AccessList::may_subscribe(std::string_view filter, const AccessVariables& values) const {
    if (allows_everything_) return true;
    return !any(deny_, Rule::denial, values, [&](std::string_view denied) {
        return mqtt::intersects(denied, filter);
    }) && any(allow_, Rule::permission, values, [&](std::string_view allowed) {
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
