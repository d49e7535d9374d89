#pragma once
// Which topics a device may publish to and subscribe to: filters with variables, deny wins.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/result.hpp"

namespace mitu::fleet {

/// Who asks. Lifetime  borrows.
struct Subject {
    std::string_view device;      // ${device}; of an anonymous client: its client id
    std::string_view tenant;      // ${tenant}
    std::string_view class_name;  // ${class}
};

/// A topic filter that may hold ${device}, ${tenant}, ${class} within its levels. The variables are
/// filled in while matching, so that a device needs no copy of its policy's filters.
/// Shape      a lone "#" means every topic, those that begin with `$` too; otherwise a leading
///            wildcard does not match them, as in MQTT 5.0 section 4.7.2.
///            A subject whose name holds '/', '+', '#' or NUL matches no filter that names it.
/// Threading  immutable.
class AccessFilter {
public:
    enum class ParseError : std::uint8_t {
        empty,
        too_long,          // more than 1,024 bytes
        bad_wildcard,      // + or # beside other characters, or # before the end
        bad_character,     // a control character
        unknown_variable,  // ${something else}
        open_variable,     // ${ without }
        shared,            // $share/...: access is about the filter inside it
    };
    [[nodiscard]] static Result<AccessFilter, ParseError> parse(std::string_view text);

    [[nodiscard]] std::string_view text() const noexcept { return text_; }
    /// Whether `topic` is matched. Cost: no allocation; linear in the topic.
    [[nodiscard]] bool matches(const Subject& subject, std::string_view topic) const noexcept;
    /// Whether every topic of the subscription `filter` is matched.
    [[nodiscard]] bool covers(const Subject& subject, std::string_view filter) const noexcept;
    /// Whether some topic of the subscription `filter` is matched.
    [[nodiscard]] bool intersects(const Subject& subject, std::string_view filter) const noexcept;

private:
    std::string text_;
};

struct AccessList {
    std::vector<AccessFilter> allow;
    std::vector<AccessFilter> deny;
};

/// Threading  immutable.
struct Access {
    AccessList publish;
    AccessList subscribe;

    /// Some allow filter matches and no deny filter does.
    [[nodiscard]] bool may_publish(const Subject& subject, std::string_view topic) const noexcept;
    /// Some allow filter covers the whole `filter` (without its $share/NAME/) and no deny filter
    /// meets it anywhere: a wildcard cannot reach around a deny.
    [[nodiscard]] bool may_subscribe(const Subject& subject,
                                     std::string_view filter) const noexcept;
};

}  // namespace mitu::fleet
