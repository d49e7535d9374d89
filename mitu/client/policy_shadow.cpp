#include "mitu/client/policy_shadow.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace mitu::client {

namespace {

using nlohmann::json;

constexpr int depth_max = 64;

/// Comparing, merging and printing recurse over a document, so its depth is bounded first.
bool is_shallow(std::string_view text) noexcept {
    int depth = 0;
    bool in_text = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_text) {
            if (c == '\\') {
                ++i;
            } else if (c == '"') {
                in_text = false;
            }
        } else if (c == '"') {
            in_text = true;
        } else if (c == '{' || c == '[') {
            if (++depth > depth_max) return false;
        } else if (c == '}' || c == ']') {
            --depth;
        }
    }
    return true;
}

Result<json, std::string> parse_object(std::string_view text) {
    if (!is_shallow(text)) {
        return std::unexpected(fmt::format("it is more than {} levels deep", depth_max));
    }
    json document = json::parse(text, nullptr, false);
    if (document.is_discarded()) return std::unexpected("it is not JSON");
    if (!document.is_object()) return std::unexpected("it is not a JSON object");
    return document;
}

std::int64_t integer_at(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

std::string text_at(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

std::string print(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Adds null for every key of `before` that `wanted` does not have.
void add_removals(json& wanted, const json& before) {
    if (!wanted.is_object() || !before.is_object()) return;
    for (const auto& [key, value] : before.items()) {
        const auto found = wanted.find(key);
        if (found == wanted.end()) {
            wanted[key] = nullptr;
        } else {
            add_removals(*found, value);
        }
    }
}

std::optional<Duration> interval_from(const json& settings, const char* key, bool is_rate) {
    const auto found = settings.find(key);
    if (found == settings.end() || !found->is_number()) return std::nullopt;
    const double value = found->get<double>();
    if (!(value > 0)) return std::nullopt;
    const double seconds = is_rate ? 1 / value : value;
    if (!(seconds >= 0.001 && seconds <= 86'400)) return std::nullopt;
    return Duration::from_seconds(seconds);
}

SettingsIntervals intervals_of(const json& settings) {
    SettingsIntervals intervals;
    if (!settings.is_object()) return intervals;
    for (const char* key : {"telemetry_interval_s", "sample_interval_s", "report_interval_s"}) {
        if (!intervals.telemetry) intervals.telemetry = interval_from(settings, key, false);
    }
    if (!intervals.telemetry) intervals.telemetry = interval_from(settings, "sample_hz", true);
    intervals.heartbeat = interval_from(settings, "heartbeat_interval_s", false);
    return intervals;
}

}  // namespace

Result<PolicyDocument, std::string> read_policy_document(std::string_view text) {
    const auto document = parse_object(text);
    if (!document) return std::unexpected(document.error());
    PolicyDocument policy;
    policy.version = integer_at(*document, "version");
    const auto state = document->find("state");
    if (state == document->end() || !state->is_object()) {
        return std::unexpected("it has no object \"state\"");
    }
    const auto desired = state->find("desired");
    if (desired == state->end() || desired->is_null()) return policy;
    if (!desired->is_object()) return std::unexpected("\"desired\" is not an object");
    const auto revision = desired->find("revision");
    if (revision == desired->end() || !revision->is_number_integer()) {
        return std::unexpected("\"desired\" has no integer \"revision\"");
    }

    policy.has_desired = true;
    policy.revision = revision->get<std::int64_t>();
    const json settings = desired->value("settings", json::object());
    policy.settings = print(settings);
    policy.intervals = intervals_of(settings);
    json wanted = *desired;
    const auto reported = state->find("reported");
    if (reported != state->end()) {
        policy.in_step = *reported == *desired;
        add_removals(wanted, *reported);
    }
    policy.reported = print(wanted);
    return policy;
}

std::optional<std::int64_t> read_delta_version(std::string_view text) {
    const auto document = parse_object(text);
    if (!document || !document->contains("state")) return std::nullopt;
    return integer_at(*document, "version");
}

Result<ShadowAnswer, std::string> read_shadow_answer(std::string_view text) {
    const auto document = parse_object(text);
    if (!document) return std::unexpected(document.error());
    ShadowAnswer answer;
    answer.version = integer_at(*document, "version");
    answer.code = integer_at(*document, "code");
    answer.message = text_at(*document, "message");
    answer.client_token = text_at(*document, "clientToken");
    return answer;
}

std::string write_report(std::string_view reported, std::string_view client_token) {
    return fmt::format(R"({{"state":{{"reported":{}}},"clientToken":{}}})", reported,
                       print(json(client_token)));
}

}  // namespace mitu::client
