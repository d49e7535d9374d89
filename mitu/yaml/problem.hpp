#pragma once
// What is wrong in a file that a person wrote: where, which value, what to do.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mitu::yaml {

struct Problem {
    std::string file;
    std::uint32_t line = 0;  // from 1; 0: the whole file
    std::string text;        // `heartbeat.interval is "0s"; use 1s..24h`

    bool operator==(const Problem&) const = default;
};

/// All that was found, in the order of the files and of the lines in them.
using Problems = std::vector<Problem>;

/// `policies/acme.yaml:14: heartbeat.interval is "0s"; use 1s..24h`
[[nodiscard]] std::string to_text(const Problem& problem);
/// One problem a line.
[[nodiscard]] std::string to_text(std::span<const Problem> problems);

/// A file that was read: its name as problems shall show it, and its text.
/// Lifetime  borrows.
struct SourceFile {
    std::string name;
    std::string_view text;
};

/// The candidate that `word` was probably meant to be ("heartbeet" -> "heartbeat").
/// Errors  empty: none is near.
[[nodiscard]] std::string_view did_you_mean(std::string_view word,
                                            std::span<const std::string_view> candidates) noexcept;

}  // namespace mitu::yaml
