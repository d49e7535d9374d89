#pragma once
// The shards of one server in one thread: somebody else decides who is next, and what time it is.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "mitu/admission/control.hpp"
#include "mitu/base/random.hpp"
#include "mitu/broker/gate.hpp"
#include "mitu/broker/limits.hpp"
#include "mitu/broker/mailroom.hpp"
#include "mitu/broker/shard.hpp"
#include "mitu/broker/testing/virtual_network.hpp"
#include "mitu/ports/entropy.hpp"
#include "mitu/ports/faults.hpp"

namespace mitu::broker::testing {

/// Fault points that fire with a probability of their own; 0 unless told.
class DrawnFaults final : public ports::Faults {
public:
    explicit DrawnFaults(Prng prng) : prng_{prng} {}
    [[nodiscard]] bool fire(ports::Fault fault) noexcept override {
        const auto it = probability.find(fault);
        bool fires = it != probability.end() && prng_.chance(it->second);
        if (fires && spared[fault] != 0) {
            --spared[fault];
            fires = false;
        }
        if (fires) {
            ++fired[fault];
            if (on_fire) on_fire(fault);
        }
        return fires;
    }
    void strike(std::uint32_t tenant, std::string_view client_id) override {
        if (on_strike) on_strike(tenant, client_id);
    }
    void broke(const ports::BrokenSession& session) override {
        if (on_broke) on_broke(session);
    }
    void buried(const ports::BrokenSession& session, bool is_whole) override {
        if (on_buried) on_buried(session, is_whole);
    }
    std::map<ports::Fault, double> probability;
    std::map<ports::Fault, std::uint64_t> spared;  // so many times it does not fire after all
    std::map<ports::Fault, std::uint64_t> fired;
    std::function<void(ports::Fault)> on_fire;  // where it fires, whatever it is
    /// Empty: an exception, as far as the zone can tell.
    std::function<void(std::uint32_t tenant, std::string_view client_id)> on_strike;
    std::function<void(const ports::BrokenSession&)> on_broke;
    std::function<void(const ports::BrokenSession&, bool is_whole)> on_buried;

private:
    Prng prng_;
};

/// How long a shard stalls: long enough for what clients do to fall between two steps of one
/// message, too short for any promise about time.
inline constexpr Duration stall_time_max = Duration::milliseconds(20);

class DrawnEntropy final : public ports::Entropy {
public:
    explicit DrawnEntropy(Prng prng) : prng_{prng} {}
    [[nodiscard]] std::uint64_t next() noexcept override { return prng_.next(); }

private:
    Prng prng_;
};

/// Lanes so small that they are full most of the time.
[[nodiscard]] inline LaneSizes tiny_lanes() noexcept { return {8u << 10, 8u << 10, 8u << 10}; }

struct VirtualServerOptions {
    std::uint16_t shards = 1;
    Limits limits{};
    LaneSizes lanes{};
    VirtualNetworkOptions network{};
    std::optional<admission::ControlOptions> admission{};   // nothing: no quotas, bans, shedding
    std::map<TenantId, admission::TenantLimits> tenants{};  // with admission only
    std::function<Journal*(std::uint16_t shard)> journal_of{};  // nothing: nothing is kept
};

/// A shard runs only for the reasons that a real one has (bytes, a wake-up, its deadline), so that
/// a lost wake-up shows as something that never happens.
/// Lifetime  `gate` and the Things outlive it.
class VirtualServer {
public:
    using ThingsOf = std::function<Things*(std::uint16_t shard)>;
    VirtualServer(const VirtualServerOptions& options, Gate& gate, Prng& prng,
                  const ThingsOf& things_of);
    ~VirtualServer();
    VirtualServer(const VirtualServer&) = delete;
    VirtualServer& operator=(const VirtualServer&) = delete;

    [[nodiscard]] std::uint16_t shard_count() const noexcept {
        return static_cast<std::uint16_t>(hosts_.size());
    }
    [[nodiscard]] Shard& shard(std::uint16_t index) { return *hosts_[index]->shard; }
    [[nodiscard]] const Shard& shard(std::uint16_t index) const { return *hosts_[index]->shard; }
    [[nodiscard]] VirtualNetwork& network(std::uint16_t index) { return *hosts_[index]->network; }
    [[nodiscard]] const VirtualNetwork& network(std::uint16_t index) const {
        return *hosts_[index]->network;
    }
    [[nodiscard]] DrawnFaults& faults(std::uint16_t index) { return hosts_[index]->faults; }
    [[nodiscard]] Transit& transit() noexcept { return transit_; }
    [[nodiscard]] Mailroom& mailroom() noexcept { return mailroom_; }
    /// Null: there is none.
    [[nodiscard]] admission::Control* admission() noexcept { return admission_.get(); }

    [[nodiscard]] bool has_reason(std::uint16_t index, Instant now) const;
    /// One step of a shard that has a reason: a turn, or its decision to sleep. Or it stalls, and
    /// its reason stays.
    void step(std::uint16_t index, Instant now);
    /// When a shard that sleeps wakes by itself, or one that stalls goes on.
    [[nodiscard]] Instant next_deadline(Instant now) const noexcept;

    void begin_drain(const Shard::Drain& drain, Instant now);
    void begin_shutdown(Instant now);
    [[nodiscard]] bool finished() const;

    /// The session of a client, wherever it is; null: there is none.
    [[nodiscard]] Session* session(std::string_view client_id, TenantId tenant = tenant_default);

    // The sum over all shards.
    [[nodiscard]] std::uint64_t dropped(DropReason reason) const;
    [[nodiscard]] std::uint64_t dropped() const;
    [[nodiscard]] std::uint64_t counted(trace::Counter Counters::* counter) const;
    [[nodiscard]] std::uint64_t stored_messages() const;

private:
    struct Host {
        explicit Host(Prng& seed)
            : entropy{seed.split()}, faults{seed.split()}, prng{seed.split()} {}
        std::unique_ptr<VirtualNetwork> network;
        DrawnEntropy entropy;
        DrawnFaults faults;
        std::unique_ptr<Shard> shard;
        std::vector<ports::NetworkEvent> events;
        Instant deadline;
        bool is_waiting = false;  // next_deadline() was asked after the last turn
        std::optional<Instant> stalled_until;
        Prng prng;  // how long it stalls
    };

    VirtualServerOptions options_;
    Transit transit_;
    Mailroom mailroom_;
    std::unique_ptr<admission::Control> admission_;
    std::vector<std::unique_ptr<Host>> hosts_;
};

}  // namespace mitu::broker::testing
