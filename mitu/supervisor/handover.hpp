#pragma once
// Handover: what a supervisor leaves to the program that it becomes in an upgrade.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mitu::supervisor {

/// The variable that carries it from one program to the next of the same process.
inline constexpr const char* handover_variable = "MITUD_HANDOVER";

/// Descriptors and children outlive exec(2); what is lost is which of them is what.
struct Handover {
    int worker_pid = 0;
    int channel = -1;
    std::string status{};                                // what the worker last said
    std::string log{};                                   // as Word::log
    std::vector<std::pair<std::string, int>> sockets{};  // name, descriptor; names repeat

    /// Shape  lines of text, for an environment variable.
    [[nodiscard]] std::string to_text() const;
    /// nullopt: it is none.
    [[nodiscard]] static std::optional<Handover> parse(std::string_view text);
    friend bool operator==(const Handover&, const Handover&) = default;
};

}  // namespace mitu::supervisor
