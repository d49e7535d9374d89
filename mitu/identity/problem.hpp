#pragma once
// What is wrong in a text that a person wrote. The text's file is the caller's.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mitu::identity {

/// Shape  `text` says what, which value (never a secret) and what to do.
struct LineProblem {
    std::uint32_t line = 0;  // from 1; 0: the whole text
    std::string text;

    bool operator==(const LineProblem&) const = default;
};

/// All that was found, in the order of the lines.
using LineProblems = std::vector<LineProblem>;

/// `users.txt:3: user "ann" is there twice...`, one problem a line.
[[nodiscard]] std::string to_text(std::string_view file, const LineProblems& problems);

}  // namespace mitu::identity
