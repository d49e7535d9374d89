#pragma once
// Internal: the `registry` block of a scenario: CSV with passwords to CSV with credentials.

#include <map>
#include <string>
#include <string_view>

#include "sim/scenario/words.hpp"

namespace mitu::sim::scenario {

struct Login {
    std::string user_name;  // device@tenant
    std::string password;
};

struct Registry {
    std::string csv;  // as the server reads it, line by line where the block has it
    std::map<std::string, Login, std::less<>> logins;  // by device
};

/// `block`: a header with `device`, `tenant` and `password`, then one device a line. Passwords are
/// hashed as cheaply as argon2id goes.
/// `line`   where the block begins; the CSV begins there too, so that the server's complaints name
///          the scenario's lines.
/// Errors   into `problems`.
[[nodiscard]] Registry read_registry(const std::string& file, std::uint32_t line,
                                     std::string_view block, Problems& problems);

}  // namespace mitu::sim::scenario
