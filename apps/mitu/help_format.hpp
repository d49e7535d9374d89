#pragma once
// How `--help` looks.

#include <memory>

namespace CLI {  // NOLINT(readability-identifier-naming): the name is CLI11's
class FormatterBase;
}

namespace mitu::cli {

/// One column of options, one of words, wrapped at 100 characters; no ranges and exclusions between
/// them, which an error names when they matter.
[[nodiscard]] std::shared_ptr<CLI::FormatterBase> make_help_formatter();

}  // namespace mitu::cli
