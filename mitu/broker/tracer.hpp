#pragma once
// Tracer: what happens to one client, or to the messages of one topic, told while it happens.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/base/strong_id.hpp"
#include "mitu/base/time.hpp"
#include "mitu/mqtt/packet.hpp"
#include "mitu/ports/inbox.hpp"

namespace mitu::broker {

enum class TraceKind : std::uint8_t {
    connected,
    connect_refused,
    taken_over,    // by a second connection with the same client id
    disconnected,  // the session stays, or ends
    packet_in,
    packet_out,
    routed,   // at the home of its topic: to how many
    queued,   // for one client
    dropped,  // on its way to a client, or from it
    refused,  // a subscription or a publish, or the client is read later
};
[[nodiscard]] std::string_view to_text(TraceKind kind) noexcept;

/// One thing that happened. What does not apply is empty, zero or nullopt. Holds no secret:
/// passwords, tokens and authentication data never come here.
struct TraceEvent {
    Instant at{};
    ShardId shard{};
    TraceKind kind = TraceKind::packet_in;
    std::string client_id{};      // empty: the event is about a topic only
    std::string packet{};         // "PUBLISH"
    std::uint16_t packet_id = 0;  // 0: it has none
    std::string topic{};          // or the filters, one after the other
    std::optional<std::uint8_t> qos{};
    bool dup = false;
    bool retain = false;
    std::uint64_t bytes = 0;  // of the payload; of a whole packet where it has none
    std::optional<std::string> payload{};
    std::string reason{};                       // MQTT's name, or that of a drop or refusal
    std::string text{};                         // for people: rule, bound, peer
    std::optional<std::uint64_t> recipients{};  // routed
};

/// What is to be traced. Shape: either client_id or filter is empty.
struct TraceQuery {
    TenantId tenant{};
    std::string client_id{};
    std::string filter{};
    /// Refused CONNECTs of whom nobody knows the tenant too.
    bool sees_unknown_tenants = false;
    bool with_payload = false;
    Instant until{};
};

/// Where events go: bounded, and nobody who writes waits for the reader.
/// Threading  any thread.
class TraceSink {
public:
    static constexpr std::size_t events_max = 4'096;

    void push(TraceEvent event) {
        if (!events_.try_push(std::move(event))) lost_.fetch_add(1, std::memory_order_relaxed);
    }
    /// Replaces what `events` holds by all that came.
    void drain(std::vector<TraceEvent>& events) { events_.drain(events); }
    /// How many found no room since the last call.
    [[nodiscard]] std::uint64_t take_lost() noexcept {
        return lost_.exchange(0, std::memory_order_relaxed);
    }

private:
    ports::Inbox<TraceEvent> events_{events_max};
    std::atomic<std::uint64_t> lost_{0};
};

/// The traces that one shard serves. While there is none, everything that could tell something
/// asks is_on() and goes on.
/// Threading  shard-local.
class Tracer {
public:
    static constexpr std::size_t payload_bytes_max = 4'096;  // more is cut

    [[nodiscard]] bool is_on() const noexcept { return !traces_.empty(); }
    void begin(std::uint64_t id, TraceQuery query, std::shared_ptr<TraceSink> sink);
    void end(std::uint64_t id);
    /// Ends those whose time is over.
    void expire(Instant now);

    [[nodiscard]] bool wants_client(TenantId tenant, std::string_view client_id) const;
    /// Tells the event to those whom it concerns: by its client, or by its topic if it is that of a
    /// message. `payload` is added for those who want it.
    void say(TenantId tenant, const TraceEvent& event, ByteView payload = {}) const;
    /// The same of a client whose tenant nobody knows.
    void say_unknown(const TraceEvent& event) const;

private:
    struct Trace {
        std::uint64_t id;
        TraceQuery query;
        std::shared_ptr<TraceSink> sink;
    };
    std::vector<Trace> traces_;
};

/// What a packet says of itself, without its payload and without secrets.
[[nodiscard]] TraceEvent describe(const mqtt::Packet& packet, std::size_t packet_bytes);

}  // namespace mitu::broker
