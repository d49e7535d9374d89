#pragma once
// Topics and filters drawn at random, from few words, so that they meet often.

#include <cstdint>
#include <string>

#include "mitu/base/random.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::broker::testing {

/// Shape  1..5 levels of "", "a", "b", "c", "longer"; the first may begin with `$`.
[[nodiscard]] inline std::string draw_topic(Prng& prng) {
    static constexpr const char* words[] = {"", "a", "b", "c", "longer", "$a"};
    for (;;) {
        std::string topic;
        const std::uint64_t levels = 1 + prng.below(5);
        for (std::uint64_t i = 0; i < levels; ++i) {
            if (i != 0) topic += '/';
            topic += words[prng.below(i == 0 ? 6 : 5)];
        }
        if (!topic.empty()) return topic;
    }
}

/// The same with wildcards here and there.
[[nodiscard]] inline std::string draw_filter(Prng& prng) {
    const std::string topic = draw_topic(prng);
    std::string filter;
    mqtt::TopicLevels levels{topic};
    bool is_first = true;
    while (const auto level = levels.next()) {
        if (!is_first) filter += '/';
        is_first = false;
        if (prng.chance(0.15)) return filter + '#';
        filter += prng.chance(0.25) ? "+" : std::string{*level};
    }
    return filter;
}

}  // namespace mitu::broker::testing
