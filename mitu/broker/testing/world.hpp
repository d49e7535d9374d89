#pragma once
// A world of shards in one thread: virtual time, virtual sockets, an order drawn from a seed. A
// shard runs only for the reasons that a real one has (bytes, a wake-up, its deadline), so that a
// lost wake-up shows as something that never happens.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/random.hpp"
#include "mitu/broker/gate.hpp"
#include "mitu/broker/limits.hpp"
#include "mitu/broker/mailroom.hpp"
#include "mitu/broker/shard.hpp"
#include "mitu/broker/testing/virtual_network.hpp"
#include "mitu/ports/entropy.hpp"
#include "mitu/ports/faults.hpp"

namespace mitu::broker::testing {

class Client;

/// Fault points that fire with a probability of their own; 0 unless told.
class DrawnFaults final : public ports::Faults {
public:
    explicit DrawnFaults(Prng prng) : prng_{prng} {}
    [[nodiscard]] bool fire(ports::Fault fault) noexcept override {
        const auto it = probability.find(fault);
        return it != probability.end() && prng_.chance(it->second);
    }
    std::map<ports::Fault, double> probability;

private:
    Prng prng_;
};

class DrawnEntropy final : public ports::Entropy {
public:
    explicit DrawnEntropy(Prng prng) : prng_{prng} {}
    [[nodiscard]] std::uint64_t next() noexcept override { return prng_.next(); }

private:
    Prng prng_;
};

/// Lets everybody in, unless told otherwise by client id or user name.
class ScriptedGate final : public Gate {
public:
    [[nodiscard]] Result<Claim, Refusal> claim(const Login& login) override;
    void prove(const AdmissionTicket& ticket, const Login& login) override;

    struct Waiting {
        AdmissionTicket ticket;
        std::string client_id;
    };

    std::map<std::string, std::shared_ptr<const Profile>, std::less<>> profiles;  // by client id
    std::map<std::string, Refusal, std::less<>> refused;                          // by client id
    std::map<std::string, TenantId, std::less<>> tenants;                         // by user name
    bool is_late = false;         // every login has to be proved; the answers are the test's
    std::deque<Waiting> waiting;  // for World::answer()

    [[nodiscard]] std::shared_ptr<const Profile> profile_of(std::string_view client_id) const;

private:
    std::shared_ptr<const Profile> open_ = open_profile();
};

struct WorldOptions {
    std::uint64_t seed = 1;
    std::uint16_t shards = 1;
    Limits limits{};
    LaneSizes lanes{};
    VirtualNetworkOptions network{};
    bool draws_order = false;       // which shard or client is next: by seed instead of in turn
    std::vector<Things*> things{};  // one per shard, or none
};

/// Lanes so small that they are full most of the time.
[[nodiscard]] inline LaneSizes tiny_lanes() noexcept { return {8u << 10, 8u << 10, 8u << 10}; }

class World {
public:
    explicit World(const WorldOptions& options = {});
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    /// A client, not connected. Lives as long as the world.
    [[nodiscard]] Client& client(std::string_view client_id);
    /// The same, with a client id whose session is at home on that shard.
    [[nodiscard]] Client& client_at(std::uint16_t shard, std::string_view prefix = "client");

    /// Runs until nobody has a reason to, at the present time.
    void run();
    /// The same, but for so many steps at most.
    void run_some(std::uint64_t steps);
    /// Lets time pass, stopping at every deadline on the way.
    void advance(Duration time);
    /// Answers the oldest login that waits.
    void answer(bool admitted, const Refusal& refusal = {});

    [[nodiscard]] Instant now() const noexcept { return now_; }
    [[nodiscard]] std::uint16_t shard_count() const noexcept {
        return static_cast<std::uint16_t>(hosts_.size());
    }
    [[nodiscard]] Shard& shard(std::uint16_t index = 0) { return *hosts_[index]->shard; }
    [[nodiscard]] VirtualNetwork& network(std::uint16_t index = 0) {
        return *hosts_[index]->network;
    }
    [[nodiscard]] DrawnFaults& faults(std::uint16_t index = 0) { return hosts_[index]->faults; }
    [[nodiscard]] ScriptedGate& gate() noexcept { return gate_; }
    [[nodiscard]] Transit& transit() noexcept { return transit_; }
    [[nodiscard]] Mailroom& mailroom() noexcept { return mailroom_; }
    [[nodiscard]] Prng& prng() noexcept { return prng_; }

    /// The sum over all shards.
    [[nodiscard]] std::uint64_t dropped(DropReason reason) const;
    [[nodiscard]] std::uint64_t dropped() const;
    [[nodiscard]] std::uint64_t counted(trace::Counter Counters::* counter) const;
    [[nodiscard]] std::uint64_t stored_messages() const;

    /// The session of a client, wherever it is; null: there is none.
    [[nodiscard]] Session* session(std::string_view client_id, TenantId tenant = tenant_default);

    /// A name PREFIX<n> that is at home on `shard`.
    [[nodiscard]] std::string client_id_at(std::uint16_t shard, std::string_view prefix);
    [[nodiscard]] std::string topic_at(std::uint16_t shard, std::string_view prefix) const;

    void begin_shutdown();
    [[nodiscard]] bool finished() const;

private:
    friend class Client;
    struct Host {
        std::unique_ptr<VirtualNetwork> network;
        DrawnEntropy entropy;
        DrawnFaults faults;
        std::unique_ptr<Shard> shard;
        Instant deadline;
        bool is_waiting = false;  // next_deadline() was asked after the last turn
    };

    [[nodiscard]] bool has_reason(const Host& host) const;
    void step(Host& host);
    /// One step of somebody who has a reason; false: nobody has.
    [[nodiscard]] bool step_somebody();
    /// The shard that a client's next connection reaches first.
    [[nodiscard]] std::uint16_t next_door() noexcept;

    WorldOptions options_;
    Prng prng_;
    Instant now_ = Instant::from_ns(1'000'000'000);
    Transit transit_;
    Mailroom mailroom_;
    ScriptedGate gate_;
    std::vector<std::unique_ptr<Host>> hosts_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::vector<ports::NetworkEvent> events_;
    std::vector<std::size_t> ready_;
    std::uint64_t steps_ = 0;
    std::uint16_t door_ = 0;
    std::uint32_t names_ = 0;
};

}  // namespace mitu::broker::testing
