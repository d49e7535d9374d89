#include "mitu/identity/access_json.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

namespace mitu::identity {
namespace {

using nlohmann::json;

/// Collects rules; the first problem stays.
class RuleReader {
public:
    void add(const json& filter, bool allow, bool publish, bool subscribe) {
        if (problem_) return;
        if (++count_ > login_rules_max) return fail("more than 512 rules; use fewer, wider ones");
        if (!filter.is_string()) return fail("a topic filter is no text");
        const auto& text = filter.get_ref<const std::string&>();
        const auto written = read_login_filter(text, FilterSyntax::dollar);
        if (!written) {
            return fail(
                fmt::format("the filter is \"{}\"; {}", text.substr(0, 128), written.error()));
        }
        if (publish) put(access_.publish, *written, allow);
        if (subscribe) put(access_.subscribe, *written, allow);
    }
    void fail(std::string problem) {
        if (!problem_) problem_ = std::move(problem);
    }
    Result<Access, std::string> result() {
        if (problem_) return std::unexpected(*std::move(problem_));
        return std::move(access_);
    }

private:
    static void put(AccessRules& rules, const std::string& filter, bool allow) {
        (allow ? rules.allow : rules.deny).push_back(filter);
    }

    Access access_;
    std::optional<std::string> problem_;
    std::size_t count_ = 0;
};

void read_lists(const json& object, RuleReader& reader) {
    for (const auto& [name, filters] : object.items()) {
        const bool all = name == "all";
        const bool publish = all || name == "publish" || name == "pub";
        const bool subscribe = all || name == "subscribe" || name == "sub";
        if (!publish && !subscribe) {
            return reader.fail(fmt::format("\"{}\" is not known; use publish, subscribe, all",
                                           name.substr(0, 64)));
        }
        if (!filters.is_array()) return reader.fail(fmt::format("{} is no array", name));
        for (const json& filter : filters) reader.add(filter, true, publish, subscribe);
    }
}

void read_rule(const json& rule, RuleReader& reader) {
    if (!rule.is_object()) return reader.fail("a rule is no object");
    const auto text = [&](const char* name) {
        const auto found = rule.find(name);
        return found != rule.end() && found->is_string() ? found->get<std::string>()
                                                         : std::string{};
    };
    for (const auto& [name, value] : rule.items()) {
        if (name != "permission" && name != "action" && name != "topic") {
            return reader.fail(fmt::format("a rule has \"{}\"; use permission, action and topic",
                                           name.substr(0, 64)));
        }
    }
    const std::string permission = text("permission");
    const std::string action = text("action");
    if (permission != "allow" && permission != "deny") {
        return reader.fail("a rule's permission is not allow or deny");
    }
    if (action != "publish" && action != "subscribe" && action != "all") {
        return reader.fail("a rule's action is not publish, subscribe or all");
    }
    const auto topic = rule.find("topic");
    if (topic == rule.end()) return reader.fail("a rule has no topic");
    reader.add(*topic, permission == "allow", action != "subscribe", action != "publish");
}

}  // namespace

Result<Access, std::string> read_access(const json& value) {
    RuleReader reader;
    if (value.is_object()) {
        read_lists(value, reader);
    } else if (value.is_array()) {
        for (const json& rule : value) read_rule(rule, reader);
    } else {
        reader.fail("the rules are neither an object nor an array");
    }
    return reader.result();
}

}  // namespace mitu::identity
