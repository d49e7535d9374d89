#pragma once
// One device's named shadow `mitu-policy`: what it should be, what it says it is.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/time.hpp"
#include "mitu/fleet/desired.hpp"

namespace mitu::fleet {

inline constexpr std::string_view shadow_name_policy = "mitu-policy";
/// A request above it is rejected with code 413.
inline constexpr std::uint32_t shadow_request_bytes_max = 8 * 1024;
/// The reported state above it, as JSON, is rejected with code 413.
inline constexpr std::uint32_t shadow_reported_bytes_max = 8 * 1024;

/// `$mitu/things/ID/shadow/name/mitu-policy/` + suffix, or the same below `$aws/`.
struct ShadowTopic {
    std::string_view device;
    std::string_view shadow;  // its name
    std::string_view suffix;  // "get", "update", "update/accepted", ...
};
/// nullopt: not the topic of a named shadow.
[[nodiscard]] std::optional<ShadowTopic> parse_shadow_topic(std::string_view topic) noexcept;
/// `$mitu/things/<device>/shadow/name/mitu-policy/<suffix>`
[[nodiscard]] std::string shadow_topic(std::string_view device, std::string_view suffix);

/// A message to publish on the shadow's topics.
struct ShadowMessage {
    std::string_view suffix;  // "get/accepted", "update/delta", ...; lives for ever
    std::string payload;
};
using ShadowMessages = std::vector<ShadowMessage>;

/// Owns what one device has reported; shares what is desired.
/// Shape      JSON as AWS IoT named shadows: state, metadata, version, timestamp (seconds),
///            clientToken. `desired` is the policy's; a device may update `reported` only, and may
///            report more than was desired. Drifted: some desired value is not reported so.
///            A null desired state (a policy without settings): there is no shadow, nothing drifts,
///            requests are rejected with 404.
/// Threading  shard-local.
/// Cost       48 bytes while the device reports exactly what is desired; otherwise the reported
///            text too. A request parses and prints JSON on the heap.
class DeviceShadow {
public:
    DeviceShadow(std::shared_ptr<const DesiredState> desired, WallTime now);
    DeviceShadow(DeviceShadow&&) noexcept;
    DeviceShadow& operator=(DeviceShadow&&) noexcept;
    ~DeviceShadow();

    /// Push rule: the answer to a connect is update/delta if the device has drifted, else nothing.
    [[nodiscard]] ShadowMessages on_connected(WallTime now) const;

    /// A publish of the device to `.../mitu-policy/<suffix>`.
    /// Shape   get -> get/accepted or get/rejected. update -> update/accepted, update/delta while
    ///         drifted, update/documents; or update/rejected. delete -> delete/rejected (403). Any
    ///         other suffix: nothing.
    /// Errors  in the rejection: 400 not JSON, no state, nested too deep, bad version or token; 403
    ///         an update of desired; 404 no settings; 409 version conflict; 413 too large.
    [[nodiscard]] ShadowMessages on_request(std::string_view suffix, std::string_view payload,
                                            WallTime now);

    /// The policy changed. The answer is update/delta if that made a drift (publish it if
    /// connected).
    [[nodiscard]] ShadowMessages set_desired(std::shared_ptr<const DesiredState> desired,
                                             WallTime now);

    [[nodiscard]] bool drifted() const noexcept { return drifted_; }
    /// When the present drift began; meaningless while not drifted.
    [[nodiscard]] WallTime drifted_since() const noexcept { return drifted_since_; }
    [[nodiscard]] std::uint32_t version() const noexcept { return version_; }
    [[nodiscard]] const std::shared_ptr<const DesiredState>& desired() const noexcept {
        return desired_;
    }
    /// The reported `revision`, as far as the device has reported one.
    [[nodiscard]] std::optional<std::uint32_t> reported_revision() const;
    /// XXH3 of the reported state, keys sorted; 0: nothing reported.
    [[nodiscard]] std::uint64_t reported_hash() const;
    /// The reported state as JSON; empty: nothing reported.
    [[nodiscard]] std::string reported_json() const;

private:
    struct Reported;
    struct Documents;
    struct Request;

    [[nodiscard]] Documents documents() const;
    void keep(const Documents& documents, std::uint32_t at_s);
    void judge(const Documents& documents, WallTime now);
    [[nodiscard]] std::string delta_text(const Documents& documents, WallTime now,
                                         const std::string& client_token) const;
    [[nodiscard]] ShadowMessages on_get(std::string_view payload, WallTime now) const;
    [[nodiscard]] ShadowMessages on_update(std::string_view payload, WallTime now);

    std::shared_ptr<const DesiredState> desired_;
    std::unique_ptr<Reported> reported_;  // only while it is not exactly what is desired
    WallTime drifted_since_;
    std::uint32_t desired_at_s_ = 0;
    std::uint32_t reported_at_s_ = 0;  // while reports_desired_
    std::uint32_t version_ = 1;
    bool reports_desired_ = false;
    bool drifted_ = false;
};

}  // namespace mitu::fleet
