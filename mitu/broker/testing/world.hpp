#pragma once
// A server and its clients in one thread: virtual time, sockets without delay, an order drawn from
// a seed. For tests of the broker alone; the simulator (sim/) has networks, storms and checkers.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/random.hpp"
#include "mitu/broker/gate.hpp"
#include "mitu/broker/limits.hpp"
#include "mitu/broker/testing/virtual_server.hpp"

namespace mitu::broker::testing {

class Client;

/// Lets everybody in, unless told otherwise by client id or user name.
class ScriptedGate final : public Gate {
public:
    [[nodiscard]] Verdict judge(const AdmissionTicket& ticket, const Login& login) override;
    [[nodiscard]] Result<std::unique_ptr<Exchange>, Refusal> begin(const Login& login) override;
    [[nodiscard]] std::shared_ptr<const Profile> current(const Admitted& admitted) const override {
        const auto found = changed.find(admitted.client_id);
        return found == changed.end() ? admitted.profile : found->second;
    }

    struct Waiting {
        AdmissionTicket ticket;
        Admitted admitted;
    };

    std::map<std::string, std::shared_ptr<const Profile>, std::less<>> profiles;  // by client id
    /// What changed while a login was under way, by client id; null: not admitted any more.
    std::map<std::string, std::shared_ptr<const Profile>, std::less<>> changed;
    std::map<std::string, Refusal, std::less<>> refused;   // by client id
    std::map<std::string, TenantId, std::less<>> tenants;  // by user name
    bool is_late = false;         // every login has to be proved; the answers are the test's
    std::deque<Waiting> waiting;  // for World::answer()
    Instant valid_until = Instant::never();  // of every login
    /// How an exchange by method "knock" goes on after each Authentication Data; without it no
    /// method is offered.
    std::function<Exchange::Step(const Login& login, ByteView data)> knock;

    [[nodiscard]] std::shared_ptr<const Profile> profile_of(std::string_view client_id) const;
    [[nodiscard]] Admitted admitted(const Login& login) const;

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
    std::optional<admission::ControlOptions> admission{};  // nothing: no quotas, bans, shedding
    std::function<Journal*(std::uint16_t shard)> journal_of{};  // nothing: nothing is kept
    /// Does a step of what works beside the shards; false: there is nothing to do.
    std::function<bool()> background{};
};

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
    /// The same, but for so many steps at most. False: nobody has a reason any more.
    bool run_some(std::uint64_t steps);
    /// Lets time pass, stopping at every deadline on the way.
    void advance(Duration time);
    /// Lets time pass in which no shard looks: what comes of the network and what is due to timers
    /// is then found in one turn. Call run() afterwards.
    void stall(Duration time) noexcept { now_ = now_ + time; }
    /// Answers the oldest login that waits.
    void answer(bool admitted, const Refusal& refusal = {});

    [[nodiscard]] Instant now() const noexcept { return now_; }
    [[nodiscard]] std::uint16_t shard_count() const noexcept { return server_.shard_count(); }
    [[nodiscard]] Shard& shard(std::uint16_t index = 0) { return server_.shard(index); }
    [[nodiscard]] VirtualNetwork& network(std::uint16_t index = 0) {
        return server_.network(index);
    }
    [[nodiscard]] DrawnFaults& faults(std::uint16_t index = 0) { return server_.faults(index); }
    [[nodiscard]] bool has_admission() noexcept { return server_.admission() != nullptr; }
    /// Only where the options have it.
    [[nodiscard]] admission::Control& admission() noexcept { return *server_.admission(); }
    [[nodiscard]] ScriptedGate& gate() noexcept { return gate_; }
    [[nodiscard]] Transit& transit() noexcept { return server_.transit(); }
    [[nodiscard]] Mailroom& mailroom() noexcept { return server_.mailroom(); }
    [[nodiscard]] Prng& prng() noexcept { return prng_; }

    /// The sum over all shards.
    [[nodiscard]] std::uint64_t dropped(DropReason reason) const { return server_.dropped(reason); }
    [[nodiscard]] std::uint64_t dropped() const { return server_.dropped(); }
    [[nodiscard]] std::uint64_t counted(trace::Counter Counters::* counter) const {
        return server_.counted(counter);
    }
    [[nodiscard]] std::uint64_t stored_messages() const { return server_.stored_messages(); }

    /// The session of a client, wherever it is; null: there is none.
    [[nodiscard]] Session* session(std::string_view client_id, TenantId tenant = tenant_default) {
        return server_.session(client_id, tenant);
    }

    /// A name PREFIX<n> that is at home on `shard`.
    [[nodiscard]] std::string client_id_at(std::uint16_t shard, std::string_view prefix);
    [[nodiscard]] std::string topic_at(std::uint16_t shard, std::string_view prefix) const;

    void begin_drain(const Shard::Drain& drain) { server_.begin_drain(drain, now_); }
    void begin_shutdown() { server_.begin_shutdown(now_); }
    [[nodiscard]] bool finished() const { return server_.finished(); }

private:
    friend class Client;
    /// One step of somebody who has a reason; false: nobody has.
    [[nodiscard]] bool step_somebody();
    /// The shard that a client's next connection reaches first.
    [[nodiscard]] std::uint16_t next_door() noexcept;

    WorldOptions options_;
    Prng prng_;
    Instant now_ = Instant::from_ns(1'000'000'000);
    ScriptedGate gate_;
    VirtualServer server_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::vector<std::size_t> ready_;
    std::uint64_t steps_ = 0;
    std::uint16_t door_ = 0;
    std::uint32_t names_ = 0;
};

}  // namespace mitu::broker::testing
