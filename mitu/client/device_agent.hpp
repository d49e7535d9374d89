#pragma once
// The reference device: heartbeats, telemetry, and an agent that holds the policy it is given.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/random.hpp"
#include "mitu/base/time.hpp"
#include "mitu/client/backoff.hpp"
#include "mitu/client/policy_shadow.hpp"
#include "mitu/client/session.hpp"

namespace mitu::client {

/// Shared by all devices of a kind.
/// Shape  in topics, `{id}` stands for the device id.
struct AgentOptions {
    std::string telemetry_topic = "t/{id}/telemetry";
    std::string heartbeat_topic = "t/{id}/heartbeat";
    std::string shadow_prefix = "$mitu/things/{id}/shadow/name/mitu-policy";
    /// Zero: none, unless the policy's settings name an interval.
    Duration heartbeat_interval;
    Duration telemetry_interval;
    /// Settings may change the intervals above. Off: the intervals stay what they are here.
    bool settings_set_intervals = true;
    mqtt::QoS heartbeat_qos = mqtt::QoS::at_most_once;
    /// Each wait is drawn from interval +- this share. Units: hundredths of a percent.
    std::uint32_t jitter_bp = 1'000;
    bool holds_policy = true;
    /// How long the device takes to apply settings.
    Duration apply_time;
    /// How long an answer on a shadow topic may take before the question is asked again.
    Duration shadow_timeout = Duration::seconds(10);
};

struct AgentEvent {
    enum class Kind : std::uint8_t {
        telemetry_due,  // call publish_telemetry(), or let it pass
        heartbeat_sent,
        policy_applied,    // `revision` is what the device now runs
        policy_reported,   // the server took the report; `took` counts from hearing of the policy
        policy_none,       // the server has no policy for this device
        policy_rejected,   // a question or report was refused: `code`, `text`; asked again later
        policy_malformed,  // a document could not be read: `text`
        policy_timeout,    // no answer; asked again
        policy_refused,    // the server does not let us subscribe to our shadow topics
    };
    Kind kind = Kind::telemetry_due;
    std::int64_t revision = 0;
    Duration took = {};
    std::int64_t code = 0;
    std::string text = {};
};

/// The events of the session are in `transport` too, for those who count; the agent has already
/// acted on them. It gives its own publishes token 0.
struct AgentOutput {
    Output transport;
    std::vector<AgentEvent> events;

    void clear() noexcept {
        transport.clear();
        events.clear();
    }
};

/// One device. On every connection it makes sure that what it runs is what is desired: it
/// subscribes to its shadow, gets the document, applies, reports; and does so again on each delta.
/// Threading  one thread at a time.
class DeviceAgent {
public:
    DeviceAgent(ConnectOptions connect, std::shared_ptr<const AgentOptions> options,
                std::string device_id, std::uint64_t seed);

    [[nodiscard]] Result<void, Refusal> on_open(Instant now, AgentOutput& out);
    void on_bytes(ByteView bytes, Instant now, AgentOutput& out);
    void on_close(AgentOutput& out);
    void on_deadline(Instant now, AgentOutput& out);
    [[nodiscard]] Instant next_deadline() const noexcept;
    void disconnect(const DisconnectRequest& request, AgentOutput& out);

    /// `token` is not 0.
    [[nodiscard]] Result<void, Refusal> publish_telemetry(ByteView payload, mqtt::QoS qos,
                                                          std::uint64_t token, Instant now,
                                                          AgentOutput& out);

    [[nodiscard]] const ClientSession& session() const noexcept { return session_; }
    [[nodiscard]] const std::string& device_id() const noexcept { return device_id_; }
    [[nodiscard]] std::int64_t applied_revision() const noexcept { return applied_revision_; }
    /// The settings that the device runs; empty: none yet.
    [[nodiscard]] const std::string& applied_settings() const noexcept { return applied_settings_; }
    /// Nothing is owed for the policy: it is applied and reported, or there is none.
    [[nodiscard]] bool is_settled() const noexcept;
    [[nodiscard]] Duration telemetry_interval() const noexcept { return telemetry_interval_; }
    [[nodiscard]] Duration heartbeat_interval() const noexcept { return heartbeat_interval_; }

private:
    enum class PolicyPhase : std::uint8_t {
        off,          // not connected, or not holding a policy
        subscribing,  // waits for SUBACK
        getting,      // waits for get/accepted or get/rejected
        applying,     // until policy_deadline_
        reporting,    // waits for update/accepted or update/rejected
        settled,
        waiting,  // asks again at policy_deadline_
        refused,
    };

    void handle_session_events(std::size_t from, Instant now, AgentOutput& out);
    void on_connected(bool session_present, Instant now, AgentOutput& out);
    void on_message(const mqtt::Publish& publish, Instant now, AgentOutput& out);
    void on_get_accepted(std::string_view payload, Instant now, AgentOutput& out);
    void on_rejected(std::string_view payload, Instant now, AgentOutput& out);
    void on_update_accepted(std::string_view payload, Instant now, AgentOutput& out);
    void on_delta(std::string_view payload, Instant now, AgentOutput& out);
    void ask_for_policy(Instant now, AgentOutput& out);
    void subscribe_shadow(Instant now, AgentOutput& out);
    void get_policy(Instant now, AgentOutput& out);
    void apply_pending(Instant now, AgentOutput& out);
    void ask_later(Instant now);
    void settle(Instant now, AgentOutput& out);
    void send_heartbeat(Instant now, AgentOutput& out);
    [[nodiscard]] bool runs(const PolicyDocument& policy) const noexcept;
    [[nodiscard]] Duration jittered(Duration interval) noexcept;
    [[nodiscard]] std::string topic(std::string_view form) const;
    [[nodiscard]] std::string shadow_topic(std::string_view operation) const;
    [[nodiscard]] std::string client_token() const;

    ClientSession session_;
    std::shared_ptr<const AgentOptions> options_;
    std::string device_id_;
    Prng prng_;
    Backoff ask_backoff_{Duration::seconds(1), Duration::seconds(60)};
    Backoff report_backoff_{Duration::seconds(1), Duration::seconds(60)};  // of one revision

    Duration telemetry_interval_;
    Duration heartbeat_interval_;
    Instant telemetry_due_ = Instant::never();
    Instant heartbeat_due_ = Instant::never();
    Instant started_at_;
    std::uint64_t heartbeat_count_ = 0;

    PolicyPhase phase_ = PolicyPhase::off;
    bool is_subscribed_ = false;  // in the session that the server keeps
    bool get_again_ = false;      // a delta came while the last one was being worked on
    bool started_ = false;
    std::uint16_t subscribe_packet_id_ = 0;
    std::uint32_t report_count_ = 0;
    Instant policy_deadline_ = Instant::never();
    Instant policy_heard_at_;
    std::int64_t shadow_version_ = 0;
    std::int64_t applied_revision_ = 0;
    std::string applied_settings_;
    std::unique_ptr<PolicyDocument> pending_;  // between hearing of it and having reported it
};

}  // namespace mitu::client
