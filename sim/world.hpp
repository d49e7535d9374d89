#pragma once
// World: a server, its clients and the network between them in one thread, from one seed, in
// virtual time.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/random.hpp"
#include "mitu/broker/testing/virtual_server.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/fleet/status.hpp"
#include "mitu/memory/fault_zone.hpp"
#include "mitu/node/fleet_things.hpp"
#include "mitu/node/gatekeeper.hpp"
#include "mitu/node/testing.hpp"
#include "sim/authority.hpp"
#include "sim/link.hpp"
#include "sim/observer.hpp"
#include "sim/timeline.hpp"

namespace mitu::sim {

/// When every world begins: not zero, which is an instant in the past for all who compare.
inline constexpr Instant world_start = Instant::from_ns(1'000'000'000);

struct WorldOptions {
    std::uint64_t seed = 1;
    broker::testing::VirtualServerOptions server{};
    std::map<ports::Fault, double> faults{};
    /// In which ways Fault::session_breaks breaks one; the seed draws.
    std::vector<memory::ZoneFault> break_kinds{memory::ZoneFault::exception};
    std::shared_ptr<const fleet::Catalog> catalog{};
    bool allow_anonymous = true;
    /// What checking a password takes, drawn anew each time between none and this.
    Duration login_time_max = Duration::milliseconds(2);
    /// What a password proves holds for a while between none and this; 0: for good.
    Duration login_holds_max{};
};

/// Whoever has a reason to run (a shard with bytes, mail or a deadline; something that is due) may
/// be next; the seed decides. Time goes on when nobody has.
/// Threading  one thread. Two worlds with the same options do the same, byte for byte.
class World {
public:
    explicit World(const WorldOptions& options);
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    // --- time ---
    [[nodiscard]] Instant now() const noexcept { return clock_.at; }
    [[nodiscard]] Timeline& timeline() noexcept { return timeline_; }
    [[nodiscard]] std::uint64_t step_count() const noexcept { return steps_; }
    void run_until(Instant end);
    /// Until nothing happens any more before `end` but what repeats for ever (timers of the
    /// clients): the caller says with `is_quiet` what it waits for. False: `end` came first.
    bool run_until_quiet(Instant end, const std::function<bool()>& is_quiet);

    // --- the server ---
    [[nodiscard]] bool server_is_up() const noexcept { return server_ != nullptr; }
    [[nodiscard]] bool server_is_stopping() const noexcept { return is_stopping_; }
    [[nodiscard]] broker::testing::VirtualServer& server() noexcept { return *server_; }
    /// How much later than it is decided on something may be seen, because a shard stalls.
    [[nodiscard]] Duration stall_slack() const noexcept {
        return options_.faults.contains(ports::Fault::shard_stalls)
                   ? broker::testing::stall_time_max * 25
                   : Duration{};
    }
    /// A SUBSCRIBE may be refused, and a message dropped, for want of memory of the session.
    [[nodiscard]] bool sessions_may_lack_memory() const noexcept {
        return options_.faults.contains(ports::Fault::session_memory_full) ||
               options_.server.limits.session_bytes_max < broker::Limits{}.session_bytes_max;
    }
    /// Messages of this tenant were refused because its own quota was spent, or retained ones of
    /// all because memory is short; those of others never are for a tenant's quota.
    [[nodiscard]] bool is_short_of_memory(const std::string& tenant) const;
    /// A rate holds for its clients: of its policy, or its own.
    [[nodiscard]] bool is_paced(const std::string& tenant) const;
    [[nodiscard]] std::uint32_t packet_bytes_max() const noexcept {
        return options_.server.limits.packet_bytes_max;
    }
    /// kill -9: connections break, nothing is remembered.
    void kill_server();
    /// SIGTERM. start_server() may follow once it is gone.
    void stop_server();
    /// Errors of a bad catalog are the caller's. Null: the one there was.
    void start_server(std::shared_ptr<const fleet::Catalog> catalog = nullptr);
    [[nodiscard]] const fleet::Catalog& catalog() const noexcept { return *catalog_; }
    [[nodiscard]] fleet::StatusNumbers fleet_numbers() const;
    /// Fault points stop firing.
    void clear_faults();
    /// How often each fault point has fired, over all servers.
    [[nodiscard]] std::map<ports::Fault, std::uint64_t> faults_fired() const;

    // --- the operator; without a server, or without quotas, these do nothing ---
    [[nodiscard]] const Authority& authority() const noexcept { return authority_; }
    /// `ban.kind`, `client`, `network` and `until` say whom, and for how long.
    void set_ban(Authority::BanOrder ban);
    void lift_bans();
    void set_limits(const std::string& tenant, const admission::TenantLimits& limits);
    /// Of the whole server.
    void set_connections_max(std::uint64_t maximum);
    /// So much of the memory budget is used from now on.
    void set_memory(std::uint32_t used_bp);
    /// New rights: for logins from now on, and, shard by shard and a few at a time, for who is in.
    void reload(Rights rights);
    /// Nothing is short, banned or slow any more, and logins hold for good.
    void calm_down();

    // --- the network ---
    /// `from`  the client's address.
    [[nodiscard]] std::shared_ptr<Link> connect(std::string_view actor, LinkClient& client,
                                                const LinkConditions& conditions, Prng prng,
                                                const IpAddress& from = {});

    // --- what is seen ---
    void observe(Observer& observer) { observers_.push_back(&observer); }
    void report(std::string promise, std::string what);
    [[nodiscard]] const std::vector<Violation>& violations() const noexcept { return violations_; }
    /// Over every byte that crossed the broker's edge, when, and in what order.
    [[nodiscard]] std::uint64_t trace_hash() const noexcept { return hash_; }

    // --- for links ---
    void accept(std::shared_ptr<broker::testing::VirtualSocket> socket);
    void mark_dirty(std::shared_ptr<Link> link) { dirty_.push_back(std::move(link)); }
    void note(ConnectionSerial connection, std::uint8_t what, ByteView bytes) noexcept;
    void tell_opened(ConnectionSerial connection, std::string_view actor);
    void tell_heard(ConnectionSerial connection);
    void tell_read(const Sighting& sighting);
    void tell_written(const Sighting& sighting);
    void tell_held_up(ConnectionSerial connection, bool is_held_up);
    void tell_garbage(ConnectionSerial connection);
    void tell_closed(ConnectionSerial connection, bool by_broker);

private:
    [[nodiscard]] bool step();
    void lose_server();
    void begin_authority();
    void renew_later(std::uint16_t shard, std::uint32_t first);
    void finish_reload();
    void put_credential(broker::Admission& admission);
    void watch_sessions_break(std::uint16_t shard);
    [[noreturn]] void strike();
    [[nodiscard]] SessionBreak seen(const ports::BrokenSession& session) const;

    WorldOptions options_;
    Prng prng_;
    node::StillClock clock_;
    Timeline timeline_;
    std::shared_ptr<const fleet::Catalog> catalog_;
    std::unique_ptr<node::Gatekeeper> gate_;
    std::vector<std::unique_ptr<fleet::ShardStatus>> statuses_;
    std::vector<std::unique_ptr<node::FleetThings>> things_;
    std::unique_ptr<broker::testing::VirtualServer> server_;
    std::uint64_t server_number_ = 0;
    bool is_stopping_ = false;
    std::map<ports::Fault, double> faults_;
    std::map<ports::Fault, std::uint64_t> faults_fired_;  // of servers that are gone
    Prng strike_prng_;
    Prng operator_prng_;
    Authority authority_;
    std::uint32_t renewals_ = 0;  // shards that have not renewed all of their clients
    std::uint64_t reload_number_ = 0;
    std::map<std::pair<std::uint32_t, std::uint64_t>, ClientKey> names_;  // by tenant and hash
    std::vector<std::shared_ptr<Link>> links_;  // that the broker knows, or will
    std::vector<std::shared_ptr<Link>> dirty_;
    ConnectionSerial next_connection_ = 1;
    std::vector<Observer*> observers_;
    std::vector<Violation> violations_;
    std::vector<std::uint16_t> ready_;
    std::uint64_t steps_ = 0;
    std::uint64_t hash_ = 0xCBF29CE484222325ULL;
};

}  // namespace mitu::sim
