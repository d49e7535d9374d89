#pragma once
// What the server itself does with devices: answers on `$mitu/things/{id}/...`, and watches who is
// there. The broker calls; mitu/node implements it on mitu/fleet.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/base/strong_id.hpp"
#include "mitu/base/time.hpp"
#include "mitu/mqtt/types.hpp"

namespace mitu::broker {

/// A message that the server publishes.
struct ServerPublish {
    TenantId tenant = tenant_default;
    std::string topic;
    std::string payload;
    mqtt::QoS qos = mqtt::QoS::at_least_once;
    bool retain = false;
};

/// The devices whose sessions live on one shard. `$mitu/things/{id}/...` is at home on the shard of
/// the session (tenant, id), so everything here stays on that shard.
/// Threading  shard-local.
class Things {
public:
    /// A device of this shard as long as it is connected; 0: the client is not a device.
    using Cookie = std::uint32_t;

    virtual ~Things() = default;
    [[nodiscard]] virtual Cookie on_attached(TenantId tenant, std::string_view client_id,
                                             Instant now,
                                             std::vector<ServerPublish>& publishes) = 0;
    /// `said_goodbye`: with DISCONNECT 0x00.
    virtual void on_detached(Cookie cookie, bool said_goodbye, Instant now) = 0;
    virtual void on_heard(Cookie cookie, Instant now) = 0;
    /// A message to `$mitu/things/{device}/{rest}` was routed.
    virtual void on_publish(TenantId tenant, std::string_view device, std::string_view rest,
                            ByteView payload, Instant now,
                            std::vector<ServerPublish>& publishes) = 0;
    [[nodiscard]] virtual Instant next_deadline() const noexcept = 0;
    virtual void on_deadline(Instant now) = 0;
};

}  // namespace mitu::broker
