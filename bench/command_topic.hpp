#pragma once
// Each device's own topic, for the scenarios in which messages wait for very many of them.

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace mitu::bench {

struct CommandTopic {
    /// Whose digits are replaced in packets that are ready.
    static constexpr std::string_view any = "fleet/d0000000/command";
    static constexpr std::size_t number_at = 7;
    static constexpr std::size_t digits = 7;

    [[nodiscard]] static std::string of(std::uint32_t device) {
        return fmt::format("fleet/d{:07}/command", device);
    }
    [[nodiscard]] static std::string client_id(std::uint32_t device) {
        return fmt::format("d{:07}", device);
    }
};

}  // namespace mitu::bench
