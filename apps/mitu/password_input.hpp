#pragma once
// Passwords from a terminal or from stdin, and randomness for salts.

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

namespace mitu::cli {

/// The first line of stdin, after `prompt` if stdin is a terminal, where it then does not show.
/// Empty: there is none.
[[nodiscard]] std::string read_password(const char* prompt = "Password: ");

/// Asks twice, where stdin is a terminal. nullopt: the two differ.
[[nodiscard]] std::optional<std::string> read_new_password();

template <std::size_t Size>
[[nodiscard]] std::array<std::uint8_t, Size> random_bytes() {
    std::array<std::uint8_t, Size> bytes{};
    static_assert(Size <= 256, "getrandom() gives that much at once");
    while (::getrandom(bytes.data(), Size, 0) != static_cast<ssize_t>(Size)) {
        if (errno != EINTR) std::abort();  // a secret that is none must not be handed out
    }
    return bytes;
}

}  // namespace mitu::cli
