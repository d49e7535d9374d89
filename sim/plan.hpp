#pragma once
// Plan: everything that a seed draws before its run begins: the server's limits, who is there, what
// each of them tries, and when. A run can leave parts of a plan out; the rest stays what it was.

#include <cstdint>
#include <string>
#include <vector>

#include "mitu/broker/testing/peer.hpp"
#include "sim/link.hpp"
#include "sim/world.hpp"

namespace mitu::sim {

enum class Act : std::uint8_t {
    connect,     // a connection that is still open is left behind: a take-over
    disconnect,  // `reason`; `expiry_s`, if it is to change
    close,       // without DISCONNECT
    reset,
    fall_silent,  // no PINGREQ any more
    publish,      // `count` messages
    subscribe,
    unsubscribe,
    ping,
    cut_up,    // the network takes nothing from the client any more
    cut_down,  // nothing reaches the client any more
    mend,
    slow,  // the client reads in small sips
    fast,
    hold_acks,
    release_acks,
    garbage,  // bytes that are no packet
    exceed,   // a packet above the server's maximum, or more of them than it takes at once
    hurry,    // the connection breaks; it comes back at once, and so the next `count` times
};
[[nodiscard]] std::string_view to_text(Act act) noexcept;

struct Action {
    Duration at;  // from the beginning of the run
    Act act = Act::ping;
    std::string topic{};  // or filter
    std::uint32_t count = 1;
    std::uint32_t size_bytes = 0;
    broker::testing::PublishOptions publish{};
    broker::testing::SubscribeOptions subscribe{};
    broker::testing::ConnectOptions connect{};
    mqtt::ReasonCode reason = mqtt::ReasonCode::success;
    std::optional<std::uint32_t> expiry_s{};
    bool has_wrong_password = false;
};

enum class Role : std::uint8_t {
    witness,    // subscribes to what it can, and stays: what it misses is a fault
    publisher,  // its session mostly stays
    member,     // of a shared subscription
    wanderer,   // comes, goes, subscribes and unsubscribes
    device,     // mitu::client::DeviceAgent: heartbeats, telemetry, policy
};
[[nodiscard]] std::string_view to_text(Role role) noexcept;

struct ActorPlan {
    Role role = Role::wanderer;
    std::string client_id;
    std::string tenant;  // "default": anonymous
    std::uint64_t seed = 0;
    bool stays = true;  // connects again by itself
    LinkConditions link{};
    std::vector<Action> actions;
};

struct ServerPlan {
    enum class Kind : std::uint8_t {
        kill,
        stop,
        power,      // the machine goes too, and what was not synced
        in_commit,  // the process ends within a write
        power_in_commit,
    };
    Duration at;
    Kind kind = Kind::kill;
    Duration down_for;
    std::uint32_t revision = 1;    // of the policies that the next server reads
    std::uint64_t operations = 0;  // in_commit: so many of the disk are still done
};
[[nodiscard]] std::string_view to_text(ServerPlan::Kind kind) noexcept;

/// What befalls the disk.
struct DiskPlan {
    enum class Kind : std::uint8_t { fill, fail, slow, mend };
    Duration at;
    Kind kind = Kind::mend;
    std::uint64_t bytes_left = 0;         // fill
    store::VirtualDisk::Faults faults{};  // fail
    Duration commit_time_max{};           // slow
};
[[nodiscard]] std::string to_text(const DiskPlan& disk);

/// What the operator does to the running server.
struct OrderPlan {
    enum class Kind : std::uint8_t { ban, lift_bans, limits, places, memory, reload };
    Duration at;
    Kind kind = Kind::ban;
    std::string tenant{};  // limits
    Authority::BanOrder ban{};
    Duration ban_for{};  // 0: until it is lifted
    admission::TenantLimits limits{};
    std::uint64_t connections_max = admission::no_maximum;  // places: of the whole server
    std::uint32_t memory_bp = 0;
    Rights rights = usual_rights;
};
[[nodiscard]] std::string to_text(const OrderPlan& order);

struct Plan {
    std::uint64_t seed = 0;
    WorldOptions world{};
    Duration storm;  // how long; then faults end and everybody comes back
    std::vector<ActorPlan> actors;
    std::vector<ServerPlan> restarts;
    std::vector<OrderPlan> orders;
    std::vector<DiskPlan> disk;
    bool crashes_at_the_end = false;  // once more, before all is checked
};

[[nodiscard]] Plan draw_plan(std::uint64_t seed);
/// Adds what puts tenants and their quotas to the test; most plans stay as they are
/// (plan_unrest.cpp).
void draw_unrest(Prng& prng, Plan& plan);
/// Gives some plans a store, and crashes that it has to outlive (plan_crashes.cpp).
void draw_crashes(Prng& prng, Plan& plan);

}  // namespace mitu::sim
