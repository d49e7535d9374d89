// What scenarios want of fields: parse_want(), difference().
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/scenario/fields.hpp"
#include "sim/scenario/values.hpp"
#include "sim/scenario/words.hpp"

namespace mitu::sim::scenario {
namespace {

using enum FieldKind;
using mqtt::PacketType;
using How = Want::How;

constexpr FieldName connack_names[] = {{"reason", reasons},
                                       {"session_present", flag},
                                       {"session_expiry", seconds},
                                       {"receive_maximum", number},
                                       {"maximum_qos", number},
                                       {"retain_available", flag},
                                       {"maximum_packet_size", number},
                                       {"assigned_client_id", text},
                                       {"topic_alias_maximum", number},
                                       {"wildcard_subscription_available", flag},
                                       {"subscription_identifiers_available", flag},
                                       {"shared_subscription_available", flag},
                                       {"server_keep_alive", seconds},
                                       {"response_information", text},
                                       {"server_reference", text},
                                       {"authentication_method", text},
                                       {"authentication_data", text},
                                       {"reason_string", text},
                                       {"user_properties", pairs}};
constexpr FieldName publish_names[] = {{"topic", text},
                                       {"payload", text},
                                       {"bytes", number},
                                       {"qos", number},
                                       {"retain", flag},
                                       {"dup", flag},
                                       {"id", number},
                                       {"topic_alias", number},
                                       {"alias_only", flag},
                                       {"message_expiry", seconds},
                                       {"payload_format", flag},
                                       {"response_topic", text},
                                       {"correlation_data", text},
                                       {"content_type", text},
                                       {"subscription_identifier", number},
                                       {"user_properties", pairs}};
constexpr FieldName ack_names[] = {
    {"id", number}, {"reason", reasons}, {"reason_string", text}, {"user_properties", pairs}};
constexpr FieldName disconnect_names[] = {{"reason", reasons},
                                          {"session_expiry", seconds},
                                          {"server_reference", text},
                                          {"reason_string", text},
                                          {"user_properties", pairs}};
constexpr FieldName auth_names[] = {{"reason", reasons},
                                    {"authentication_method", text},
                                    {"authentication_data", text},
                                    {"reason_string", text},
                                    {"user_properties", pairs}};

/// A comma list with each part rewritten; nullopt: `rewrite` refused one.
template <class Rewrite>
std::optional<std::string> rewrite_list(std::string_view list, Rewrite rewrite) {
    std::string all;
    for (;;) {
        const std::size_t comma = list.find(',');
        const std::optional<std::string> part = rewrite(list.substr(0, comma));
        if (!part) return std::nullopt;
        all += (all.empty() ? "" : ",") + *part;
        if (comma == std::string_view::npos) return all;
        list.remove_prefix(comma + 1);
    }
}

std::optional<std::string> number_word(std::string_view text) {
    const auto value = parse_number(text);
    return value ? std::optional{fmt::format("{}", *value)} : std::nullopt;
}

std::optional<std::string> reason_word(std::string_view text) {
    const auto reason = parse_reason(text);
    return reason ? std::optional{reason_text(*reason)} : std::nullopt;
}

std::optional<std::uint64_t> amount(FieldKind kind, std::string_view text) {
    if (kind == number) return parse_number(text);
    const auto value = parse_seconds(text);
    return value ? std::optional<std::uint64_t>{*value} : std::nullopt;
}

Result<Want, std::string> parse_range(Want want, std::string_view value, std::size_t dots) {
    const std::string_view from = value.substr(0, dots);
    const std::string_view to = value.substr(dots + 2);
    const auto least = from.empty() ? std::optional<std::uint64_t>{0} : amount(want.kind, from);
    const auto most = to.empty() ? std::optional{~std::uint64_t{0}} : amount(want.kind, to);
    if (!least || !most || *least > *most) {
        return std::unexpected(
            fmt::format("{} is \"{}\"; use FROM..TO, {}", want.name, value,
                        want.kind == seconds ? "such as 8s..10s" : "such as 1..20"));
    }
    want.how = How::between;
    want.least = *least;
    want.most = *most;
    want.value = std::string{value};
    return want;
}

Result<Want, std::string> parse_known(Want want, std::string_view value) {
    if (want.kind == text || want.kind == pairs) {
        want.value = std::string{value};
        return want;
    }
    const std::size_t dots = value.find("..");
    if (dots != std::string_view::npos && (want.kind == number || want.kind == seconds)) {
        return parse_range(std::move(want), value, dots);
    }
    std::optional<std::string> parsed;
    std::string_view use;
    switch (want.kind) {
        case flag:
            use = "0, 1 or none";
            if (value == "0" || value == "1") parsed = std::string{value};
            break;
        case number:
            use = "a number, FROM..TO or none";
            parsed = rewrite_list(value, number_word);
            break;
        case seconds:
            use = "a time such as 10s, FROM..TO, never or none";
            if (const auto s = parse_seconds(value)) parsed = seconds_text(*s);
            break;
        case reasons:
            use = "a reason code by its name (not_authorized) or number (0x87)";
            parsed = rewrite_list(value, reason_word);
            break;
        case text:
        case pairs:
            break;
    }
    if (!parsed) {
        return std::unexpected(fmt::format("{} is \"{}\"; use {}", want.name, value, use));
    }
    want.value = *parsed;
    return want;
}

std::optional<std::string> json_member(const std::string& payload, std::string_view path) {
    const auto document = nlohmann::json::parse(payload, nullptr, false);
    if (document.is_discarded()) return std::nullopt;
    const nlohmann::json* at = &document;
    while (!path.empty()) {
        const std::size_t dot = path.find('.');
        const std::string key{path.substr(0, dot)};
        path.remove_prefix(dot == std::string_view::npos ? path.size() : dot + 1);
        if (!at->is_object() || !at->contains(key)) return std::string{"none"};
        at = &(*at)[key];
    }
    return at->is_string() ? at->get<std::string>() : at->dump();
}

std::string shown(const Want& want, std::string_view value) {
    const bool is_word = want.how == How::json || want.how == How::absent || value == "none";
    const bool in_quotes = (want.kind == text || want.kind == pairs) && !is_word;
    return in_quotes ? quote(value) : std::string{value};
}

}  // namespace

std::span<const FieldName> field_names(PacketType type) noexcept {
    switch (type) {
        case PacketType::connack:
            return connack_names;
        case PacketType::publish:
            return publish_names;
        case PacketType::puback:
        case PacketType::pubrec:
        case PacketType::pubrel:
        case PacketType::pubcomp:
        case PacketType::suback:
        case PacketType::unsuback:
            return ack_names;
        case PacketType::disconnect:
            return disconnect_names;
        case PacketType::auth:
            return auth_names;
        default:
            return {};
    }
}

Result<Want, std::string> parse_want(PacketType type, std::string_view name, std::string_view value,
                                     bool is_quoted) {
    Want want;
    want.name = std::string{name};
    want.value = std::string{value};
    if (name == "payload_has" || name == "reason_string_has") {
        want.how = How::contains;
        want.name = std::string{name.substr(0, name.size() - 4)};
        name = want.name;
    }
    if (name.starts_with("json.") && type == PacketType::publish) {
        want.how = How::json;
        return want;
    }
    const auto names = field_names(type);
    if (name.starts_with("user.") && !names.empty()) return want;
    const auto known = std::find_if(names.begin(), names.end(),
                                    [&](const FieldName& field) { return field.name == name; });
    if (known == names.end()) {
        std::vector<std::string_view> candidates;
        for (const FieldName& field : names) candidates.push_back(field.name);
        const std::string_view near = fleet::did_you_mean(name, candidates);
        return std::unexpected(near.empty() ? fmt::format("a {} has no field {}; use {}",
                                                          mqtt::to_text(type), name,
                                                          fmt::join(candidates, ", "))
                                            : fmt::format("a {} has no field {}; did you mean {}?",
                                                          mqtt::to_text(type), name, near));
    }
    want.kind = known->kind;
    if (want.how == How::contains) return want;
    if (!is_quoted && (value == "none" || value == "any")) {
        want.how = value == "none" ? How::absent : How::present;
        return want;
    }
    return parse_known(std::move(want), value);
}

std::optional<std::string> difference(const Fields& fields, const Want& want) {
    if (want.name.starts_with("user.")) {
        const Field* const all = find_field(fields, "user_properties");
        const std::string pair = want.name.substr(5) + '=' + want.value;
        const std::string there = all == nullptr ? "" : ' ' + all->value + ' ';
        if (there.find(' ' + pair + ' ') != std::string::npos) return std::nullopt;
        return fmt::format("user_properties is {}, without {}", quote(all ? all->value : ""), pair);
    }
    const bool in_json = want.how == How::json;
    const Field* const field =
        find_field(fields, in_json ? "payload" : std::string_view{want.name});
    if (field == nullptr) return fmt::format("it has no {}", want.name);
    if (in_json) {
        const auto member = json_member(field->value, std::string_view{want.name}.substr(5));
        if (!member) return fmt::format("the payload {} is no JSON", quote(field->value));
        if (*member == want.value) return std::nullopt;
        return fmt::format("{} is {}, not {}", want.name, *member, want.value);
    }
    bool fits = false;
    switch (want.how) {
        case How::equal:
            fits = !field->is_absent && field->value == want.value;
            break;
        case How::absent:
            fits = field->is_absent;
            break;
        case How::present:
            fits = !field->is_absent;
            break;
        case How::contains:
            fits = field->value.find(want.value) != std::string::npos;
            break;
        case How::between: {
            const auto value = amount(want.kind, field->value);
            fits = value && *value >= want.least && *value <= want.most;
            break;
        }
        case How::json:
            break;
    }
    if (fits) return std::nullopt;
    return fmt::format("{} is {}, {} {}", want.name, shown(want, field->value),
                       want.how == How::contains ? "without" : "not", shown(want, want.value));
}

std::string text_of(const Want& want) {
    return fmt::format("{}{}={}", want.name, want.how == How::contains ? "_has" : "",
                       shown(want, want.value));
}

}  // namespace mitu::sim::scenario
