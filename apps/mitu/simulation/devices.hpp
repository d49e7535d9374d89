#pragma once
// Who the simulated devices are.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/result.hpp"

namespace mitu::cli {

struct SimulatedDevice {
    std::string id;  // and client id
    std::string class_name;
    std::optional<std::string> user_name;  // device@tenant
    std::optional<std::string> password;
};

/// A credentials file as `mitu device import` writes it: CSV whose header names device, tenant,
/// class and password, in any order. At most `count_max` of them.
/// Errors  a text for people that names the line.
[[nodiscard]] Result<std::vector<SimulatedDevice>, std::string> read_credentials(
    std::string_view text, std::uint32_t count_max);

/// How often a class is drawn, for devices that no file names.
struct ClassShare {
    std::string class_name;
    std::uint32_t weight = 1;
};
/// "sensor:7,gateway:3" or "sensor,gateway". Errors: a text for people.
[[nodiscard]] Result<std::vector<ClassShare>, std::string> parse_class_shares(
    std::string_view text);

/// Ids are prefix0, prefix1, ...; classes are dealt in turn, by weight.
[[nodiscard]] std::vector<SimulatedDevice> anonymous_devices(const std::string& prefix,
                                                             std::uint32_t count,
                                                             const std::vector<ClassShare>& shares);

}  // namespace mitu::cli
