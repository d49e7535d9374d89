#pragma once
// Thousands of devices over real connections in one thread.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/mitu/commands.hpp"
#include "apps/mitu/connection_options.hpp"
#include "apps/mitu/simulation/devices.hpp"
#include "apps/mitu/simulation/replay.hpp"
#include "apps/mitu/simulation/statistics.hpp"
#include "apps/mitu/simulation/telemetry.hpp"
#include "apps/mitu/simulation/timer_queue.hpp"
#include "mitu/client/device_agent.hpp"

namespace mitu::cli {

struct SimulationOptions {
    Connection connection;  // every device's, but for who it is
    std::shared_ptr<const client::AgentOptions> agent;
    mqtt::QoS qos = mqtt::QoS::at_most_once;
    double ramp_per_s = 1'000;
    double rate_per_s = 0;  // of the whole fleet; 0: as the devices' intervals or windows have it
    double speedup = 0;     // of a replay; 0: not by the file's times
    Duration duration;      // zero: until the replay is through, or Ctrl-C
    bool keep_running = false;
    Duration reconnect_first = Duration::seconds(1);
    Duration reconnect_most = Duration::seconds(30);
    Duration stall_timeout = Duration::seconds(60);
    std::size_t payload_bytes_min = 0;
    std::uint64_t seed = 0;
    Duration progress_interval = Duration::seconds(5);
    bool is_quiet = false;
};

/// Owns the devices, their sockets and one epoll instance. One thread, one loop: timers, network,
/// what is to be sent, progress.
class FleetSimulation {
public:
    FleetSimulation(SimulationOptions options, std::vector<SimulatedDevice> devices,
                    std::optional<Replay> replay);
    ~FleetSimulation();

    /// Until it is over; prints progress to stderr.
    ExitCode run();
    [[nodiscard]] const FleetStatistics& statistics() const noexcept { return statistics_; }

private:
    struct Device;

    Result<void, std::string> prepare();
    void turn();
    void run_timer(std::uint32_t index);
    void reschedule(std::uint32_t index);
    void start_connecting(std::uint32_t index);
    void on_connected(std::uint32_t index);
    void connect_failed(std::uint32_t index, const std::string& why);
    void on_network(std::uint32_t index, std::uint32_t events);
    void receive(std::uint32_t index);

    /// Acts on what the agent did (output_), sends what may be sent, writes.
    void settle(std::uint32_t index);
    void handle_session_event(Device& device, const client::Event& event);
    void handle_agent_event(Device& device, const client::AgentEvent& event);
    void handle_publish_done(const client::PublishDone& done);
    void write(std::uint32_t index);
    void go_offline(std::uint32_t index);
    void want_writable(std::uint32_t index, bool wanted);

    void send_rows(Device& device);
    void send_generated(Device& device, Instant intended);
    [[nodiscard]] bool has_room(const Device& device) const;
    [[nodiscard]] bool publish(Device& device, const std::string& payload, Instant intended);
    void pace();
    [[nodiscard]] Instant next_pace() const;
    [[nodiscard]] Instant row_due(std::uint64_t row) const;

    [[nodiscard]] std::optional<ExitCode> is_over();
    [[nodiscard]] std::uint64_t count_in_step() const;
    void progress(bool is_last);
    void leave();
    void count_error(const std::string& what) { ++statistics_.errors[what]; }

    SimulationOptions options_;
    std::optional<Replay> replay_;
    std::vector<double> row_times_s_;  // with --speedup
    std::vector<Device> devices_;
    TimerQueue timers_;
    std::vector<SocketAddress> addresses_;
    FileDescriptor epoll_;
    SignalWatch signals_;

    client::AgentOutput output_;
    Bytes receive_buffer_;
    FleetStatistics statistics_;
    FleetStatistics printed_;
    LatencyHistogram recent_;
    std::string last_connect_error_;
    std::string last_refusal_;

    Instant started_at_;
    Instant now_;
    Instant next_progress_;
    Instant last_advance_at_;  // of a replay
    Instant finish_by_ = Instant::never();
    std::uint64_t rows_released_ = 0;  // rows that may be sent
    std::uint64_t paced_ = 0;          // messages that --rate has called for
    Instant pace_from_ = Instant::never();
    std::uint32_t failed_devices_ = 0;
    bool is_leaving_ = false;
    bool is_terminal_ = false;
};

/// Raises the limit of open files as far as allowed. Errors: a text for people, if `needed` is
/// more.
[[nodiscard]] Result<void, std::string> raise_file_limit(std::uint64_t needed);

}  // namespace mitu::cli
