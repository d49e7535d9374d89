#pragma once
// FleetThings: the devices of one shard: who is there, what they report, who is silent.

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "mitu/broker/things.hpp"
#include "mitu/broker/timer_queue.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/fleet/heartbeat.hpp"
#include "mitu/fleet/shadow.hpp"
#include "mitu/fleet/status.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::node {

/// Keeps shadow and heartbeat of each device that was seen on this shard, answers on its shadow
/// topics, and keeps the shard's rows of the fleet's status.
/// Lifetime   `clock` and `status` outlive it.
/// Threading  shard-local; the status may be read by any thread.
class FleetThings final : public broker::Things {
public:
    FleetThings(std::shared_ptr<const fleet::Catalog> catalog, const ports::Clock& clock,
                fleet::ShardStatus& status);

    [[nodiscard]] Cookie on_attached(TenantId tenant, std::string_view client_id, Instant now,
                                     std::vector<broker::ServerPublish>& publishes) override;
    void on_detached(Cookie cookie, bool said_goodbye, Instant now) override;
    void on_heard(Cookie cookie, Instant now) override;
    void on_publish(TenantId tenant, std::string_view device, std::string_view rest,
                    ByteView payload, Instant now,
                    std::vector<broker::ServerPublish>& publishes) override;
    [[nodiscard]] Instant next_deadline() const noexcept override { return timers_.next(); }
    void on_deadline(Instant now) override;

private:
    struct Thing {
        fleet::DeviceShadow shadow;
        fleet::Heartbeat heartbeat;
        fleet::DeviceIndex device;
        fleet::GroupIndex group;
        Duration heartbeat_timeout;
        Instant timer_at = Instant::never();
        bool seen = false;
        bool online = false;
        bool counted_drifted = false;
    };

    /// A client that is not a device but counts as online.
    static constexpr Cookie anonymous = 0xFFFF'FFFF;

    [[nodiscard]] std::uint32_t find_or_add(const fleet::Device& device);
    void note_change(Thing& thing, fleet::Heartbeat::Change change);
    void note_drift(Thing& thing);
    void arm(std::uint32_t index);
    static void publish(const fleet::Device& device, fleet::ShadowMessages messages,
                        std::vector<broker::ServerPublish>& publishes);

    std::shared_ptr<const fleet::Catalog> catalog_;
    const ports::Clock& clock_;
    fleet::ShardStatus& status_;
    std::vector<Thing> things_;  // Cookie - 1
    std::unordered_map<fleet::DeviceIndex, std::uint32_t> by_device_;
    broker::TimerQueue timers_;
};

}  // namespace mitu::node
