#include "mitu/identity/problem.hpp"

#include <fmt/format.h>

namespace mitu::identity {

std::string to_text(std::string_view file, const LineProblems& problems) {
    std::string text;
    for (const LineProblem& problem : problems) {
        text += problem.line == 0 ? fmt::format("{}: {}\n", file, problem.text)
                                  : fmt::format("{}:{}: {}\n", file, problem.line, problem.text);
    }
    return text;
}

}  // namespace mitu::identity
