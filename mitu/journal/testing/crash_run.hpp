#pragma once
// CrashRun: a history drawn from a seed. Clients come, go, publish and subscribe; the process and
// the machine crash, the disk fills up and fails; and at the end everybody comes back, and nothing
// may be missing, twice, out of order, or left over.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mitu/broker/testing/virtual_server.hpp"
#include "mitu/broker/testing/world.hpp"
#include "mitu/journal/testing/crash_device.hpp"
#include "mitu/journal/testing/virtual_store.hpp"

namespace mitu::journal::testing {

struct CrashOptions {
    std::uint64_t seed = 1;
    broker::Durability durability = broker::Durability::sync;
    bool loses_power = true;
    bool breaks_sessions = true;  // by faults in their handling
    bool fails_disk = true;       // it fills up, returns errors, and is cut off inside of a write
    int steps = 120;
};

class CrashRun {
public:
    explicit CrashRun(const CrashOptions& options);
    ~CrashRun();

    void run();
    /// What went against a promise, in words; empty: nothing did.
    [[nodiscard]] const std::vector<std::string>& failures() const noexcept { return failures_; }

    struct Counts {
        std::uint64_t starts = 0;
        std::uint64_t power_losses = 0;
        std::uint64_t inside_a_commit = 0;  // the process ended there
        std::uint64_t disk_failures = 0;
        std::uint64_t published = 0;  // QoS 1 and 2
        std::uint64_t confirmed = 0;
        std::uint64_t owed = 0;  // deliveries that had to come
        std::uint64_t delivered = 0;
        std::uint64_t resumed = 0;
        std::uint64_t wills_owed = 0;
        std::uint64_t broken = 0;   // sessions
        std::uint64_t rebuilt = 0;  // of those, from the store
        std::uint64_t digest = 0;   // of all that clients saw
    };
    [[nodiscard]] const Counts& counts() const noexcept { return counts_; }

private:
    class Clock final : public ports::Clock {
    public:
        [[nodiscard]] Instant now() const noexcept override { return at; }
        [[nodiscard]] WallTime wall() const noexcept override {
            return WallTime{base_ms + at.since_start_ns() / 1'000'000};
        }
        Instant at = Instant::from_ns(1'000'000'000);
        std::int64_t base_ms = 1'700'000'000'000;
    };
    struct Entitled {
        std::size_t device;
        std::uint64_t incarnation;
        std::string filter;
        std::uint64_t since;
    };
    struct Sent {
        std::size_t publisher;
        std::string topic;
        mqtt::QoS qos;
        bool retain;
        std::uint64_t number;
        std::string payload;
        bool is_confirmed = false;
        std::vector<Entitled> entitled;
        std::set<std::string> groups;  // shared subscriptions that all of the time had a member
    };
    struct Owed {
        std::size_t message;
        std::size_t device;
        std::uint64_t incarnation;
    };

    // --- the machine ---
    void draw_options();
    void start();
    void crash(bool power);
    bool step_somebody();
    void run_all();
    void run_some(std::uint64_t steps);
    void advance(Duration time);
    void trouble_the_disk();
    void break_somebody();
    void end_of_breaking();
    void on_broke(const ports::BrokenSession& session);
    void on_buried(const ports::BrokenSession& session, bool is_whole);
    /// Null: it is none of ours.
    [[nodiscard]] Device* find(const ports::BrokenSession& session);

    // --- what the clients do ---
    void make_devices();
    void act();
    void connect(Device& device, bool clean);
    void leave(Device& device);
    void publish(std::size_t index);
    void subscribe(Device& device);
    void unsubscribe(Device& device);

    // --- what they see ---
    [[nodiscard]] bool has_reason(const Device& device) const noexcept;
    void react(std::size_t index);
    void on_connack(Device& device, const mqtt::Connack& connack);
    void on_message(std::size_t index, const broker::testing::Message& message);
    void settle_publishes(std::size_t index);
    void confirm(std::size_t message);
    void end_session(Device& device);

    // --- at the end ---
    void drain();
    void check_owed();
    void check_retained();
    void check_rows();
    void fail(std::string what);

    CrashOptions options_;
    Prng random_;
    Prng order_;
    Clock clock_;
    broker::testing::ScriptedGate gate_;
    broker::testing::VirtualServerOptions server_options_;
    VirtualStore store_;
    std::unique_ptr<broker::testing::VirtualServer> server_;
    std::vector<std::unique_ptr<Device>> devices_;
    std::vector<Sent> sent_;
    std::map<std::string, std::size_t> by_payload_;
    std::map<std::string, std::vector<std::size_t>> retained_;  // by topic, in order
    std::vector<Owed> owed_;
    std::map<std::string, std::set<std::string>> group_received_;  // by group: payloads
    std::set<std::string> will_received_;
    std::map<std::string, std::uint64_t> wills_owed_;  // by payload: since when
    std::set<std::string> group_owed_;                 // GROUP payload
    std::uint64_t serial_ = 0;
    std::uint64_t numbers_ = 0;
    bool may_lose_ = false;      // what was acknowledged: async, and the power went
    bool may_drop_ = false;      // queues are so short that messages are dropped
    bool breaks_ = false;        // sessions do
    bool was_troubled_ = false;  // the disk failed: what was refused is not owed
    std::vector<std::string> failures_;
    Counts counts_;
    std::vector<std::size_t> ready_;
};

}  // namespace mitu::journal::testing
