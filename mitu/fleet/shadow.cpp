#include "mitu/fleet/shadow.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "mitu/base/hash.hpp"
#include "mitu/fleet/desired_document.hpp"
#include "mitu/fleet/shadow_json.hpp"

namespace mitu::fleet {
namespace {

using nlohmann::json;

constexpr std::size_t reported_depth_max = 6;
constexpr int request_depth_max = 8;  // state, reported and what is in it
constexpr std::size_t client_token_bytes_max = 64;

std::uint32_t seconds_of(WallTime time) noexcept {
    const std::int64_t s = time.unix_ms / 1'000;
    return static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(s, 0, std::numeric_limits<std::uint32_t>::max()));
}

struct Rejection {
    int code = 400;
    std::string_view message;
};

std::string rejection_text(const Rejection& rejection, WallTime now,
                           const std::string& client_token) {
    json body{
        {"code", rejection.code}, {"message", rejection.message}, {"timestamp", seconds_of(now)}};
    if (!client_token.empty()) body["clientToken"] = client_token;
    return body.dump();
}

/// Parses with a bound on depth, so that nothing behind this needs one. discarded: not JSON.
json parse_request(std::string_view payload, bool& too_deep) {
    too_deep = false;
    const auto bound = [&too_deep](int depth, json::parse_event_t event, json&) {
        const bool opens =
            event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
        if (opens && depth >= request_depth_max) too_deep = true;
        return !too_deep;
    };
    return json::parse(payload, bound, false);
}

std::optional<std::string_view> cut_prefix(std::string_view text, std::string_view prefix) {
    if (!text.starts_with(prefix)) return std::nullopt;
    return text.substr(prefix.size());
}

}  // namespace

std::optional<ShadowTopic> parse_shadow_topic(std::string_view topic) noexcept {
    auto rest = cut_prefix(topic, "$mitu/things/");
    if (!rest) rest = cut_prefix(topic, "$aws/things/");
    if (!rest) return std::nullopt;
    constexpr std::string_view middle = "/shadow/name/";
    const std::size_t slash = rest->find('/');
    if (slash == 0 || slash == std::string_view::npos) return std::nullopt;
    const auto named = cut_prefix(rest->substr(slash), middle);
    if (!named) return std::nullopt;
    const std::size_t end = named->find('/');
    if (end == 0 || end == std::string_view::npos) return std::nullopt;
    return ShadowTopic{rest->substr(0, slash), named->substr(0, end), named->substr(end + 1)};
}

std::string shadow_topic(std::string_view device, std::string_view suffix) {
    return fmt::format("$mitu/things/{}/shadow/name/{}/{}", device, shadow_name_policy, suffix);
}

/// JSON text: parsed values would take several times the room.
struct DeviceShadow::Reported {
    std::string state;
    std::string metadata;
};

/// The whole shadow, for the length of one request.
struct DeviceShadow::Documents {
    const json* desired = nullptr;
    json desired_metadata;
    json reported;  // null: nothing reported
    json reported_metadata;
    std::uint32_t version = 0;

    [[nodiscard]] json delta() const { return shadow_delta(*desired, reported); }
    /// {"state":..., "metadata":..., "version":N}
    [[nodiscard]] json whole() const {
        json body{{"state", {{"desired", *desired}}},
                  {"metadata", {{"desired", desired_metadata}}},
                  {"version", version}};
        if (!reported.is_null()) {
            body["state"]["reported"] = reported;
            body["metadata"]["reported"] = reported_metadata;
        }
        return body;
    }
};

/// An update, as far as it could be read.
struct DeviceShadow::Request {
    std::optional<Rejection> rejection;
    std::string client_token;
    json reported;

    static Request read(std::string_view payload, std::uint32_t version) {
        Request request;
        if (payload.size() > shadow_request_bytes_max) {
            request.rejection = {413, "The payload exceeds the maximum size allowed"};
            return request;
        }
        bool too_deep = false;
        json body = parse_request(payload, too_deep);
        if (too_deep) {
            request.rejection = {400, "JSON contains too many levels of nesting; maximum is 6"};
        } else if (!body.is_object()) {
            request.rejection = {400, "Invalid JSON"};
        } else {
            request.rejection = request.take(body, version);
        }
        return request;
    }
    /// Only the token, of a request whose rest does not matter.
    static Request read_token(std::string_view payload) {
        Request request;
        if (payload.empty()) return request;
        if (payload.size() > shadow_request_bytes_max) {
            request.rejection = {413, "The payload exceeds the maximum size allowed"};
            return request;
        }
        bool too_deep = false;
        const json body = parse_request(payload, too_deep);
        if (too_deep || !body.is_object()) {
            request.rejection = {400, "Invalid JSON"};
        } else if (!request.take_token(body)) {
            request.rejection = {400, "Invalid clientToken"};
        }
        return request;
    }

private:
    bool take_token(const json& body) {
        const auto token = body.find("clientToken");
        if (token == body.end()) return true;
        if (!token->is_string()) return false;
        const auto& text = token->get_ref<const std::string&>();
        if (text.size() > client_token_bytes_max) return false;
        client_token = text;
        return true;
    }
    std::optional<Rejection> take(json& body, std::uint32_t version) {
        if (!take_token(body)) return Rejection{400, "Invalid clientToken"};
        const auto state = body.find("state");
        if (state == body.end()) return Rejection{400, "Missing required node: state"};
        if (!state->is_object()) return Rejection{400, "State node must be an object"};
        for (const auto& [key, value] : state->items()) {
            if (key == "desired") {
                return Rejection{403, "Forbidden: the policy sets desired; update reported only"};
            }
            if (key != "reported") return Rejection{400, "State contains an invalid node"};
        }
        const auto update = state->find("reported");
        if (update == state->end()) return Rejection{400, "Missing required node: reported"};
        if (!update->is_object() && !update->is_null()) {
            return Rejection{400, "Reported node must be an object"};
        }
        if (json_depth(*update) > reported_depth_max) {
            return Rejection{400, "JSON contains too many levels of nesting; maximum is 6"};
        }
        if (const auto expected = body.find("version"); expected != body.end()) {
            if (!expected->is_number_unsigned()) return Rejection{400, "Invalid version"};
            if (*expected != version) return Rejection{409, "Version conflict"};
        }
        reported = std::move(*update);
        return std::nullopt;
    }
};

DeviceShadow::DeviceShadow(std::shared_ptr<const DesiredState> desired, WallTime now)
    : desired_{std::move(desired)},
      drifted_since_{now},
      desired_at_s_{seconds_of(now)},
      drifted_{desired_ != nullptr} {}

DeviceShadow::DeviceShadow(DeviceShadow&&) noexcept = default;
DeviceShadow& DeviceShadow::operator=(DeviceShadow&&) noexcept = default;
DeviceShadow::~DeviceShadow() = default;

DeviceShadow::Documents DeviceShadow::documents() const {
    Documents result;
    result.version = version_;
    if (desired_) {
        result.desired = &desired_->document().value;
        result.desired_metadata = shadow_metadata(*result.desired, desired_at_s_);
    }
    if (reports_desired_) {
        result.reported = *result.desired;
        result.reported_metadata = shadow_metadata(result.reported, reported_at_s_);
    } else if (reported_) {
        result.reported = json::parse(reported_->state);
        result.reported_metadata = json::parse(reported_->metadata);
    }
    return result;
}

void DeviceShadow::keep(const Documents& documents, std::uint32_t at_s) {
    reports_desired_ = desired_ != nullptr && documents.reported == *documents.desired;
    if (reports_desired_) {
        // One time for the whole is kept: that of the report which completed it.
        reported_at_s_ = at_s;
        reported_.reset();
    } else if (documents.reported.is_null()) {
        reported_.reset();
    } else {
        reported_ = std::make_unique<Reported>(
            Reported{documents.reported.dump(), documents.reported_metadata.dump()});
    }
}

void DeviceShadow::judge(const Documents& documents, WallTime now) {
    const bool drifts = desired_ != nullptr && !documents.delta().is_null();
    if (drifts && !drifted_) drifted_since_ = now;
    drifted_ = drifts;
}

std::string DeviceShadow::delta_text(const Documents& documents, WallTime now,
                                     const std::string& client_token) const {
    const json delta = documents.delta();
    json body{{"state", delta},
              {"metadata", shadow_metadata_of(documents.desired_metadata, delta)},
              {"version", version_},
              {"timestamp", seconds_of(now)}};
    if (!client_token.empty()) body["clientToken"] = client_token;
    return body.dump();
}

ShadowMessages DeviceShadow::on_connected(WallTime now) const {
    ShadowMessages messages;
    if (drifted_) messages.push_back({"update/delta", delta_text(documents(), now, "")});
    return messages;
}

ShadowMessages DeviceShadow::on_request(std::string_view suffix, std::string_view payload,
                                        WallTime now) {
    if (suffix == "get") return on_get(payload, now);
    if (suffix == "update") return on_update(payload, now);
    if (suffix != "delete") return {};
    Request request = Request::read_token(payload);
    if (!request.rejection) {
        request.rejection = {403, "Forbidden: the policy's shadow cannot be deleted"};
    }
    ShadowMessages messages;
    messages.push_back(
        {"delete/rejected", rejection_text(*request.rejection, now, request.client_token)});
    return messages;
}

ShadowMessages DeviceShadow::on_get(std::string_view payload, WallTime now) const {
    Request request = Request::read_token(payload);
    if (!request.rejection && !desired_) {
        request.rejection = {404, "No shadow exists with name: mitu-policy"};
    }
    ShadowMessages messages;
    if (request.rejection) {
        messages.push_back(
            {"get/rejected", rejection_text(*request.rejection, now, request.client_token)});
        return messages;
    }
    const Documents all = documents();
    json body = all.whole();
    if (json delta = all.delta(); !delta.is_null()) body["state"]["delta"] = std::move(delta);
    body["timestamp"] = seconds_of(now);
    if (!request.client_token.empty()) body["clientToken"] = request.client_token;
    messages.push_back({"get/accepted", body.dump()});
    return messages;
}

ShadowMessages DeviceShadow::on_update(std::string_view payload, WallTime now) {
    Request request = Request::read(payload, version_);
    if (!request.rejection && !desired_) {
        request.rejection = {404, "No shadow exists with name: mitu-policy"};
    }
    Documents all = documents();
    json previous;
    if (!request.rejection) {
        previous = all.whole();
        if (request.reported.is_null()) {
            all.reported = nullptr;
            all.reported_metadata = nullptr;
        } else {
            shadow_merge(all.reported, all.reported_metadata, request.reported, seconds_of(now));
        }
        if (all.reported.dump().size() > shadow_reported_bytes_max) {
            request.rejection = {413, "The payload exceeds the maximum size allowed"};
        }
    }
    ShadowMessages messages;
    if (request.rejection) {
        messages.push_back(
            {"update/rejected", rejection_text(*request.rejection, now, request.client_token)});
        return messages;
    }
    all.version = ++version_;
    keep(all, seconds_of(now));
    judge(all, now);

    json accepted{
        {"state", {{"reported", request.reported}}},
        {"metadata", {{"reported", shadow_metadata_of(all.reported_metadata, request.reported)}}},
        {"version", version_},
        {"timestamp", seconds_of(now)}};
    json both{{"previous", std::move(previous)},
              {"current", all.whole()},
              {"timestamp", seconds_of(now)}};
    if (!request.client_token.empty()) {
        accepted["clientToken"] = request.client_token;
        both["clientToken"] = request.client_token;
    }
    messages.push_back({"update/accepted", accepted.dump()});
    if (drifted_) {
        messages.push_back({"update/delta", delta_text(all, now, request.client_token)});
    }
    messages.push_back({"update/documents", both.dump()});
    return messages;
}

ShadowMessages DeviceShadow::set_desired(std::shared_ptr<const DesiredState> desired,
                                         WallTime now) {
    const bool same = desired_ && desired && desired_->hash() == desired->hash();
    if (same || (!desired_ && !desired)) {
        desired_ = std::move(desired);
        return {};
    }
    Documents all = documents();  // what is reported, before its meaning changes
    desired_ = std::move(desired);
    desired_at_s_ = seconds_of(now);
    all.desired = desired_ ? &desired_->document().value : nullptr;
    all.desired_metadata = desired_ ? shadow_metadata(*all.desired, desired_at_s_) : json{};
    all.version = ++version_;
    keep(all, reports_desired_ ? reported_at_s_ : seconds_of(now));
    judge(all, now);
    ShadowMessages messages;
    if (drifted_) messages.push_back({"update/delta", delta_text(all, now, "")});
    return messages;
}

std::optional<std::uint32_t> DeviceShadow::reported_revision() const {
    if (reports_desired_) return desired_->revision();
    if (!reported_) return std::nullopt;
    const json state = json::parse(reported_->state);
    const auto revision = state.find("revision");
    if (revision == state.end() || !revision->is_number_unsigned()) return std::nullopt;
    const auto number = revision->get<std::uint64_t>();
    if (number > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
    return static_cast<std::uint32_t>(number);
}

std::uint64_t DeviceShadow::reported_hash() const {
    if (reports_desired_) return desired_->hash();
    return reported_ ? hash_bytes(reported_->state) : 0;
}

std::string DeviceShadow::reported_json() const {
    if (reports_desired_) return desired_->json();
    return reported_ ? reported_->state : std::string{};
}

}  // namespace mitu::fleet
