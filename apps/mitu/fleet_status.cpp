#include "apps/mitu/fleet_status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/mitu/text.hpp"

namespace mitu::cli {

namespace {

using nlohmann::json;

std::uint64_t number(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

std::string text(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "-";
}

}  // namespace

Result<std::string, std::string> fleet_status_table(std::string_view answer) {
    const json status = json::parse(answer, nullptr, false);
    if (!status.is_object() || !status.contains("groups") || !status["groups"].is_array()) {
        return std::unexpected("the answer is not the status of a fleet; is this a mitud?");
    }
    std::vector<std::vector<std::string>> rows;
    std::uint64_t sums[4] = {};
    for (const json& group : status["groups"]) {
        if (!group.is_object()) continue;
        const std::uint64_t numbers[4] = {number(group, "devices"), number(group, "online"),
                                          number(group, "heartbeat_missed"),
                                          number(group, "drifted")};
        std::vector<std::string> row{text(group, "tenant"), text(group, "class")};
        for (std::size_t i = 0; i < 4; ++i) {
            row.push_back(std::to_string(numbers[i]));
            sums[i] += numbers[i];
        }
        rows.push_back(std::move(row));
    }
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
        return std::tie(a[0], a[1]) < std::tie(b[0], b[1]);
    });
    TextTable table{{"TENANT", "CLASS", "DEVICES", "ONLINE", "MISSED", "DRIFTED"}};
    for (auto& row : rows) table.add(std::move(row));
    // The server's own totals where it has them: they may count what no group shows.
    const json totals = status.value("totals", json::object());
    std::vector<std::string> last{"total", ""};
    const char* keys[4] = {"devices", "online", "heartbeat_missed", "drifted"};
    for (std::size_t i = 0; i < 4; ++i) {
        last.push_back(
            std::to_string(totals.contains(keys[i]) ? number(totals, keys[i]) : sums[i]));
    }
    table.add(std::move(last));
    return fmt::format("revision {}\n{}", number(status, "revision"), table.print());
}

}  // namespace mitu::cli
