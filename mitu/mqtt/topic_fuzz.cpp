// Two filters and a topic, separated by newlines: what must hold between them.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mitu/base/check.hpp"
#include "mitu/mqtt/testing/plain_match.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::mqtt {
namespace {

std::string_view take_line(std::string_view& rest) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    return line;
}

/// The filter that decides what matches; empty: it is not valid.
std::string_view plain_filter(std::string_view filter) {
    if (!is_valid_topic_filter(filter)) return {};
    const auto shared = parse_shared(filter);
    return shared ? shared->filter : filter;
}

void check_pair(std::string_view a, std::string_view b) {
    MITU_CHECK(covers(a, a) && intersects(a, a));
    MITU_CHECK(intersects(a, b) == intersects(b, a));
    if (covers(a, b)) MITU_CHECK(intersects(a, b));
    if (!has_wildcard(b)) {
        MITU_CHECK(covers(a, b) == matches(a, b));
        MITU_CHECK(intersects(a, b) == matches(a, b));
    }
}

void check_topic(std::string_view a, std::string_view b, std::string_view topic) {
    const bool by_a = matches(a, topic);
    const bool by_b = matches(b, topic);
    MITU_CHECK(by_a == testing::matches_plainly(a, topic));
    if (covers(a, b) && by_b) MITU_CHECK(by_a);
    if (by_a && by_b) MITU_CHECK(intersects(a, b));
    MITU_CHECK(covers(a, topic) == by_a);
}

}  // namespace
}  // namespace mitu::mqtt

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mitu::mqtt;
    std::string_view rest{reinterpret_cast<const char*>(data), size};
    const std::string_view a = plain_filter(take_line(rest));
    const std::string_view b = plain_filter(take_line(rest));
    const std::string_view topic = take_line(rest);
    const bool valid_topic = is_valid_topic_name(topic);
    if (valid_topic) {
        MITU_CHECK(is_valid_utf8(topic) && !has_wildcard(topic) && matches(topic, topic));
    }
    if (a.empty() || b.empty()) return 0;
    check_pair(a, b);
    check_pair(b, a);
    if (valid_topic) check_topic(a, b, topic);
    return 0;
}
