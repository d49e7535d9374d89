#pragma once
// The named shadow `mitu-policy` as a device sees it: documents in, documents out. Pure text work.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"

namespace mitu::client {

/// Intervals that a policy's settings may name. Only sensible ones are taken (above 0, at most a
/// day).
struct SettingsIntervals {
    /// telemetry_interval_s, sample_interval_s, report_interval_s, or 1 / sample_hz; the first
    /// found.
    std::optional<Duration> telemetry;
    std::optional<Duration> heartbeat;  // heartbeat_interval_s
};

/// What `.../get/accepted` says.
struct PolicyDocument {
    std::int64_t version = 0;   // of the shadow
    std::int64_t revision = 0;  // of the desired policy; 0: none is desired
    bool has_desired = false;
    /// The reported state equals the desired one: nothing is to be done.
    bool in_step = false;
    std::string settings;  // JSON object
    /// What has to be reported once the settings are applied: the desired state, and null for every
    /// key that was reported before and is desired no more, because a shadow merges what it is
    /// told.
    std::string reported;
    SettingsIntervals intervals;
};

/// Errors  a text for people: what is wrong with the document.
/// Shape   `json` is at most 64 levels deep.
[[nodiscard]] Result<PolicyDocument, std::string> read_policy_document(std::string_view json);

/// `.../update/delta`, of which only this is needed: the device then gets the whole document, since
/// a delta does not name keys that are desired no more.
/// Shape  nullopt: not a delta.
[[nodiscard]] std::optional<std::int64_t> read_delta_version(std::string_view json);

/// `.../update/accepted`, and `.../rejected` of both kinds.
struct ShadowAnswer {
    std::int64_t version = 0;
    std::int64_t code = 0;  // rejected: as HTTP has them
    std::string message;
    std::string client_token;
};
[[nodiscard]] Result<ShadowAnswer, std::string> read_shadow_answer(std::string_view json);

/// The payload of `.../update`. `reported` is PolicyDocument::reported.
[[nodiscard]] std::string write_report(std::string_view reported, std::string_view client_token);

}  // namespace mitu::client
