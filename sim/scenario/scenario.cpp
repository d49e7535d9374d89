#include "sim/scenario/scenario.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <span>
#include <tuple>

#include "sim/scenario/actions.hpp"
#include "sim/scenario/registry_block.hpp"
#include "sim/scenario/values.hpp"

namespace mitu::sim::scenario {
namespace {

using Words = std::span<const Word>;
using mqtt::PacketType;

constexpr Duration within_usual = Duration::seconds(2);
/// Over TCP, as long as it takes to notice that something came that should not.
constexpr Duration nothing_usual = Duration::milliseconds(200);

constexpr std::array packets_expected = {
    PacketType::connack,  PacketType::publish, PacketType::puback,    PacketType::pubrec,
    PacketType::pubrel,   PacketType::pubcomp, PacketType::suback,    PacketType::unsuback,
    PacketType::pingresp, PacketType::auth,    PacketType::disconnect};

bool is_name(std::string_view text) noexcept {
    return !text.empty() && text[0] >= 'a' && text[0] <= 'z' &&
           text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") ==
               std::string_view::npos;
}

class Parser {
public:
    explicit Parser(const std::string& file) { scenario_.file = file; }

    Result<Scenario, Problems> parse(std::string_view text);

private:
    void statement(const Statement& statement);
    void server(Words words);
    void durability(const std::string& value);
    void machine(ServerStep::Kind kind, std::string text);
    void block(const Statement& statement);
    void declare(Words words);
    void network(Words words);
    void wait(Words words);
    void expect(Words words);
    bool expect_nothing(Words rest, ExpectStep& step);
    bool expect_time(Words& rest, ExpectStep& step, std::string_view keyword);
    bool expect_field(const Word& word, std::size_t place, ExpectStep& step);
    void actions(std::size_t actor, Words words);
    bool login(std::size_t actor, act::Connect& connect);

    [[nodiscard]] std::optional<std::size_t> find_actor(std::string_view name) const;
    [[nodiscard]] std::optional<std::size_t> need_actor(std::string_view name);
    void add(decltype(Step::what) what, std::string text) {
        scenario_.steps.push_back({line_, std::move(text), std::move(what)});
    }
    void complain(std::string text) {
        problems_.push_back({scenario_.file, line_, std::move(text)});
    }
    static std::string joined(Words words);

    Scenario scenario_;
    std::vector<bool> is_device_;  // of the actors
    Registry registry_;
    Problems problems_;
    std::uint32_t line_ = 0;
    bool has_server_ = false;
};

std::string Parser::joined(Words words) {
    std::string text;
    for (const Word& word : words) text += (text.empty() ? "" : " ") + word.text();
    return text;
}

std::optional<std::size_t> Parser::find_actor(std::string_view name) const {
    const auto it = std::find_if(scenario_.actors.begin(), scenario_.actors.end(),
                                 [&](const Actor& actor) { return actor.name == name; });
    if (it == scenario_.actors.end()) return std::nullopt;
    return static_cast<std::size_t>(it - scenario_.actors.begin());
}

std::optional<std::size_t> Parser::need_actor(std::string_view name) {
    const auto actor = find_actor(name);
    if (actor) return actor;
    std::vector<std::string_view> names;
    names.reserve(scenario_.actors.size());
    for (const Actor& known : scenario_.actors) names.push_back(known.name);
    const std::string_view near = fleet::did_you_mean(name, names);
    complain(near.empty() ? fmt::format("nobody is called \"{}\"; write `client {}` above, or one "
                                        "of server, policy, registry, network, wait, expect",
                                        name, name)
                          : fmt::format("nobody is called \"{}\"; did you mean {}?", name, near));
    return std::nullopt;
}

void Parser::statement(const Statement& statement) {
    line_ = statement.line;
    const Words words{statement.words};
    const Word& first = words[0];
    if (first.is("server")) return server(words.subspan(1));
    if (first.is("policy") || first.is("registry")) return block(statement);
    if (first.is("device") || first.is("client")) return declare(words);
    if (first.is("network")) return network(words.subspan(1));
    if (first.is("wait")) return wait(words.subspan(1));
    if (first.is("expect")) return expect(words.subspan(1));
    if (!first.name.empty() || first.is_quoted) {
        return complain(
            fmt::format("the line begins with {}; begin with who does something", first.text()));
    }
    const auto actor = need_actor(first.value);
    if (!actor) return;
    if (words.size() == 1) return complain(first.value + " does nothing; add an action");
    actions(*actor, words.subspan(1));
}

// --- the server ---

void Parser::server(Words words) {
    if (words.size() == 1 && words[0].name.empty()) {
        using Kind = ServerStep::Kind;
        const std::string& verb = words[0].value;
        if (verb == "start") return add(ServerStep{Kind::start}, "server start");
        if (verb == "stop") return add(ServerStep{Kind::stop}, "server stop");
        if (verb == "kill") return add(ServerStep{Kind::kill}, "server kill");
        if (verb == "restart") return add(ServerStep{Kind::restart}, "server restart");
        if (verb == "lose_power") return machine(Kind::lose_power, "server lose_power");
        if (verb == "fill_disk") return machine(Kind::fill_disk, "server fill_disk");
        if (verb == "mend_disk") return machine(Kind::mend_disk, "server mend_disk");
    }
    if (has_server_ || !scenario_.steps.empty()) {
        return complain("the server runs already; say how it starts once, in front of all actions");
    }
    has_server_ = true;
    for (const Word& word : words) {
        const auto number = parse_number(word.value);
        const auto in = [&](std::uint64_t least, std::uint64_t most) {
            if (number && *number >= least && *number <= most) return true;
            complain(fmt::format("{} is \"{}\"; use {}..{}", word.name, word.value, least, most));
            return false;
        };
        if (word.name == "shards") {
            if (in(1, 16)) scenario_.server.shards = static_cast<std::uint16_t>(*number);
        } else if (word.name == "packet_bytes_max") {
            if (in(1'024, 268'435'460)) {
                scenario_.server.packet_bytes_max = static_cast<std::uint32_t>(*number);
            }
        } else if (word.name == "anonymous") {
            if (in(0, 1)) scenario_.server.allow_anonymous = *number == 1;
        } else if (word.name == "durability") {
            durability(word.value);
        } else {
            complain(
                fmt::format("server knows no {}; use shards, packet_bytes_max, anonymous, "
                            "durability, or one of start, stop, kill, restart, lose_power, "
                            "fill_disk, mend_disk",
                            word.text()));
        }
    }
}

void Parser::durability(const std::string& value) {
    using broker::Durability;
    if (value == "none") {
        scenario_.server.durability = Durability::none;
    } else if (value == "async") {
        scenario_.server.durability = Durability::async;
    } else if (value == "sync") {
        scenario_.server.durability = Durability::sync;
    } else {
        complain(fmt::format("durability is \"{}\"; use none, async or sync", value));
    }
}

/// What befalls the machine below the server.
void Parser::machine(ServerStep::Kind kind, std::string text) {
    if (scenario_.server.durability == broker::Durability::none) {
        return complain(
            fmt::format("{} changes nothing: the server keeps nothing; begin with server "
                        "durability=sync",
                        text));
    }
    scenario_.needs_virtual_machine = true;
    add(ServerStep{kind}, std::move(text));
}

void Parser::block(const Statement& statement) {
    const std::string& kind = statement.words[0].value;
    if (statement.words.size() != 1 || statement.block.empty()) {
        return complain(
            fmt::format("{} stands alone, and indented lines follow; write them", kind));
    }
    if (!scenario_.steps.empty()) {
        return complain(kind + " comes after actions; move it in front of them");
    }
    std::string& target = kind == "policy" ? scenario_.server.policies : scenario_.server.registry;
    if (!target.empty()) return complain(kind + " is there twice; write one block");
    if (kind == "policy") {
        // So that complaints about it name the lines of this file.
        target = std::string(statement.block_line - 1, '\n') + statement.block;
        return;
    }
    registry_ = read_registry(scenario_.file, statement.block_line, statement.block, problems_);
    target = registry_.csv;
}

// --- who takes part ---

void Parser::declare(Words words) {
    const bool is_device = words[0].value == "device";
    if (words.size() < 2 || !words[1].name.empty() || !is_name(words[1].value)) {
        return complain(fmt::format("{} lacks its name; use a-z, 0-9, _ and -", words[0].value));
    }
    const std::string& name = words[1].value;
    static constexpr std::array reserved = {"server", "policy",  "registry", "device",
                                            "client", "network", "wait",     "expect"};
    if (std::find(reserved.begin(), reserved.end(), name) != reserved.end()) {
        return complain(fmt::format("\"{}\" has a meaning of its own; choose another name", name));
    }
    if (find_actor(name)) {
        return complain(fmt::format("{} is there already; leave out `{}`", name, words[0].value));
    }
    Words rest = words.subspan(2);
    Actor actor{name, name};
    if (!rest.empty() && rest[0].name == "id") {
        actor.client_id = rest[0].value;
        rest = rest.subspan(1);
    }
    scenario_.actors.push_back(std::move(actor));
    is_device_.push_back(is_device);
    if (!rest.empty()) actions(scenario_.actors.size() - 1, rest);
}

bool Parser::login(std::size_t actor, act::Connect& connect) {
    if (!is_device_[actor] || scenario_.server.registry.empty()) return true;
    auto& options = connect.options;
    const auto it = registry_.logins.find(scenario_.actors[actor].name);
    if (it == registry_.logins.end()) {
        complain(fmt::format("device {} is not in the registry; add it there, or make it a client",
                             scenario_.actors[actor].name));
        return false;
    }
    if (!options.user_name) options.user_name = it->second.user_name;
    if (!options.password) options.password = it->second.password;
    return true;
}

void Parser::actions(std::size_t actor, Words words) {
    while (!words.empty()) {
        const auto is_semicolon = [](const Word& word) { return word.is(";"); };
        const auto end = std::find_if(words.begin(), words.end(), is_semicolon);
        const Words one{words.begin(), end};
        words = end == words.end() ? Words{} : Words{end + 1, words.end()};
        if (one.empty()) {
            complain("an action is missing at a ;; remove the ; or add one");
            continue;
        }
        const auto arrow =
            std::find_if(one.begin(), one.end(), [](const Word& word) { return word.is("->"); });
        auto action = parse_action({one.begin(), arrow});
        if (!action) {
            complain(std::move(action.error()));
            continue;
        }
        Answer answer;
        if (arrow != one.end()) {
            auto parsed = parse_answer({arrow + 1, one.end()});
            if (!parsed) {
                complain(std::move(parsed.error()));
                continue;
            }
            answer = std::move(*parsed);
        }
        if (auto* connect = std::get_if<act::Connect>(&*action)) {
            if (!login(actor, *connect)) continue;
        }
        add(ActStep{actor, std::move(*action), std::move(answer)},
            scenario_.actors[actor].name + ' ' + joined(one));
    }
}

// --- what happens, and what is expected ---

void Parser::network(Words words) {
    NetworkStep step;
    const std::string verb = words.empty() ? "" : words[0].value;
    if (verb == "cut") {
        step.kind = NetworkStep::Kind::cut;
    } else if (verb == "reset") {
        step.kind = NetworkStep::Kind::reset;
    } else if (verb == "slow") {
        step.kind = NetworkStep::Kind::slow;
    } else if (verb == "heal") {
        step.kind = NetworkStep::Kind::heal;
    } else {
        return complain(fmt::format("network does \"{}\"; use cut, reset, slow or heal", verb));
    }
    for (const Word& word : words.subspan(1)) {
        const auto actor = need_actor(word.value);
        if (!actor) return;
        step.actors.push_back(*actor);
    }
    if (step.actors.empty()) return complain(fmt::format("network {} whom? add a name", verb));
    add(std::move(step), "network " + joined(words));
}

void Parser::wait(Words words) {
    const auto time = words.size() == 1 ? parse_duration(words[0].value) : std::nullopt;
    if (!time) return complain(fmt::format("wait is \"{}\"; use a time such as 1s", joined(words)));
    add(WaitStep{*time}, "wait " + words[0].value);
}

bool Parser::expect_time(Words& rest, ExpectStep& step, std::string_view keyword) {
    if (rest.size() < 2 || !rest[rest.size() - 2].is(keyword)) return true;
    const auto time = parse_duration(rest.back().value);
    if (!time) {
        complain(fmt::format("{} is \"{}\"; use a time such as 2s", keyword, rest.back().value));
        return false;
    }
    step.time = *time;
    rest = rest.first(rest.size() - 2);
    return true;
}

bool Parser::expect_nothing(Words rest, ExpectStep& step) {
    step.kind = ExpectStep::Kind::nothing;
    step.time = nothing_usual;
    if (!expect_time(rest, step, "for")) return false;
    if (rest.empty()) return true;
    complain(fmt::format("expect ... nothing has no use for {}; use `for TIME`", joined(rest)));
    return false;
}

bool Parser::expect_field(const Word& word, std::size_t place, ExpectStep& step) {
    std::string name = word.name;
    if (name.empty()) {
        const bool may_be = step.type == PacketType::publish && place < 2;
        if (!may_be) {
            complain(fmt::format("{} has no use for {}; write NAME=VALUE", mqtt::to_text(step.type),
                                 word.text()));
            return false;
        }
        name = place == 0 ? "topic" : "payload";
    }
    if (name == "times") {
        const auto times = parse_number(word.value);
        if (!times || *times == 0 || *times > 100'000) {
            complain(fmt::format("times is \"{}\"; use 1..100000", word.value));
            return false;
        }
        step.times = static_cast<std::uint32_t>(*times);
        return true;
    }
    if (name == "id" && is_name(word.value) && word.value != "none") {
        step.id_name = word.value;
        return true;
    }
    auto want = parse_want(step.type, name, word.value, word.is_quoted);
    if (!want) {
        complain(std::move(want.error()));
        return false;
    }
    step.wants.push_back(std::move(*want));
    return true;
}

void Parser::expect(Words words) {
    const std::string text = "expect " + joined(words);
    ExpectStep step;
    step.time = within_usual;
    std::string_view names = words.empty() ? std::string_view{} : words[0].value;
    while (!names.empty()) {
        const std::size_t bar = names.find('|');
        const auto actor = need_actor(names.substr(0, bar));
        if (!actor) return;
        step.actors.push_back(*actor);
        names.remove_prefix(bar == std::string_view::npos ? names.size() : bar + 1);
    }
    if (words.size() < 2) {
        return complain(
            "expect lacks something; write `expect WHO WHAT`, such as `expect ops "
            "publish a/b`");
    }
    Words rest = words.subspan(1);
    if (rest[0].is("nothing")) {
        if (expect_nothing(rest.subspan(1), step)) add(std::move(step), text);
        return;
    }
    if (rest[0].is("unordered")) {
        step.in_any_order = true;
        rest = rest.subspan(1);
    }
    if (!expect_time(rest, step, "within")) return;
    const std::string kind = rest.empty() ? "" : rest[0].value;
    if (kind == "closed" && rest.size() == 1) {
        step.kind = ExpectStep::Kind::closed;
        return add(std::move(step), text);
    }
    const auto type = std::find_if(packets_expected.begin(), packets_expected.end(),
                                   [&](PacketType t) { return mqtt::to_text(t) == kind; });
    if (type == packets_expected.end()) {
        std::vector<std::string_view> candidates{"closed", "nothing"};
        for (const PacketType t : packets_expected) candidates.push_back(mqtt::to_text(t));
        return complain(fmt::format("\"{}\" is nothing that a client can get; use {}", kind,
                                    fmt::join(candidates, ", ")));
    }
    step.type = *type;
    std::size_t place = 0;
    for (const Word& word : rest.subspan(1)) {
        if (!expect_field(word, place, step)) return;
        if (word.name.empty()) ++place;
    }
    add(std::move(step), text);
}

Result<Scenario, Problems> Parser::parse(std::string_view text) {
    scenario_.name = std::filesystem::path{scenario_.file}.stem().string();
    const auto statements = split_statements(scenario_.file, text, problems_);
    for (const Statement& one : statements) statement(one);
    if (problems_.empty() && scenario_.steps.empty()) {
        problems_.push_back({scenario_.file, 0, "nothing happens in it; add actions"});
    }
    std::sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
        return std::tie(a.line, a.text) < std::tie(b.line, b.text);
    });
    if (!problems_.empty()) return std::unexpected(std::move(problems_));
    return std::move(scenario_);
}

}  // namespace

Result<Scenario, Problems> parse_scenario(const std::string& file, std::string_view text) {
    return Parser{file}.parse(text);
}

}  // namespace mitu::sim::scenario
