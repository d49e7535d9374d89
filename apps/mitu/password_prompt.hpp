#pragma once
// A password from a person or a pipe.

#include <string>

namespace mitu::cli {

/// The first line of stdin; on a terminal it is asked for, and does not show. Empty: there is none.
[[nodiscard]] std::string read_password(const char* prompt = "Password: ");

}  // namespace mitu::cli
