#include "mitu/fleet/template_compiler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "mitu/base/hash.hpp"
#include "mitu/fleet/names.hpp"

namespace mitu::fleet {
namespace {

using nlohmann::json;
using yaml::join_path;
using yaml::LineMap;
using yaml::show;

/// The parts of one policy, each with the problems that it has.
class Compiler {
public:
    Compiler(const yaml::Document& document, const std::string& file, const TemplateSchema& schema,
             Problems& problems)
        : document_{document.value},
          lines_{document.lines},
          file_{file},
          schema_{schema},
          problems_{problems} {}

    Policy compile() {
        Policy policy;
        policy.name = document_.at("name").get<std::string>();
        policy.revision = document_.value("revision", 1u);
        policy.description = document_.value("description", "");
        policy.file = file_;
        policy.line = lines_.line_of("");
        policy.selector = selector(document_.at("selector"));
        if (const json* part = find("heartbeat")) policy.heartbeat = heartbeat(*part);
        if (const json* part = find("limits")) policy.limits = limits(*part);
        policy.access.publish = rules("publish");
        policy.access.subscribe = rules("subscribe");
        if (const json* part = find("settings")) {
            check_settings(*part);
            policy.desired = DesiredState::create(policy.revision, part->dump());
        }
        // Sections that are left out hash as null, so that leaving out and writing {} stay apart.
        json content;
        for (const char* section : {"heartbeat", "limits", "access", "settings"}) {
            content[section] = document_.value(section, json{});
        }
        policy.content_hash = hash_bytes(content.dump());
        return policy;
    }

private:
    const json* find(const char* key) const {
        const auto found = document_.find(key);
        return found == document_.end() ? nullptr : &*found;
    }
    void add(std::string_view path, std::string text) {
        problems_.push_back({file_, lines_.line_of(path), std::move(text)});
    }

    Selector selector(const json& part) {
        Selector result;
        result.tenant = part.value("tenant", "");
        result.class_name = part.value("class", "");
        const json labels = part.value("labels", json::object());
        for (const auto& [key, value] : labels.items()) {
            const std::string path = "selector.labels." + key;
            const auto& text = value.get_ref<const std::string&>();
            if (!is_valid_label_key(key)) {
                add(path, fmt::format("{} is not a label; use {}", path, label_key_use));
            }
            if (!is_valid_label_value(text)) {
                add(path, fmt::format("{} is {}; use {}", path, show(value), label_value_use));
            }
            result.labels.push_back({key, text});  // json's maps are sorted by key
        }
        return result;
    }

    Duration duration(const json& part, const char* key, Duration max) {
        const std::string path = join_path("heartbeat", key);
        const json& value = part.at(key);
        const auto result = parse_duration(value.get_ref<const std::string&>());
        if (!result || *result < Duration::seconds(1) || *result > max) {
            add(path,
                fmt::format("{} is {}; use {}", path, show(value), schema_.use_of("Policy", path)));
            return {};
        }
        return *result;
    }
    HeartbeatRule heartbeat(const json& part) {
        const HeartbeatRule rule{
            duration(part, "interval", Duration::seconds(std::int64_t{24} * 3'600)),
            duration(part, "timeout", Duration::seconds(std::int64_t{168} * 3'600))};
        if (rule.timeout > Duration{} && rule.timeout < rule.interval) {
            add("heartbeat.timeout",
                fmt::format("heartbeat.timeout is {}, below the interval of {}; use two to four "
                            "intervals",
                            show(part.at("timeout")), show(part.at("interval"))));
        }
        return rule;
    }

    template <class Number>
    static std::optional<Number> number(const json& part, const char* key) {
        const auto found = part.find(key);
        if (found == part.end()) return std::nullopt;
        return found->get<Number>();
    }
    static Limits limits(const json& part) {
        Limits result;
        if (const auto rate = part.find("message_rate"); rate != part.end()) {
            result.message_rate = RateLimit{rate->at("per_second").get<std::uint32_t>(),
                                            rate->at("burst").get<std::uint32_t>()};
        }
        result.payload_bytes_max = number<std::uint32_t>(part, "payload_bytes_max");
        result.queue_messages_max = number<std::uint32_t>(part, "queue_messages_max");
        result.queue_bytes_max = number<std::uint64_t>(part, "queue_bytes_max");
        return result;
    }

    std::vector<std::string> filters(const json& part, const std::string& parent, const char* key) {
        std::vector<std::string> result;
        const auto list = part.find(key);
        if (list == part.end()) return result;
        for (std::size_t i = 0; i < list->size(); ++i) {
            const auto& text = (*list)[i].get_ref<const std::string&>();
            if (const auto error = identity::check_access_filter(text)) {
                const std::string path = fmt::format("{}.{}[{}]", parent, key, i);
                add(path,
                    fmt::format("{} is {}; {}", path, show((*list)[i]), identity::remedy(*error)));
            }
            result.push_back(text);
        }
        return result;
    }
    identity::AccessRules rules(const char* what) {
        const json& part = document_.at("access").at(what);
        const std::string path = join_path("access", what);
        return {filters(part, path, "allow"), filters(part, path, "deny")};
    }

    void check_settings(const json& settings) {
        const std::size_t size_bytes = settings.dump().size();
        if (size_bytes > settings_bytes_max) {
            add("settings", fmt::format("settings is {} bytes as JSON; use at most {}", size_bytes,
                                        settings_bytes_max));
        }
        check_setting(settings, "settings", 1);
    }
    void check_setting(const json& value, const std::string& path, std::size_t depth) {
        if (value.is_null()) {
            add(path, fmt::format("{} is null, which a shadow reads as: not there; use a value, or "
                                  "leave it out",
                                  path));
            return;
        }
        if (!value.is_structured()) return;
        if (depth > settings_depth_max) {
            add(path, fmt::format("{} is nested too deep; use at most {} levels", path,
                                  settings_depth_max));
            return;
        }
        std::size_t index = 0;
        for (const auto& [key, child] : value.items()) {
            check_setting(
                child,
                value.is_object() ? join_path(path, key) : fmt::format("{}[{}]", path, index++),
                depth + 1);
        }
    }

    const json& document_;
    const LineMap& lines_;
    const std::string& file_;
    const TemplateSchema& schema_;
    Problems& problems_;
};

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) noexcept {
    std::int64_t count = 0;
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc{} || end + 1 != last || count < 0) return std::nullopt;
    std::int64_t unit_s = 0;
    switch (*end) {
        case 's':
            unit_s = 1;
            break;
        case 'm':
            unit_s = 60;
            break;
        case 'h':
            unit_s = 3'600;
            break;
        default:
            return std::nullopt;
    }
    constexpr std::int64_t seconds_max = 1'000'000'000;  // nanoseconds of it fit in 63 bits
    if (count > seconds_max / unit_s) return std::nullopt;
    return Duration::seconds(count * unit_s);
}

Tenant compile_tenant(const yaml::Document& document, const std::string& file) {
    return {document.value.at("name").get<std::string>(), document.value.value("description", ""),
            file, document.lines.line_of("")};
}

std::optional<Policy> compile_policy(const yaml::Document& document, const std::string& file,
                                     const TemplateSchema& schema, Problems& problems) {
    const std::size_t before = problems.size();
    Policy policy = Compiler{document, file, schema, problems}.compile();
    if (problems.size() != before) return std::nullopt;
    return policy;
}

}  // namespace mitu::fleet
