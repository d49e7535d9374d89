#include "apps/mitu/simulation/devices.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "apps/mitu/csv.hpp"

namespace mitu::cli {

Result<std::vector<SimulatedDevice>, std::string> read_credentials(std::string_view text,
                                                                   std::uint32_t count_max) {
    CsvReader reader{text};
    std::vector<std::string> fields;
    if (!reader.next(fields)) {
        return std::unexpected(reader.error().empty() ? "the file is empty" : reader.error());
    }
    const auto column = [&](std::string_view name) {
        return static_cast<std::size_t>(std::find(fields.begin(), fields.end(), name) -
                                        fields.begin());
    };
    const std::size_t columns = fields.size();
    const std::size_t device = column("device");
    const std::size_t tenant = column("tenant");
    const std::size_t class_name = column("class");
    const std::size_t password = column("password");
    if (device == columns || password == columns) {
        return std::unexpected(
            "line 1: the header names no column device or password; `mitu device import` writes "
            "such a file");
    }

    std::vector<SimulatedDevice> devices;
    while (devices.size() < count_max && reader.next(fields)) {
        if (fields.size() != columns) {
            return std::unexpected(fmt::format("line {}: {} fields where the header has {}",
                                               reader.line(), fields.size(), columns));
        }
        SimulatedDevice one;
        one.id = fields[device];
        if (one.id.empty()) {
            return std::unexpected(fmt::format("line {}: device is empty", reader.line()));
        }
        one.user_name = tenant == columns || fields[tenant].empty()
                            ? one.id
                            : fmt::format("{}@{}", one.id, fields[tenant]);
        one.password = fields[password];
        if (class_name != columns) one.class_name = fields[class_name];
        devices.push_back(std::move(one));
    }
    if (!reader.error().empty()) return std::unexpected(reader.error());
    if (devices.empty()) return std::unexpected("the file names no device");
    return devices;
}

Result<std::vector<ClassShare>, std::string> parse_class_shares(std::string_view text) {
    constexpr std::uint32_t weight_max = 1'000;
    std::vector<ClassShare> shares;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        const std::string_view part = text.substr(0, comma);
        text.remove_prefix(std::min(comma + 1, text.size()));
        const std::size_t colon = part.find(':');
        ClassShare share;
        share.class_name = part.substr(0, colon);
        if (colon != std::string_view::npos) {
            const std::string_view number = part.substr(colon + 1);
            const auto [end, error] =
                std::from_chars(number.data(), number.data() + number.size(), share.weight);
            if (error != std::errc{} || end != number.data() + number.size() || share.weight == 0 ||
                share.weight > weight_max) {
                return std::unexpected(
                    fmt::format("{} is not a weight; use 1..{}", std::string{number}, weight_max));
            }
        }
        if (share.class_name.empty()) return std::unexpected("a class has no name");
        shares.push_back(std::move(share));
    }
    if (shares.empty()) return std::unexpected("it names no class");
    return shares;
}

std::vector<SimulatedDevice> anonymous_devices(const std::string& prefix, std::uint32_t count,
                                               const std::vector<ClassShare>& shares) {
    std::uint64_t weights = 0;
    for (const ClassShare& share : shares) weights += share.weight;
    std::vector<SimulatedDevice> devices(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        devices[i].id = fmt::format("{}{}", prefix, i);
        std::uint64_t place = weights == 0 ? 0 : i % weights;
        for (const ClassShare& share : shares) {
            if (place < share.weight) {
                devices[i].class_name = share.class_name;
                break;
            }
            place -= share.weight;
        }
    }
    return devices;
}

}  // namespace mitu::cli
