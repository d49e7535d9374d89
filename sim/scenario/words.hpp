#pragma once
// Scenario text to statements of words: quotes, comments, continuation lines, blocks.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/fleet/problem.hpp"

namespace mitu::sim::scenario {

using fleet::Problem;
using fleet::Problems;

/// `name=value`, or a value alone.
struct Word {
    std::string name;  // empty: there was no `=`
    std::string value;
    bool is_quoted = false;  // "value": never a keyword, comment or number

    /// A bare word, unquoted and without a name.
    [[nodiscard]] bool is(std::string_view keyword) const noexcept {
        return name.empty() && !is_quoted && value == keyword;
    }
    /// As it was written, more or less: for messages.
    [[nodiscard]] std::string text() const;
};

/// Shape  words are never empty but in quotes. `;` and `->` are words of their own.
struct Statement {
    std::uint32_t line = 0;  // from 1
    std::vector<Word> words;
    /// Of `policy` and `registry`: the indented lines below, without their common indentation.
    std::string block;
    std::uint32_t block_line = 0;
};

/// One statement a line. An indented line continues the one above, or belongs to its block. `#`
/// begins a comment where a word could begin (the filter `#` is written "#"). In quotes: \" \\ \n
/// \r \t and \xHH.
/// Errors  into `problems`; the lines at fault are left out.
[[nodiscard]] std::vector<Statement> split_statements(const std::string& file,
                                                      std::string_view text, Problems& problems);

/// `text` in quotes, with escapes where they are needed.
[[nodiscard]] std::string quote(std::string_view text);

}  // namespace mitu::sim::scenario
