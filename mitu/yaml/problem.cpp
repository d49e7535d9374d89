#include "mitu/yaml/problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace mitu::yaml {
namespace {

constexpr std::size_t word_bytes_max = 32;

/// Levenshtein's distance; a swap of neighbours counts as one.
std::size_t distance(std::string_view a, std::string_view b) noexcept {
    using Row = std::array<std::size_t, word_bytes_max + 1>;
    Row before_last{};
    Row last{};
    Row row{};
    for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            row[j] = std::min(
                {last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u)});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], before_last[j - 2] + 1);
            }
        }
        before_last = last;
        last = row;
    }
    return last[b.size()];
}

}  // namespace

std::string to_text(const Problem& problem) {
    if (problem.line == 0) return fmt::format("{}: {}", problem.file, problem.text);
    return fmt::format("{}:{}: {}", problem.file, problem.line, problem.text);
}

std::string to_text(std::span<const Problem> problems) {
    std::string text;
    for (const Problem& problem : problems) {
        text += to_text(problem);
        text += '\n';
    }
    return text;
}

std::string_view did_you_mean(std::string_view word,
                              std::span<const std::string_view> candidates) noexcept {
    if (word.size() > word_bytes_max) return {};
    std::string_view best;
    // A third of the letters may be wrong; beyond that a guess misleads.
    std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const std::string_view candidate : candidates) {
        if (candidate.size() > word_bytes_max) continue;
        const std::size_t d = distance(word, candidate);
        if (d < best_distance) {
            best_distance = d;
            best = candidate;
        }
    }
    return best;
}

}  // namespace mitu::yaml
