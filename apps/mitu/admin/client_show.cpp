#include "apps/mitu/admin/client_show.hpp"

#include <fmt/format.h>

#include "apps/mitu/text.hpp"

namespace mitu::cli {
namespace {

std::string bound_text(const Json& refusal) {
    if (!refusal.value("limit", Json{}).is_string()) return "-";
    const std::string limit =
        fmt::format("{} of {}", cell_of(refusal["limit"]), cell_of(refusal["scope"]));
    const Json value = refusal.value("limit_value", Json{});
    return value.is_null() ? limit : fmt::format("{}: {}", limit, cell_of(value));
}

void print_refusals(const Json& refusals) {
    TextTable table{{"AT", "TIMES", "KIND", "REASON", "LIMIT", "FROM", "TEXT"}};
    for (const Json& refusal : refusals) {
        const auto cell = [&](const char* key) { return cell_of(refusal.value(key, Json{})); };
        table.add({cell("at"), cell("count"), cell("kind"), cell("reason"), bound_text(refusal),
                   cell("peer"), cell("text")});
    }
    fmt::print("{}", table.print());
}

}  // namespace

ExitCode show_client(const ApiFlags& flags, const std::string& tenant,
                     const std::string& client_id) {
    const auto server = ApiClient::make(flags);
    if (!server) return complain(ExitCode::usage, server.error());
    auto client = server->call("GET", "/clients/" + escape(tenant) + "/" + escape(client_id));
    if (!client) {
        const auto refused = server->list(
            "/refusals" + query_of({{"tenant", tenant}, {"client_id", client_id}}), 100);
        if (!refused || refused->at("items").empty()) {
            return complain(client.error().exit_code, client.error().text);
        }
        client = Json{{"tenant", tenant},
                      {"client_id", client_id},
                      {"connected", false},
                      {"has_session", false},
                      {"refusals", refused->at("items")}};
    }
    if (flags.json) {
        fmt::print("{}\n", client->dump());
        return ExitCode::ok;
    }
    const Json refusals = client->value("refusals", Json::array());
    client->erase("refusals");
    print_object(*client);
    if (!refusals.empty()) {
        fmt::print("\nrefused, dropped or slowed down last:\n");
        print_refusals(refusals);
    }
    return ExitCode::ok;
}

}  // namespace mitu::cli
