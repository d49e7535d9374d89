#include "sim/selection.hpp"

#include <fmt/format.h>

#include <charconv>
#include <iterator>

namespace mitu::sim {
namespace {

// Longer lists than this are a mistake of the writer.
constexpr std::uint32_t index_max = 100'000;

/// Takes a number off the front.
std::optional<std::uint32_t> take_number(std::string_view& text) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || number > index_max) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return number;
}

bool take(std::string_view& text, char c) {
    if (!text.starts_with(c)) return false;
    text.remove_prefix(1);
    return true;
}

}  // namespace

Selection select_all(const Plan& plan) {
    Selection selection;
    for (std::uint32_t i = 0; i < plan.actors.size(); ++i) {
        auto& actions = selection[i];
        for (std::uint32_t k = 0; k < plan.actors[i].actions.size(); ++k) actions.insert(k);
    }
    return selection;
}

std::string to_text(const Selection& selection) {
    std::string text;
    for (const auto& [actor, actions] : selection) {
        if (!text.empty()) text += ',';
        text += fmt::format("{}", actor);
        char separator = '.';
        for (auto it = actions.begin(); it != actions.end();) {
            std::uint32_t last = *it;
            auto next = std::next(it);
            while (next != actions.end() && *next == last + 1) last = *next++;
            text += fmt::format("{}{}", separator, *it);
            if (last != *it) text += fmt::format("-{}", last);
            separator = '+';
            it = next;
        }
    }
    return text;
}

std::optional<Selection> parse_selection(std::string_view text) {
    Selection selection;
    do {
        const auto actor = take_number(text);
        if (!actor || selection.contains(*actor)) return std::nullopt;
        auto& actions = selection[*actor];
        if (!take(text, '.')) continue;
        do {
            const auto first = take_number(text);
            if (!first) return std::nullopt;
            const auto last = take(text, '-') ? take_number(text) : first;
            if (!last || *last < *first) return std::nullopt;
            for (std::uint32_t i = *first; i <= *last; ++i) actions.insert(i);
        } while (take(text, '+'));
    } while (take(text, ','));
    if (!text.empty()) return std::nullopt;
    return selection;
}

}  // namespace mitu::sim
