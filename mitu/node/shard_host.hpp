#pragma once
// ShardHost: one shard on one thread, with the real ports.

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "mitu/broker/shard.hpp"
#include "mitu/fleet/status.hpp"
#include "mitu/node/door_admission.hpp"
#include "mitu/node/fleet_things.hpp"
#include "mitu/node/pulse.hpp"
#include "mitu/ports/inbox.hpp"
#include "mitu/runtime/clock.hpp"
#include "mitu/runtime/server_network.hpp"
#include "mitu/runtime/topology.hpp"

namespace mitu::node {

/// Threading  create, start, join: the owner. post_*, counters, status: any thread.
class ShardHost {
public:
    using Question = std::function<void(broker::Shard&, Instant)>;

    /// `door` null: no listener has anything in front of MQTT. Else `network` asks it.
    ShardHost(ShardId id, const broker::Limits& limits, broker::Mailroom& mailroom,
              broker::Gate& gate, std::shared_ptr<const fleet::Catalog> catalog,
              std::unique_ptr<runtime::ServerNetwork> network, admission::Control* admission,
              std::unique_ptr<DoorAdmission> door, broker::Journal* journal);
    ~ShardHost();
    ShardHost(const ShardHost&) = delete;
    ShardHost& operator=(const ShardHost&) = delete;

    /// The shard's thread runs at `place`, and has its memory there.
    void start(const runtime::ShardPlace& place);
    /// Asks the shard to say goodbye to its clients; the thread ends when it has.
    void request_stop();
    void join();

    /// Lets clients go for another process to serve, until request_stop(). Nobody new is accepted.
    void request_drain(const broker::Shard::Drain& drain);
    /// Has the shard turn, soon, and count how soon.
    void ask_for_turn(Instant now);
    [[nodiscard]] const Pulse& pulse() const noexcept { return pulse_; }
    /// How often it was found to stall. Threading  count_stall(): one thread.
    [[nodiscard]] const trace::Counter& stalls() const noexcept { return stalls_; }
    void count_stall() noexcept { stalls_.add(); }

    void post(broker::Admission admission);
    /// Runs `question` on the shard's thread, between two turns.
    void post(Question question);
    /// See runtime::ServerNetwork::replace_listener().
    void replace_listener(std::uint16_t index, runtime::UniqueFd socket);

    /// Before start().
    [[nodiscard]] broker::Shard& shard() noexcept { return shard_; }
    void wake() noexcept { network_->wake(); }
    [[nodiscard]] const broker::Counters& counters() const noexcept { return shard_.counters(); }
    [[nodiscard]] const runtime::NetworkCounters& network_counters() const noexcept {
        return network_->counters();
    }
    [[nodiscard]] const fleet::ShardStatus& status() const noexcept { return status_; }

private:
    void run(const runtime::ShardPlace& place);

    ShardId id_;
    runtime::SystemClock clock_;
    runtime::SystemEntropy entropy_;
    ports::NoFaults faults_;
    std::unique_ptr<DoorAdmission> door_;
    std::unique_ptr<runtime::ServerNetwork> network_;
    fleet::ShardStatus status_;
    FleetThings things_;
    broker::Mailroom& mailroom_;
    broker::Shard shard_;
    ports::Inbox<broker::Admission> admissions_;
    ports::Inbox<Question> questions_;
    Pulse pulse_;
    trace::Counter stalls_;
    std::atomic<bool> stop_requested_{false};
    std::thread thread_;  // tidy-allow(threads): this is the thread of a shard
};

}  // namespace mitu::node
