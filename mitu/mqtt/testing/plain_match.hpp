#pragma once
// For tests: matching level by level, as MQTT 5.0 section 4.7 tells it, with no thought of speed.

#include <string_view>
#include <vector>

#include "mitu/mqtt/topic.hpp"

namespace mitu::mqtt::testing {

inline bool matches_plainly(std::string_view filter, std::string_view topic) {
    std::vector<std::string_view> wanted;
    std::vector<std::string_view> given;
    TopicLevels filter_walk{filter};
    TopicLevels topic_walk{topic};
    while (const auto level = filter_walk.next()) wanted.push_back(*level);
    while (const auto level = topic_walk.next()) given.push_back(*level);
    if (topic.starts_with('$') && (wanted[0] == "+" || wanted[0] == "#")) return false;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (wanted[i] == "#") return given.size() >= i;
        if (i >= given.size() || (wanted[i] != "+" && wanted[i] != given[i])) return false;
    }
    return wanted.size() == given.size();
}

}  // namespace mitu::mqtt::testing
