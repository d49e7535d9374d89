// Topics, retained messages, publishing.

#include <fmt/format.h>

#include <algorithm>

#include "mitu/api/operation.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::api {
namespace {

Json topic_json(const TopicInfo& topic) {
    return {{"tenant", topic.tenant},
            {"topic", topic.topic},
            {"retained", topic.retained},
            {"subscriptions", topic.subscriptions}};
}

Json retained_json(const RetainedInfo& retained) {
    return {{"tenant", retained.tenant},
            {"topic", retained.topic},
            {"qos", retained.qos},
            {"payload_bytes", retained.payload_bytes},
            {"expires_in_s", retained.expires_in_s ? Json(*retained.expires_in_s) : Json(nullptr)}};
}

/// Bytes as text where they are UTF-8, else as base64.
void put_bytes(Json& json, const char* name, ByteView bytes) {
    const std::string_view text = as_text(bytes);
    // mqtt's check refuses U+0000, which JSON could carry but people could not see.
    const bool is_text = text.empty() || mqtt::is_valid_utf8(text);
    json[name] = is_text ? std::string{text} : to_base64(text);
    json[fmt::format("{}_encoding", name)] = is_text ? "text" : "base64";
}

Json message_json(const Message& message) {
    Json json{{"tenant", message.tenant},
              {"topic", message.topic},
              {"qos", message.qos},
              {"retain", message.retain}};
    put_bytes(json, "payload", message.payload);
    if (message.expiry_s) json["expiry_s"] = *message.expiry_s;
    if (message.payload_is_utf8) json["payload_is_utf8"] = *message.payload_is_utf8;
    if (message.content_type) json["content_type"] = *message.content_type;
    if (message.response_topic) json["response_topic"] = *message.response_topic;
    if (message.correlation_data) {
        json["correlation_data"] = to_base64(as_text(*message.correlation_data));
    }
    if (!message.user_properties.empty()) {
        Json pairs = Json::array();
        for (const auto& [name, value] : message.user_properties) {
            pairs.push_back({{"name", name}, {"value", value}});
        }
        json["user_properties"] = std::move(pairs);
    }
    return json;
}

Answer<void> check_topic(std::string_view topic) {
    constexpr std::size_t levels_max = 128;  // as the broker's
    const bool is_deep = std::count(topic.begin(), topic.end(), '/') >= std::ptrdiff_t{levels_max};
    if (!mqtt::is_valid_topic_name(topic) || is_deep) {
        return refuse(Code::topic_invalid,
                      "topic has to have 1..65535 bytes of UTF-8 and up to 128 levels, without + # "
                      "and zero bytes");
    }
    return {};
}

/// What devices and the server say to each other there is not for others to say.
Answer<void> check_may_change(std::string_view topic) {
    if (!topic.starts_with('$')) return {};
    return refuse(Code::topic_reserved, fmt::format("{}: topics with $ are the server's", topic));
}

Answer<Bytes> read_bytes(const Json& json, const char* name) {
    const auto text = json.value(name, std::string{});
    if (json.value(fmt::format("{}_encoding", name), std::string{"text"}) == "text") {
        return to_bytes(as_bytes(text));
    }
    std::string bytes;
    if (!from_base64(text, bytes)) {
        return refuse(Code::body_invalid, fmt::format("{} is not base64", name));
    }
    return to_bytes(as_bytes(bytes));
}

/// JSON can say U+0000, which no MQTT text may have: who gets it has to hang up, and a retained one
/// waits for each that comes back [MQTT-1.5.4-2].
Answer<void> check_text(std::string_view name, std::string_view text) {
    if (text.empty() || mqtt::is_valid_utf8(text)) return {};
    return refuse(Code::body_invalid, fmt::format("{} has a zero byte, or is not UTF-8", name));
}

Answer<void> check_texts(const Message& message) {
    if (message.payload_is_utf8.value_or(false)) {
        const std::string_view payload = as_text(message.payload);
        if (!payload.empty() && !mqtt::is_valid_utf8(payload)) {
            return refuse(
                Code::body_invalid,
                "payload_is_utf8 is true, but the payload is not text without zero bytes");
        }
    }
    if (message.content_type) {
        if (auto good = check_text("content_type", *message.content_type); !good) return good;
    }
    for (const auto& [name, value] : message.user_properties) {
        if (auto good = check_text("user_properties", name); !good) return good;
        if (auto good = check_text("user_properties", value); !good) return good;
    }
    return {};
}

/// All but tenant and topic. The schema has been kept to.
Answer<Message> read_message(const Json& json) {
    Message message;
    auto payload = read_bytes(json, "payload");
    if (!payload) return std::unexpected(payload.error());
    message.payload = std::move(*payload);
    message.qos = json.value("qos", std::uint8_t{0});
    message.retain = json.value("retain", false);
    if (json.contains("expiry_s")) message.expiry_s = json["expiry_s"].get<std::uint32_t>();
    if (json.contains("payload_is_utf8")) message.payload_is_utf8 = json["payload_is_utf8"];
    if (json.contains("content_type")) message.content_type = json["content_type"];
    if (json.contains("response_topic")) {
        message.response_topic = json["response_topic"].get<std::string>();
        if (!mqtt::is_valid_topic_name(*message.response_topic)) {
            return refuse(Code::topic_invalid, "response_topic is not a topic name");
        }
    }
    if (json.contains("correlation_data")) {
        std::string bytes;
        if (!from_base64(json["correlation_data"].get<std::string>(), bytes)) {
            return refuse(Code::body_invalid, "correlation_data is not base64");
        }
        message.correlation_data = to_bytes(as_bytes(bytes));
    }
    if (json.contains("user_properties")) {
        for (const Json& pair : json["user_properties"]) {
            message.user_properties.emplace_back(pair["name"], pair["value"]);
        }
    }
    if (auto good = check_texts(message); !good) return std::unexpected(good.error());
    return message;
}

/// A message of the body of /publish: whose it is, and where it goes.
Answer<PublishInfo> publish_one(Call& call, const Json& json) {
    auto message = read_message(json);
    if (!message) return std::unexpected(message.error());
    message->topic = json["topic"].get<std::string>();
    std::optional<std::string> named;
    if (json.contains("tenant")) named = json["tenant"].get<std::string>();
    if (!named && !call.principal.tenant) named = "default";
    const auto scope = call.scope(named);
    if (!scope) return std::unexpected(scope.error());
    message->tenant = **scope;
    if (auto good = check_topic(message->topic); !good) return std::unexpected(good.error());
    if (auto may = check_may_change(message->topic); !may) return std::unexpected(may.error());
    return call.services.backends.broker->publish(*message);
}

Answer<Reply> publish(Call& call) {
    call.audit.emplace_back("tenant", call.body.value("tenant", ""));
    call.audit.emplace_back("topic", call.body["topic"].get<std::string>());
    const auto published = publish_one(call, call.body);
    if (!published) return std::unexpected(published.error());
    return Reply{200, Json{{"recipients", published->recipients}}};
}

Answer<Reply> publish_batch(Call& call) {
    const Json& messages = call.body["messages"];
    call.audit.emplace_back("messages", std::to_string(messages.size()));
    Json results = Json::array();
    std::optional<Error> stopped;  // a shard that is silent would be so for each of them
    for (const Json& message : messages) {
        const auto published =
            stopped ? Answer<PublishInfo>{std::unexpected(*stopped)} : publish_one(call, message);
        if (published) {
            results.push_back(Json{{"recipients", published->recipients}});
            continue;
        }
        const Error& error = published.error();
        if (error.code == Code::shard_silent || error.code == Code::overloaded) {
            if (!stopped) {
                stopped =
                    Error{Code::overloaded, "not tried, because one before it: " + error.message};
            }
        }
        results.push_back(Json{{"error",
                                {{"code", static_cast<int>(error.code)},
                                 {"message", error.message},
                                 {"details", Json::object()}}}});
    }
    return Reply{200, Json{{"results", std::move(results)}}};
}

Answer<TopicQuery> topic_query(Call& call) {
    const auto scope = call.scope(call.request.query("tenant"));
    if (!scope) return std::unexpected(scope.error());
    TopicQuery query{*scope, std::string{call.request.query("filter").value_or("")}};
    if (!query.filter.empty() &&
        (!mqtt::is_valid_topic_filter(query.filter) || mqtt::parse_shared(query.filter))) {
        return refuse(Code::filter_invalid, "filter is not a topic filter, or a shared one");
    }
    return query;
}

Answer<Reply> list_topics(Call& call) {
    const auto query = topic_query(call);
    if (!query) return std::unexpected(query.error());
    const auto page = call.page();
    if (!page) return std::unexpected(page.error());
    const auto listing = call.services.backends.broker->topics(*query, *page);
    if (!listing) return std::unexpected(listing.error());
    return listing_reply(*listing, topic_json);
}

Answer<Reply> list_retained(Call& call) {
    const auto query = topic_query(call);
    if (!query) return std::unexpected(query.error());
    const auto page = call.page();
    if (!page) return std::unexpected(page.error());
    const auto listing = call.services.backends.broker->retained(*query, *page);
    if (!listing) return std::unexpected(listing.error());
    return listing_reply(*listing, retained_json);
}

struct Place {
    TenantName tenant;
    std::string topic;
};
Answer<Place> place_of(Call& call) {
    auto tenant = call.tenant();
    if (!tenant) return std::unexpected(tenant.error());
    Place place{std::move(*tenant), call.param("topic")};
    if (auto good = check_topic(place.topic); !good) return std::unexpected(good.error());
    return place;
}

Answer<Reply> get_retained(Call& call) {
    const auto place = place_of(call);
    if (!place) return std::unexpected(place.error());
    const auto message =
        call.services.backends.broker->retained_message(place->tenant, place->topic);
    if (!message) return std::unexpected(message.error());
    return Reply{200, message_json(*message)};
}

Answer<Reply> put_retained(Call& call) {
    const auto place = place_of(call);
    if (!place) return std::unexpected(place.error());
    if (auto may = check_may_change(place->topic); !may) return std::unexpected(may.error());
    auto message = read_message(call.body);
    if (!message) return std::unexpected(message.error());
    if (message->payload.empty()) {
        return refuse(Code::body_invalid, "an empty payload would retain nothing; use DELETE");
    }
    message->tenant = place->tenant;
    message->topic = place->topic;
    message->retain = true;
    const auto published = call.services.backends.broker->publish(*message);
    if (!published) return std::unexpected(published.error());
    return Reply{200, Json{{"recipients", published->recipients}}};
}

Answer<Reply> delete_retained(Call& call) {
    const auto place = place_of(call);
    if (!place) return std::unexpected(place.error());
    if (auto may = check_may_change(place->topic); !may) return std::unexpected(may.error());
    const auto deleted =
        call.services.backends.broker->delete_retained(place->tenant, place->topic);
    if (!deleted) return std::unexpected(deleted.error());
    return Reply{204};
}

}  // namespace

std::vector<Operation> message_operations() {
    const Parameter tenant{"tenant", "string", "of this tenant only"};
    const Parameter filter{"filter", "string", "topics that this filter matches"};
    return {
        {.method = "GET",
         .path = "/topics",
         .id = "list_topics",
         .tag = "topics",
         .summary = "Topics with a retained message, or subscribed to by their exact name",
         .query = with_page({tenant, filter}),
         .answer = "TopicListing",
         .errors = {Code::filter_invalid, Code::overloaded},
         .handler = list_topics},
        {.method = "GET",
         .path = "/retained",
         .id = "list_retained",
         .tag = "retained",
         .summary = "Retained messages, without their payload",
         .query = with_page({tenant, filter}),
         .answer = "RetainedListing",
         .errors = {Code::filter_invalid, Code::overloaded},
         .handler = list_retained},
        {.method = "GET",
         .path = "/retained/{tenant}/{topic...}",
         .id = "get_retained",
         .tag = "retained",
         .summary = "One retained message",
         .answer = "Message",
         .errors = {Code::retained_unknown, Code::topic_invalid, Code::shard_silent},
         .handler = get_retained},
        {.method = "PUT",
         .path = "/retained/{tenant}/{topic...}",
         .id = "put_retained",
         .tag = "retained",
         .summary = "Publishes a message and retains it",
         .needs = Needs::operator_role,
         .body = "RetainedContent",
         .answer = "Published",
         .errors = {Code::topic_invalid, Code::topic_reserved, Code::quota_exceeded,
                    Code::shard_silent, Code::overloaded},
         .handler = put_retained},
        {.method = "DELETE",
         .path = "/retained/{tenant}/{topic...}",
         .id = "delete_retained",
         .tag = "retained",
         .summary = "Forgets a retained message; subscribers are not told",
         .needs = Needs::operator_role,
         .status = 204,
         .errors = {Code::retained_unknown, Code::topic_invalid, Code::topic_reserved,
                    Code::shard_silent},
         .handler = delete_retained},
        {.method = "POST",
         .path = "/publish",
         .id = "publish",
         .tag = "publish",
         .summary = "Publishes one message as the server",
         .needs = Needs::operator_role,
         .body = "PublishRequest",
         .answer = "Published",
         .errors = {Code::topic_invalid, Code::topic_reserved, Code::tenant_unknown,
                    Code::quota_exceeded, Code::shard_silent, Code::overloaded},
         .handler = publish},
        {.method = "POST",
         .path = "/publish/batch",
         .id = "publish_batch",
         .tag = "publish",
         .summary = "Publishes up to 1000 messages, in order; each has a result of its own",
         .needs = Needs::operator_role,
         .body = "PublishBatch",
         .answer = "PublishResults",
         .handler = publish_batch},
    };
}

}  // namespace mitu::api
