#pragma once
// World: a server, its clients and the network between them in one thread, from one seed, in
// virtual time.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/random.hpp"
#include "mitu/broker/testing/virtual_server.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/fleet/status.hpp"
#include "mitu/journal/testing/virtual_store.hpp"
#include "mitu/memory/fault_zone.hpp"
#include "mitu/node/fleet_things.hpp"
#include "mitu/node/gatekeeper.hpp"
#include "mitu/node/testing.hpp"
#include "sim/authority.hpp"
#include "sim/keeping.hpp"
#include "sim/link.hpp"
#include "sim/observer.hpp"
#include "sim/timeline.hpp"

namespace mitu::sim {

/// When every world begins: not zero, which is an instant in the past for all who compare.
inline constexpr Instant world_start = Instant::from_ns(1'000'000'000);

/// What the server keeps, and where.
struct StorePlan {
    journal::testing::VirtualStoreOptions::Engine engine{};
    /// By TenantId: default, acme, borealis.
    std::array<broker::Durability, 3> durability{};
    Duration will_grace = Duration::seconds(30);
};

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
    /// Nothing: all that there was ends with the server.
    std::optional<StorePlan> store{};
};

/// What the machine of a run went through.
struct MachineCounts {
    std::uint64_t starts = 0;
    std::uint64_t failed_starts = 0;  // the disk did not let it
    std::uint64_t kills = 0;          // of the process
    std::uint64_t power_losses = 0;
    std::uint64_t inside_a_commit = 0;  // of both
    std::uint64_t disk_failures = 0;    // operations that failed, for want of space too
    std::uint64_t restored_sessions = 0;
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
    /// kill -9: connections break; what is remembered is what the store has.
    void kill_server();
    /// The power goes, and the server with it.
    void lose_power();
    /// One of the two, once the disk has done so many more operations.
    void crash_in_commit(std::uint64_t operations, bool loses_power);
    /// SIGTERM. start_server() may follow once it is gone.
    void stop_server();
    /// Errors of a bad catalog are the caller's. Null: the one there was.
    void start_server(std::shared_ptr<const fleet::Catalog> catalog = nullptr);
    [[nodiscard]] const fleet::Catalog& catalog() const noexcept { return *catalog_; }
    [[nodiscard]] fleet::StatusNumbers fleet_numbers() const;
    /// Messages dropped for this reason, by servers before this one too if their sessions go on.
    [[nodiscard]] std::uint64_t dropped(broker::DropReason reason) const;
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

    // --- the disk; without a store these do nothing ---
    [[nodiscard]] const Keeping& keeping() const noexcept { return keeping_; }
    /// Null: it has none.
    [[nodiscard]] journal::testing::VirtualStore* store() noexcept { return store_.get(); }
    /// So many bytes more are room for, and no more.
    void fill_disk(std::uint64_t bytes_left);
    void fail_disk(const store::VirtualDisk::Faults& faults);
    void slow_disk(Duration commit_time_max);
    /// It works, is fast, and has room.
    void mend_disk();
    [[nodiscard]] MachineCounts machine() const noexcept;

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
    void lose_server(Keeping::End how);
    void make_store();
    [[nodiscard]] bool open_store();
    [[nodiscard]] bool restore_store();
    void watch_store();
    void leave_store(Keeping::End how);
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
    std::unique_ptr<journal::testing::VirtualStore> store_;
    std::unique_ptr<broker::testing::VirtualServer> server_;
    std::uint64_t server_number_ = 0;
    Keeping keeping_;
    MachineCounts machine_;
    bool disk_is_troubled_ = false;
    bool crash_takes_power_ = false;  // that is to come within a commit
    std::map<broker::DropReason, std::uint64_t> dropped_before_;
    std::set<std::string> was_short_of_memory_;  // tenants, of servers that are gone
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
