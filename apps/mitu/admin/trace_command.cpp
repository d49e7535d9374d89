// `mitu trace`: what happens to one client, or to the messages of one topic, while it happens.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>

#include "apps/mitu/admin/api_client.hpp"
#include "apps/mitu/connection_options.hpp"

namespace mitu::cli {
namespace {

struct TraceFlags {
    ApiFlags api;
    std::string tenant;
    std::string what;  // a client id, or a filter
    Duration duration = Duration::seconds(60);
    bool payload = false;
};

/// "2024-05-01T12:34:56.789Z  packet_in  PUBLISH  th-1  t/1  qos 1  5 bytes"
std::string line_for_people(const Json& event) {
    std::string line = fmt::format("{}  {:<15}", cell_of(event.value("at", Json{})),
                                   cell_of(event.value("event", Json{})));
    const auto add = [&](const char* key, const char* before, const char* after) {
        if (!event.contains(key)) return;
        line += fmt::format("  {}{}{}", before, cell_of(event[key]), after);
    };
    add("client_id", "", "");
    add("packet", "", "");
    add("packet_id", "id ", "");
    add("topic", "", "");
    add("qos", "qos ", "");
    if (event.value("dup", false)) line += "  dup";
    if (event.value("retain", false)) line += "  retain";
    add("bytes", "", " bytes");
    add("recipients", "to ", "");
    add("reason", "", "");
    add("text", "(", ")");
    add("count", "", " events: this reader is too slow");
    if (event.contains("payload")) {
        const bool is_text = event.value("payload_encoding", "") == "text";
        line += is_text ? "  \"" + cell_of(event["payload"]) + "\""
                        : "  base64 " + cell_of(event["payload"]);
    }
    return line;
}

/// Prints whole lines, and keeps the begun one.
class TracePrinter {
public:
    explicit TracePrinter(bool as_json) : as_json_{as_json} {}

    bool take(std::string_view piece) {
        rest_ += piece;
        for (std::size_t end = 0; (end = rest_.find('\n')) != std::string::npos;) {
            print(rest_.substr(0, end));
            rest_.erase(0, end + 1);
        }
        return std::fflush(stdout) == 0;
    }

private:
    void print(const std::string& line) const {
        if (line.empty()) return;  // nothing has happened
        if (as_json_) {
            fmt::print("{}\n", line);
            return;
        }
        const Json event = Json::parse(line, nullptr, false);
        // What clients name themselves and their topics goes to a terminal.
        if (event.is_object()) fmt::print("{}\n", without_controls(line_for_people(event)));
    }
    static std::string without_controls(std::string text) {
        for (char& c : text) {
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
        }
        return text;
    }

    bool as_json_;
    std::string rest_;
};

ExitCode follow_live(const TraceFlags& flags, const char* key) {
    const auto server = ApiClient::make(flags.api);
    if (!server) return complain(ExitCode::usage, server.error());
    Json body{{key, flags.what},
              {"duration_s", std::max<std::int64_t>(flags.duration.count_s(), 1)}};
    if (!flags.tenant.empty()) body["tenant"] = flags.tenant;
    if (flags.payload) body["payload"] = true;
    TracePrinter printer{flags.api.json};
    const auto done =
        server->follow("/trace", body, [&](std::string_view piece) { return printer.take(piece); });
    if (!done) return complain(done.error().exit_code, done.error().text);
    return ExitCode::ok;
}

void add_trace_of(CLI::App& trace, Outcome& outcome, const char* name, const char* about,
                  const char* argument, const char* key) {
    auto flags = std::make_shared<TraceFlags>();
    CLI::App* command = trace.add_subcommand(name, about);
    command->add_option(argument, flags->what, "what to follow")->required();
    command->add_option("--tenant", flags->tenant, "its tenant (your own, or default)");
    add_duration_option(*command, "--duration", flags->duration, "how long, up to an hour (60s)");
    command->add_flag("--payload", flags->payload,
                      "show payloads too, the first 4 KiB (only their size)");
    add_api_options(*command, flags->api);
    command->callback([flags, key, &outcome] { outcome.exit_code = follow_live(*flags, key); });
}

}  // namespace

void add_trace_command(CLI::App& app, Outcome& outcome) {
    CLI::App* trace =
        app.add_subcommand("trace", "follow one client, or the messages of one topic, live");
    trace->require_subcommand(1);
    add_trace_of(*trace, outcome, "client",
                 "connects, packets, queueing, drops and refusals of a client", "CLIENT",
                 "client_id");
    add_trace_of(*trace, outcome, "topic", "the messages of topics that a filter matches", "FILTER",
                 "filter");
}

}  // namespace mitu::cli
