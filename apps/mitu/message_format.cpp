#include "apps/mitu/message_format.hpp"

#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <vector>

#include "apps/mitu/text.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view letters = "%ACDEFIJPRSUXjlmpqrtux";

std::string iso_time(Arrival arrival) {
    const std::time_t seconds = arrival.unix_ns / 1'000'000'000;
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    char text[32];
    const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    return fmt::format("{}.{:06}Z", std::string_view{text, size},
                       arrival.unix_ns / 1'000 % 1'000'000);
}

std::string local_time(Arrival arrival, char letter) {
    const std::time_t seconds = arrival.unix_ns / 1'000'000'000;
    std::tm local{};
    ::localtime_r(&seconds, &local);
    const char form[3] = {'%', letter, '\0'};
    char text[128];
    return {text, std::strftime(text, sizeof text, form, &local)};
}

std::string print(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string joined_user_properties(const mqtt::Publish& message) {
    std::string text;
    message.properties.user.for_each([&](const mqtt::UserProperties::Pair& pair) {
        if (!text.empty()) text += ' ';
        text.append(pair.name).append(":").append(pair.value);
    });
    return text;
}

std::vector<std::uint32_t> subscription_identifiers(const mqtt::Publish& message) {
    std::vector<std::uint32_t> identifiers;
    ByteView rest = message.properties.subscription_identifiers;
    while (const auto identifier = mqtt::next_subscription_identifier(rest)) {
        identifiers.push_back(*identifier);
    }
    return identifiers;
}

std::string joined_identifiers(const mqtt::Publish& message) {
    std::string text;
    for (const std::uint32_t identifier : subscription_identifiers(message)) {
        if (!text.empty()) text += ' ';
        text += std::to_string(identifier);
    }
    return text;
}

}  // namespace

std::string_view format_help() noexcept {
    return R"(Formats (--format): %t topic, %p payload, %x payload as hex (%X upper case), %l payload bytes,
  %q QoS, %r retained, %m packet id, %I time (ISO 8601, UTC), %u and %U time (Unix; %U with
  nanoseconds), %j all as JSON, %J the same with a payload that is JSON, %% a percent sign;
  properties: %A topic alias, %C content type, %D correlation data, %E message expiry,
  %F payload format indicator, %P user properties, %R response topic, %S subscription identifiers;
  @LETTER local time as strftime has it, @@ an at sign; \n \t \r \0 \e \a \\ as in C.)";
}

Result<MessageFormat, std::string> MessageFormat::parse(std::string_view text) {
    std::string checked;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool is_last = i + 1 == text.size();
        if (c == '%') {
            if (is_last || letters.find(text[i + 1]) == std::string_view::npos) {
                return std::unexpected(
                    fmt::format("%{} means nothing; mitu sub --help lists the letters",
                                is_last ? std::string_view{} : text.substr(i + 1, 1)));
            }
            checked += c;
            checked += text[++i];
        } else if (c == '@') {
            if (is_last)
                return std::unexpected("@ at the end needs a letter; write @@ for the sign");
            checked += c;
            checked += text[++i];
        } else if (c == '\\') {
            constexpr std::string_view codes = "ntr0ea\\";
            constexpr std::string_view values{"\n\t\r\0\x1B\a\\", 7};
            const std::size_t at = is_last ? std::string_view::npos : codes.find(text[i + 1]);
            if (at == std::string_view::npos) {
                return std::unexpected(fmt::format("\\{} means nothing; write \\\\ for a backslash",
                                                   is_last ? "" : std::string{text[i + 1]}));
            }
            checked += values[at];
            ++i;
        } else {
            checked += c;
        }
    }
    return MessageFormat{std::move(checked)};
}

void MessageFormat::append(std::string& line, const mqtt::Publish& message, Arrival arrival) const {
    const mqtt::PublishProperties& properties = message.properties;
    for (std::size_t i = 0; i < text_.size(); ++i) {
        if (text_[i] == '@') {
            const char letter = text_[++i];
            line += letter == '@' ? "@" : local_time(arrival, letter);
            continue;
        }
        if (text_[i] != '%') {
            line += text_[i];
            continue;
        }
        switch (text_[++i]) {
            case '%':
                line += '%';
                break;
            case 't':
                line += message.topic;
                break;
            case 'p':
                line += as_text(message.payload);
                break;
            case 'x':
                line += to_hex(message.payload);
                break;
            case 'X':
                line += to_hex(message.payload, true);
                break;
            case 'l':
                line += std::to_string(message.payload.size());
                break;
            case 'q':
                line += static_cast<char>('0' + static_cast<int>(message.qos));
                break;
            case 'r':
                line += message.retain ? '1' : '0';
                break;
            case 'm':
                line += std::to_string(message.packet_id);
                break;
            case 'I':
                line += iso_time(arrival);
                break;
            case 'u':
                line += std::to_string(arrival.unix_ns / 1'000'000'000);
                break;
            case 'U':
                line += fmt::format("{}.{:09}", arrival.unix_ns / 1'000'000'000,
                                    arrival.unix_ns % 1'000'000'000);
                break;
            case 'j':
                line += message_json(message, arrival, false);
                break;
            case 'J':
                line += message_json(message, arrival, true);
                break;
            case 'A':
                if (properties.topic_alias) line += std::to_string(*properties.topic_alias);
                break;
            case 'C':
                line += properties.content_type.value_or("");
                break;
            case 'D':
                line += as_text(properties.correlation_data.value_or(ByteView{}));
                break;
            case 'E':
                if (properties.message_expiry_interval_s) {
                    line += std::to_string(*properties.message_expiry_interval_s);
                }
                break;
            case 'F':
                if (properties.payload_is_utf8) line += *properties.payload_is_utf8 ? '1' : '0';
                break;
            case 'P':
                line += joined_user_properties(message);
                break;
            case 'R':
                line += properties.response_topic.value_or("");
                break;
            case 'S':
                line += joined_identifiers(message);
                break;
            default:
                break;  // parse() lets no other letter through
        }
    }
}

std::string message_json(const mqtt::Publish& message, Arrival arrival, bool payload_is_json) {
    Json object;
    object["time"] = iso_time(arrival);
    object["topic"] = message.topic;
    object["qos"] = static_cast<int>(message.qos);
    object["retain"] = message.retain;
    if (message.dup) object["dup"] = true;
    if (message.packet_id != 0) object["packet_id"] = message.packet_id;

    const mqtt::PublishProperties& properties = message.properties;
    Json shown;
    if (properties.payload_is_utf8) shown["payload_is_utf8"] = *properties.payload_is_utf8;
    if (properties.message_expiry_interval_s) {
        shown["message_expiry_s"] = *properties.message_expiry_interval_s;
    }
    if (properties.topic_alias) shown["topic_alias"] = *properties.topic_alias;
    if (properties.content_type) shown["content_type"] = *properties.content_type;
    if (properties.response_topic) shown["response_topic"] = *properties.response_topic;
    if (const auto data = properties.correlation_data) {
        if (mqtt::is_valid_utf8(as_text(*data))) {
            shown["correlation_data"] = as_text(*data);
        } else {
            shown["correlation_data_hex"] = to_hex(*data);
        }
    }
    const auto identifiers = subscription_identifiers(message);
    if (!identifiers.empty()) shown["subscription_identifiers"] = identifiers;
    Json pairs = Json::array();
    properties.user.for_each([&](const mqtt::UserProperties::Pair& pair) {
        pairs.push_back(Json::array({pair.name, pair.value}));
    });
    if (!pairs.empty()) shown["user_properties"] = std::move(pairs);
    if (!shown.empty()) object["properties"] = std::move(shown);

    object["payload_bytes"] = message.payload.size();
    const std::string_view payload = as_text(message.payload);
    if (payload_is_json) {
        Json parsed = Json::parse(payload, nullptr, false);
        if (!parsed.is_discarded()) {
            object["payload"] = std::move(parsed);
            return print(object);
        }
    }
    if (mqtt::is_valid_utf8(payload)) {
        object["payload"] = payload;
    } else {
        object["payload_hex"] = to_hex(message.payload);
    }
    return print(object);
}

}  // namespace mitu::cli
