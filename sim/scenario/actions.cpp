#include "sim/scenario/actions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "sim/scenario/arguments.hpp"
#include "sim/scenario/values.hpp"

namespace mitu::sim::scenario {
namespace {

using broker::testing::SubscribeOptions;
using broker::testing::WillOptions;
using mqtt::PacketType;
using mqtt::ProtocolVersion;

constexpr std::uint64_t payload_bytes_max = 64u << 20;
constexpr std::uint64_t times_max = 100'000;
constexpr std::uint64_t number_max = 0xFFFF'FFFF;
constexpr std::uint32_t identifier_max = 268'435'455;

template <class Number>
void take(Number& into, std::optional<std::uint64_t> value) {
    if (value) into = static_cast<Number>(*value);
}

ProtocolVersion take_version(Arguments& arguments) {
    const auto text = arguments.text("v").value_or("5");
    if (text == "5") return ProtocolVersion::v5;
    if (text == "3.1.1") return ProtocolVersion::v3_1_1;
    if (text == "3.1") return ProtocolVersion::v3_1;
    arguments.complain(fmt::format("v is \"{}\"; use 5, 3.1.1 or 3.1", text));
    return ProtocolVersion::v5;
}

/// The properties of an application message; `prefix`: "" or "will_".
template <class Options>
void take_message(Arguments& a, std::string_view prefix, Options& options) {
    const std::string p{prefix};
    options.qos = a.qos(p + "qos").value_or(options.qos);
    options.retain = a.flag(p + "retain").value_or(false);
    options.message_expiry_s = a.seconds(p + "message_expiry");
    options.payload_is_utf8 = a.flag(p + "payload_format");
    options.response_topic = a.text(p + "response_topic");
    options.correlation_data = a.text(p + "correlation_data");
    options.content_type = a.text(p + "content_type");
    options.user_properties = a.pairs(p + "user");
}

std::optional<WillOptions> take_will(Arguments& a) {
    const auto topic = a.text("will");
    WillOptions will;
    will.topic = topic.value_or("");
    will.payload = a.text("will_payload").value_or("");
    will.delay_s = a.seconds("will_delay").value_or(0);
    take_message(a, "will_", will);
    if (topic) return will;
    const bool has_parts = std::any_of(a.words().begin(), a.words().end(), [](const Word& word) {
        return word.name.starts_with("will_");
    });
    if (has_parts) a.complain("will_... is there without will; add will=TOPIC");
    return std::nullopt;
}

Action take_connect(Arguments& a) {
    act::Connect connect;
    ConnectOptions& o = connect.options;
    o.version = take_version(a);
    o.clean_start = a.flag("clean_start").value_or(true);
    o.keep_alive_s = a.seconds_short("keep_alive").value_or(0);
    o.session_expiry_s = a.seconds("session_expiry").value_or(0);
    take(o.receive_maximum, a.number("receive_maximum", 65'535));
    take(o.maximum_packet_size, a.number("maximum_packet_size", number_max));
    take(o.topic_alias_maximum, a.number("topic_alias_maximum", 65'535));
    o.request_response_information = a.flag("request_response_information").value_or(false);
    o.request_problem_information = a.flag("request_problem_information").value_or(true);
    o.authentication_method = a.text("authentication_method");
    o.authentication_data = a.text("authentication_data");
    o.user_name = a.text("user");
    o.password = a.text("password");
    o.user_properties = a.pairs("user");
    o.will = take_will(a);
    connect.resends = a.flag("resends").value_or(true);
    return connect;
}

Action take_publish(Arguments& a) {
    act::Publish publish;
    publish.topic = a.required("TOPIC");
    if (const Word* const payload = a.positional()) publish.payload = payload->value;
    if (const auto bytes = a.number("bytes", payload_bytes_max)) {
        if (!publish.payload.empty()) a.complain("bytes and a payload are both there; use one");
        publish.payload.assign(static_cast<std::size_t>(*bytes), 'x');
    }
    take_message(a, "", publish.options);
    publish.options.dup = a.flag("dup").value_or(false);
    if (const auto alias = a.number("topic_alias", 65'535)) {
        publish.options.topic_alias = static_cast<std::uint16_t>(*alias);
    }
    if (const auto identifier = a.number("subscription_identifier", identifier_max)) {
        if (*identifier == 0) a.complain("subscription_identifier is 0; say that with raw");
        publish.options.subscription_identifiers.assign(1, static_cast<std::uint32_t>(*identifier));
    }
    publish.id = a.id("id");
    take(publish.times, a.number("times", times_max));
    if (publish.times == 0) a.complain("times is 0; use 1 or more");
    if (publish.times > 1 && publish.id.is_given())
        a.complain("times and id are both there; use one");
    return publish;
}

Action take_subscribe(Arguments& a) {
    act::Subscribe subscribe;
    take(subscribe.identifier, a.number("subscription_identifier", identifier_max));
    take(subscribe.packet_id, a.number("id", 65'535));
    subscribe.user_properties = a.pairs("user");
    // The other options belong to the filter in front of them.
    for (const Word& word : a.words()) {
        if (word.name.empty()) {
            subscribe.filters.push_back({word.value, {}});
            if (word.value.size() > 65'535) a.complain("a filter has more than 65535 bytes");
            continue;
        }
        if (word.name == "subscription_identifier" || word.name == "id" ||
            word.name.starts_with("user.")) {
            continue;
        }
        const bool is_flag = word.value == "0" || word.value == "1";
        SubscribeOptions unused;
        auto& options = subscribe.filters.empty() ? unused : subscribe.filters.back().options;
        if (word.name == "qos") {
            const auto qos = parse_qos(word.value);
            if (!qos) a.complain(fmt::format("qos is \"{}\"; use 0, 1 or 2", word.value));
            options.qos = qos.value_or(options.qos);
        } else if (word.name == "retain_handling") {
            const auto value = parse_qos(word.value);  // 0, 1, 2 as well
            if (!value) a.complain(fmt::format("retain_handling is \"{}\"; use 0..2", word.value));
            options.retain_handling =
                mqtt::RetainHandling{static_cast<std::uint8_t>(value.value_or(mqtt::QoS{}))};
        } else if (word.name == "no_local" || word.name == "retain_as_published") {
            if (!is_flag)
                a.complain(fmt::format("{} is \"{}\"; use 0 or 1", word.name, word.value));
            (word.name == "no_local" ? options.no_local : options.retain_as_published) =
                word.value == "1";
        } else {
            a.complain(
                fmt::format("subscribe knows no {}; use qos, no_local, retain_as_published, "
                            "retain_handling (after their filter), subscription_identifier, "
                            "user.NAME, id",
                            word.name));
        }
        if (&options == &unused)
            a.complain(word.name + " stands before any filter; move it behind");
    }
    if (subscribe.filters.empty())
        a.complain("subscribe lacks its FILTER; write `subscribe FILTER`");
    a.take_all();
    return subscribe;
}

Action take_unsubscribe(Arguments& a) {
    act::Unsubscribe unsubscribe;
    unsubscribe.user_properties = a.pairs("user");
    take(unsubscribe.packet_id, a.number("id", 65'535));
    unsubscribe.filters.push_back(a.required("FILTER"));
    while (const Word* const more = a.positional()) {
        if (more->value.size() > 65'535) a.complain("a filter has more than 65535 bytes");
        unsubscribe.filters.push_back(more->value);
    }
    return unsubscribe;
}

Action take_disconnect(Arguments& a) {
    act::Disconnect disconnect;
    disconnect.session_expiry_s = a.seconds("session_expiry");
    disconnect.reason_string = a.text("reason_string");
    disconnect.user_properties = a.pairs("user");
    disconnect.reason = a.reason().value_or(disconnect.reason);
    return disconnect;
}

Action take_auth(Arguments& a) {
    act::Auth auth;
    auth.method = a.text("authentication_method");
    auth.data = a.text("authentication_data");
    auth.reason = a.reason().value_or(mqtt::ReasonCode::continue_authentication);
    return auth;
}

Action take_raw(Arguments& a) {
    act::Raw raw;
    std::string digits;
    while (const Word* const word = a.positional()) digits += word->value;
    auto bytes = parse_hex(digits);
    if (!bytes || bytes->empty()) {
        a.complain(
            fmt::format("raw is \"{}\"; use bytes as hexadecimal digits, such as c0 00", digits));
    } else {
        raw.bytes = std::move(*bytes);
    }
    return raw;
}

Action take_acknowledge(Arguments& a, PacketType type) {
    act::Acknowledge ack;
    ack.type = type;
    ack.reason_string = a.text("reason_string");
    ack.user_properties = a.pairs("user");
    const std::string id = a.required("ID");
    if (const auto parsed = parse_id(id)) {
        ack.id = *parsed;
    } else {
        a.complain(
            fmt::format("the id is \"{}\"; use 1..65535, or the name that an `expect ... "
                        "id=NAME` gave it",
                        id));
    }
    ack.reason = a.reason().value_or(ack.reason);
    return ack;
}

Action take_hold(Arguments& a, bool holds) {
    if (a.required("acks") != "acks") a.complain("what is held and released are acks: `hold acks`");
    if (holds) return act::HoldAcks{};
    return act::ReleaseAcks{};
}

constexpr std::array verbs = {"connect",   "second_connect", "open",   "close",  "publish",
                              "subscribe", "unsubscribe",    "ping",   "auth",   "disconnect",
                              "raw",       "puback",         "pubrec", "pubrel", "pubcomp",
                              "hold",      "release"};

}  // namespace

Result<Action, std::string> parse_action(std::span<const Word> words) {
    if (words.empty()) return std::unexpected("nothing stands in front of ->; add an action");
    const std::string& verb = words[0].value;
    Arguments a{verb, words.subspan(1)};
    std::optional<Action> action;
    if (words[0].is_quoted || !words[0].name.empty()) {
        return std::unexpected(fmt::format("{} is no action; begin with a verb: {}",
                                           words[0].text(), fmt::join(verbs, ", ")));
    }
    if (verb == "connect") action = take_connect(a);
    if (verb == "second_connect") action = act::Connect{{}, true, true};
    if (verb == "open") action = act::Open{take_version(a)};
    if (verb == "close") action = act::Close{};
    if (verb == "publish") action = take_publish(a);
    if (verb == "subscribe") action = take_subscribe(a);
    if (verb == "unsubscribe") action = take_unsubscribe(a);
    if (verb == "ping") action = act::Ping{};
    if (verb == "auth") action = take_auth(a);
    if (verb == "disconnect") action = take_disconnect(a);
    if (verb == "raw") action = take_raw(a);
    if (verb == "puback") action = take_acknowledge(a, PacketType::puback);
    if (verb == "pubrec") action = take_acknowledge(a, PacketType::pubrec);
    if (verb == "pubrel") action = take_acknowledge(a, PacketType::pubrel);
    if (verb == "pubcomp") action = take_acknowledge(a, PacketType::pubcomp);
    if (verb == "hold") action = take_hold(a, true);
    if (verb == "release") action = take_hold(a, false);
    if (!action) {
        const std::vector<std::string_view> candidates{verbs.begin(), verbs.end()};
        const std::string_view near = fleet::did_you_mean(verb, candidates);
        return std::unexpected(
            near.empty()
                ? fmt::format("\"{}\" is no action; use {}", verb, fmt::join(candidates, ", "))
                : fmt::format("\"{}\" is no action; did you mean {}?", verb, near));
    }
    if (auto problem = a.problem()) return std::unexpected(std::move(*problem));
    return std::move(*action);
}

Result<Answer, std::string> parse_answer(std::span<const Word> words) {
    Answer answer;
    for (const Word& word : words) {
        if (!word.name.empty()) {
            answer.fields.push_back(word);
            continue;
        }
        if (word.is("later") || word.is("closed")) {
            answer.kind = word.is("later") ? Answer::Kind::later : Answer::Kind::closed;
            if (words.size() == 1) return answer;
            return std::unexpected(fmt::format("{} stands alone behind ->", word.value));
        }
        const auto reason = word.is_quoted ? std::nullopt : parse_reason(word.value);
        if (!reason) {
            return std::unexpected(fmt::format(
                "behind -> is {}; use a reason code (success, not_authorized, 0x87), `later` or "
                "`closed`, then fields of the answer",
                word.text()));
        }
        answer.kind = Answer::Kind::reasons;
        answer.reasons.push_back(*reason);
    }
    if (words.empty()) {
        return std::unexpected("nothing stands behind ->; use a reason code, `later` or `closed`");
    }
    return answer;
}

}  // namespace mitu::sim::scenario
