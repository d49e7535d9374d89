#pragma once
// Broker: what the API asks the running broker. mitu/node answers it from its shards; tests answer
// it from memory (testing/fake_broker.hpp).

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mitu/api/error.hpp"
#include "mitu/base/bytes.hpp"
#include "mitu/base/time.hpp"
#include "mitu/http/server.hpp"

namespace mitu::api {

/// Names a tenant; nullopt where it may be one: every tenant.
using TenantName = std::string;
using TenantScope = std::optional<TenantName>;

/// A piece of a listing that is asked for.
struct Page {
    std::uint32_t limit = 100;  // 1..1000
    std::string cursor{};       // as an earlier Listing gave it; empty: from the beginning
};

/// A piece of a listing. It may have fewer items than asked for, or none, though more is to come:
/// the broker looks for a bounded time only.
template <class T>
struct Listing {
    std::vector<T> items{};
    std::string next_cursor{};                   // empty: that was all
    std::vector<std::uint16_t> silent_shards{};  // did not answer in time: theirs is missing
};

struct TenantInfo {
    TenantName name{};
    std::string description{};
};

/// What was refused to a client, dropped for it, or slowed down.
struct RefusalInfo {
    TenantScope tenant{};     // nullopt: nobody knows whose client it is
    std::string client_id{};  // as claimed
    WallTime at{};            // the last time
    std::uint64_t count = 0;  // in a row, up to then
    std::string kind{};       // connect_refused, message_dropped, publish_refused, ...
    std::string reason{};     // of the drop, or MQTT's own name
    std::string text{};       // as the client was told; empty: nothing
    std::string peer{};       // the address; empty: that of the client's connection
    std::string limit{};      // the bound that was met; empty: none
    std::string scope{};      // whose it is
    std::optional<std::uint64_t> limit_value{};
};
struct RefusalQuery {
    TenantScope tenant{};
    std::string client_id{};                // empty: any
    bool includes_unknown_tenants = false;  // with a tenant: of unknown ones too
};

/// Whom or what to follow; either client_id or filter is empty.
struct TraceRequest {
    TenantName tenant{};
    std::string client_id{};
    std::string filter{};
    bool with_payload = false;
    bool includes_unknown_tenants = false;  // refused CONNECTs of whom nobody knows the tenant
    Duration duration = Duration::seconds(60);
};

struct ClientQuery {
    TenantScope tenant{};
    std::optional<bool> connected{};
    std::string prefix{};  // of the client id
};
struct ClientInfo {
    TenantName tenant{};
    std::string client_id{};
    bool connected = false;
    std::string peer{};              // empty: not connected
    std::string protocol_version{};  // "3.1.1", "5.0"
    std::string policy{};
    std::string device_class{};
    double idle_s = 0;
    std::uint64_t subscriptions = 0;
    std::uint64_t queued = 0;
    std::uint64_t inflight = 0;
    std::map<std::string, std::uint64_t> dropped{};  // by reason; those above 0
    std::vector<RefusalInfo> refusals{};             // the last few, the newest first
};

struct SubscriptionQuery {
    TenantScope tenant{};
    std::string filter{};  // exactly this one; empty: any
    std::string topic{};   // those that match this topic; needs a tenant; empty: any
};
struct SubscriptionInfo {
    TenantName tenant{};
    std::string client_id{};  // empty: the client left while it was asked
    std::string filter{};     // with `$share/NAME/`
    std::uint8_t qos = 0;
    bool no_local = false;
    bool retain_as_published = false;
    std::uint32_t identifier = 0;  // 0: none
};

struct TopicQuery {
    TenantScope tenant{};
    std::string filter{};  // empty: any
};
struct TopicInfo {
    TenantName tenant{};
    std::string topic{};
    bool retained = false;
    std::uint64_t subscriptions = 0;  // to exactly this topic
};

struct RetainedInfo {
    TenantName tenant{};
    std::string topic{};
    std::uint8_t qos = 0;
    std::uint64_t payload_bytes = 0;
    std::optional<double> expires_in_s{};
};

/// An application message, on its way in or out.
struct Message {
    TenantName tenant{};
    std::string topic{};
    Bytes payload{};
    std::uint8_t qos = 0;
    bool retain = false;
    std::optional<std::uint32_t> expiry_s{};
    std::optional<bool> payload_is_utf8{};
    std::optional<std::string> content_type{};
    std::optional<std::string> response_topic{};
    std::optional<Bytes> correlation_data{};
    std::vector<std::pair<std::string, std::string>> user_properties{};
};
struct PublishInfo {
    std::uint64_t recipients = 0;  // clients that it was sent to, connected or not
};

/// Errors  of every call: shard_silent (it did not answer in time; a change may have been made all
///         the same), overloaded (nothing was done). Names of tenants are known before they come
///         here; topics and filters are valid.
/// Threading  any thread, several at once.
/// Cost       waits for shards, for a second or two at most.
class Broker {
public:
    virtual ~Broker() = default;

    [[nodiscard]] virtual std::vector<TenantInfo> tenants() = 0;

    /// Errors  cursor_invalid
    [[nodiscard]] virtual Answer<Listing<ClientInfo>> clients(const ClientQuery& query,
                                                              const Page& page) = 0;
    /// Errors  client_unknown
    [[nodiscard]] virtual Answer<ClientInfo> client(const TenantName& tenant,
                                                    const std::string& client_id) = 0;
    /// CONNECTs that were refused, also of those who never had a session; the newest first.
    /// Errors  cursor_invalid
    [[nodiscard]] virtual Answer<Listing<RefusalInfo>> refusals(const RefusalQuery& query,
                                                                const Page& page) = 0;
    /// Disconnects it; its session stays as MQTT says.
    /// Errors  client_unknown, client_not_connected
    [[nodiscard]] virtual Answer<void> kick(const TenantName& tenant,
                                            const std::string& client_id) = 0;
    /// Order   by filter.
    /// Errors  client_unknown, cursor_invalid
    [[nodiscard]] virtual Answer<Listing<SubscriptionInfo>> subscriptions_of(
        const TenantName& tenant, const std::string& client_id, const Page& page) = 0;
    /// Errors  cursor_invalid
    [[nodiscard]] virtual Answer<Listing<SubscriptionInfo>> subscriptions(
        const SubscriptionQuery& query, const Page& page) = 0;
    [[nodiscard]] virtual Answer<Listing<TopicInfo>> topics(const TopicQuery& query,
                                                            const Page& page) = 0;
    [[nodiscard]] virtual Answer<Listing<RetainedInfo>> retained(const TopicQuery& query,
                                                                 const Page& page) = 0;
    /// Errors  retained_unknown
    [[nodiscard]] virtual Answer<Message> retained_message(const TenantName& tenant,
                                                           const std::string& topic) = 0;
    /// Forgets it; nobody is told. Errors: retained_unknown
    [[nodiscard]] virtual Answer<void> delete_retained(const TenantName& tenant,
                                                       const std::string& topic) = 0;
    /// Publishes as the server. Errors: quota_exceeded (nothing was sent)
    [[nodiscard]] virtual Answer<PublishInfo> publish(const Message& message) = 0;

    /// What happens from now on, one JSON object a line, until the time is over or the stream is
    /// let go.
    /// Errors  too_many_traces
    [[nodiscard]] virtual Answer<std::shared_ptr<http::BodyStream>> trace(
        const TraceRequest& request) = 0;

    /// JSON. `tenant`: the rows of this one only.
    [[nodiscard]] virtual std::string fleet_status(const TenantScope& tenant) = 0;
    [[nodiscard]] virtual std::string overview() = 0;
};

}  // namespace mitu::api
