#include "apps/mitu/overview.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/mitu/text.hpp"

namespace mitu::cli {

namespace {

using Json = nlohmann::ordered_json;

double number(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

OverviewNumbers read_numbers(const Json& object) {
    OverviewNumbers numbers;
    numbers.connections = number(object, "connections");
    numbers.sessions = number(object, "sessions");
    numbers.messages_received_total = number(object, "messages_received_total");
    numbers.messages_sent_total = number(object, "messages_sent_total");
    numbers.bytes_received_total = number(object, "bytes_received_total");
    numbers.bytes_sent_total = number(object, "bytes_sent_total");
    numbers.messages_dropped_total = number(object, "messages_dropped_total");
    numbers.subscriptions = number(object, "subscriptions");
    numbers.retained = number(object, "retained");
    numbers.resident_bytes = number(object, "resident_bytes");
    return numbers;
}

/// Per second.
struct Rates {
    double messages_in = 0;
    double messages_out = 0;
    double bytes_in = 0;
    double bytes_out = 0;
    double dropped = 0;
};

Rates rates_of(const OverviewNumbers& now, const OverviewNumbers& before, double seconds) {
    const double per = 1 / std::max(seconds, 0.001);
    // A counter never falls but when the shard is another one.
    const auto rate = [per](double a, double b) { return std::max(a - b, 0.0) * per; };
    return {.messages_in = rate(now.messages_received_total, before.messages_received_total),
            .messages_out = rate(now.messages_sent_total, before.messages_sent_total),
            .bytes_in = rate(now.bytes_received_total, before.bytes_received_total),
            .bytes_out = rate(now.bytes_sent_total, before.bytes_sent_total),
            .dropped = rate(now.messages_dropped_total, before.messages_dropped_total)};
}

struct Compared {
    Rates server;
    std::vector<Rates> shards;
};

Compared compare(const Overview& now, const std::optional<Overview>& before) {
    const bool is_same_run =
        before && before->uptime_s <= now.uptime_s && before->shards.size() == now.shards.size();
    Compared compared;
    const double seconds =
        is_same_run ? (now.taken_at - before->taken_at).as_seconds() : now.uptime_s;
    compared.server =
        rates_of(now.server, is_same_run ? before->server : OverviewNumbers{}, seconds);
    for (std::size_t i = 0; i < now.shards.size(); ++i) {
        compared.shards.push_back(
            rates_of(now.shards[i], is_same_run ? before->shards[i] : OverviewNumbers{}, seconds));
    }
    return compared;
}

std::vector<std::string> row(const std::string& name, const OverviewNumbers& numbers,
                             const Rates& rates) {
    return {name,
            short_count(numbers.connections),
            short_count(numbers.sessions),
            short_count(rates.messages_in),
            short_count(rates.messages_out),
            short_bytes(rates.bytes_in),
            short_bytes(rates.bytes_out),
            short_count(rates.dropped),
            short_count(numbers.subscriptions),
            short_count(numbers.retained)};
}

Json rates_json(const Rates& rates) {
    return {{"messages_received_per_s", rates.messages_in},
            {"messages_sent_per_s", rates.messages_out},
            {"bytes_received_per_s", rates.bytes_in},
            {"bytes_sent_per_s", rates.bytes_out},
            {"messages_dropped_per_s", rates.dropped}};
}

Json numbers_json(const OverviewNumbers& numbers) {
    const auto whole = [](double value) { return static_cast<std::uint64_t>(value); };
    return {{"connections", whole(numbers.connections)},
            {"sessions", whole(numbers.sessions)},
            {"messages_received_total", whole(numbers.messages_received_total)},
            {"messages_sent_total", whole(numbers.messages_sent_total)},
            {"bytes_received_total", whole(numbers.bytes_received_total)},
            {"bytes_sent_total", whole(numbers.bytes_sent_total)},
            {"messages_dropped_total", whole(numbers.messages_dropped_total)},
            {"subscriptions", whole(numbers.subscriptions)},
            {"retained", whole(numbers.retained)},
            {"resident_bytes", whole(numbers.resident_bytes)}};
}

}  // namespace

Result<Overview, std::string> read_overview(std::string_view text, Instant taken_at) {
    const Json answer = Json::parse(text, nullptr, false);
    if (!answer.is_object() || !answer.contains("connections")) {
        return std::unexpected("the answer is not the overview of a server; is this a mitud?");
    }
    Overview overview;
    overview.taken_at = taken_at;
    overview.uptime_s = number(answer, "uptime_s");
    overview.server = read_numbers(answer);
    const auto shards = answer.find("shards");
    if (shards != answer.end() && shards->is_array()) {
        for (const Json& shard : *shards) overview.shards.push_back(read_numbers(shard));
    }
    return overview;
}

std::string overview_text(const Overview& now, const std::optional<Overview>& before) {
    const Compared rates = compare(now, before);
    const double per_connection =
        now.server.connections > 0 ? now.server.resident_bytes / now.server.connections : 0;
    std::string text = fmt::format(
        "up {}   memory {}{}\n\n", short_duration(Duration::from_seconds(now.uptime_s)),
        short_bytes(now.server.resident_bytes),
        per_connection > 0 ? fmt::format(" ({} a connection)", short_bytes(per_connection)) : "");
    TextTable table{{"", "CONNECTIONS", "SESSIONS", "MSG IN/s", "MSG OUT/s", "IN/s", "OUT/s",
                     "DROPPED/s", "SUBSCRIPTIONS", "RETAINED"}};
    for (std::size_t i = 0; i < now.shards.size(); ++i) {
        table.add(row(fmt::format("shard {}", i), now.shards[i], rates.shards[i]));
    }
    table.add(row("server", now.server, rates.server));
    return text + table.print();
}

std::string overview_json(const Overview& now, const std::optional<Overview>& before) {
    const Compared rates = compare(now, before);
    Json object{{"uptime_s", now.uptime_s}};
    object.update(numbers_json(now.server));
    object["rates"] = rates_json(rates.server);
    Json shards = Json::array();
    for (std::size_t i = 0; i < now.shards.size(); ++i) {
        Json shard = numbers_json(now.shards[i]);
        shard["rates"] = rates_json(rates.shards[i]);
        shards.push_back(std::move(shard));
    }
    object["shards"] = std::move(shards);
    return object.dump() + "\n";
}

}  // namespace mitu::cli
