#include "apps/mitu/fleet_status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
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
    constexpr std::array<const char*, 5> keys{"devices", "online", "unseen", "heartbeat_missed",
                                              "drifted"};
    std::vector<std::vector<std::string>> rows;
    std::array<std::uint64_t, keys.size()> sums{};
    for (const json& group : status["groups"]) {
        if (!group.is_object()) continue;
        // A class that nobody is of, such as anonymous clients where there are none.
        if (number(group, "devices") == 0 && number(group, "online") == 0) continue;
        std::vector<std::string> row{text(group, "tenant"), text(group, "class"),
                                     text(group, "policy")};
        for (std::size_t i = 0; i < keys.size(); ++i) {
            row.push_back(std::to_string(number(group, keys[i])));
            sums[i] += number(group, keys[i]);
        }
        rows.push_back(std::move(row));
    }
    std::sort(rows.begin(), rows.end());
    TextTable table{
        {"TENANT", "CLASS", "POLICY", "DEVICES", "ONLINE", "UNSEEN", "MISSED", "DRIFTED"}};
    for (auto& row : rows) table.add(std::move(row));
    // The server's own totals where it has them: they may count what no group shows.
    const json totals = status.value("totals", json::object());
    std::vector<std::string> last{"total", "", ""};
    for (std::size_t i = 0; i < keys.size(); ++i) {
        last.push_back(
            std::to_string(totals.contains(keys[i]) ? number(totals, keys[i]) : sums[i]));
    }
    table.add(std::move(last));
    return fmt::format("revision {}\n{}", number(status, "revision"), table.print());
}

}  // namespace mitu::cli
