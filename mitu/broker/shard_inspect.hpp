#pragma once
// ShardInspector: what people and tools ask of a shard, in pieces that never hold it up.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/broker/shard.hpp"

namespace mitu::broker {

/// Where a listing goes on; the default: at its beginning. Whatever numbers come from outside are
/// fine: a listing that begins at a wrong place finds other things, or nothing.
struct InspectPosition {
    std::uint32_t phase = 0;
    std::uint32_t index = 0;
    std::uint32_t offset = 0;
    auto operator<=>(const InspectPosition&) const noexcept = default;
};

/// A piece of a listing. It may be empty though more is to come.
template <class Facts>
struct Chunk {
    std::vector<Facts> items{};
    std::optional<InspectPosition> next{};  // nullopt: that was all of this shard
};

struct ClientQuery {
    std::optional<TenantId> tenant{};
    std::optional<bool> connected{};
    std::string prefix{};  // of the client id
};
struct RefusalFacts : Refusals::Entry {
    std::optional<std::uint64_t> bound_value{};  // what the bound stands at now
};
struct ClientFacts {
    TenantId tenant;
    SessionRef session;
    std::string client_id{};
    bool connected = false;
    std::string peer{};  // address and port; empty: not connected
    mqtt::ProtocolVersion version = mqtt::ProtocolVersion::v5;
    std::string policy{};  // of the last connection
    std::string device_class{};
    Duration idle;
    std::uint32_t subscriptions = 0;
    std::uint32_t queued = 0;
    std::uint32_t inflight = 0;
    std::array<std::uint64_t, drop_reason_count> dropped{};
    std::vector<RefusalFacts> refusals{};  // the last few, the newest first
};

/// The filters of one session, from a place on.
struct FilterPage {
    SessionRef session;
    std::vector<std::string> filters{};  // ordered; as the client sent them
    std::uint32_t total = 0;
};

struct SubscriptionQuery {
    std::optional<TenantId> tenant{};
    std::string filter{};  // exactly this one, without `$share/NAME/`; empty: all
};
struct SubscriptionFacts {
    TenantId tenant;
    std::string filter{};
    std::string group{};  // empty: not shared
    Subscriber subscriber;
};

struct TopicQuery {
    std::optional<TenantId> tenant{};
    std::string filter{};  // topics that it matches; empty: all
};
struct TopicFacts {
    TenantId tenant;
    std::string topic{};
    bool has_retained = false;
    std::uint32_t subscriptions = 0;  // to exactly this topic, members of groups one by one
};
struct RetainedFacts {
    TenantId tenant;
    std::string topic{};
    mqtt::QoS qos = mqtt::QoS::at_most_once;
    std::uint64_t payload_bytes = 0;
    std::optional<Duration> expires_in{};
};
struct RetainedContent {
    RetainedFacts facts;
    Bytes properties{};  // forwarded ones, encoded
    Bytes payload{};
};

struct PublishOutcome {
    mqtt::ReasonCode reason = mqtt::ReasonCode::success;
    std::uint32_t recipients = 0;  // sessions that it was sent to, a shared group counted once
};

/// Asks one shard on its own thread, between two turns.
///
/// A call looks at `steps_max` places and gives `items_max` items at most, so it takes some tens of
/// microseconds whatever the shard holds. What is there from the first piece of a listing to the
/// last is seen exactly once; what comes, goes or changes meanwhile may be seen or not.
/// Threading  shard-local.
/// Lifetime   borrows the shard; what it returns is a copy.
class ShardInspector {
public:
    static constexpr std::uint32_t steps_max = 2'048;

    ShardInspector(Shard& shard, Instant now) noexcept : shard_{shard}, now_{now} {}

    /// Who was refused at CONNECT by this shard: the last few, the newest first.
    [[nodiscard]] std::vector<admission::RefusedAttempt> refused_attempts() const {
        return shard_.refused_attempts().newest();
    }
    /// The same of one client id, whether it ever had a session or not.
    [[nodiscard]] std::vector<admission::RefusedAttempt> refused_attempts(
        TenantId tenant, std::string_view client_id) const {
        return shard_.refused_attempts().of_client(tenant, client_id);
    }

    [[nodiscard]] Chunk<ClientFacts> clients(const ClientQuery& query, InspectPosition from,
                                             std::uint32_t items_max) const;
    [[nodiscard]] std::optional<ClientFacts> client(TenantId tenant,
                                                    std::string_view client_id) const;
    /// nullopt: no such session.
    [[nodiscard]] std::optional<FilterPage> filters(TenantId tenant, std::string_view client_id,
                                                    std::uint32_t begin,
                                                    std::uint32_t items_max) const;
    /// Of sessions of this shard; empty: gone.
    [[nodiscard]] std::vector<std::string> client_ids(std::span<const SessionRef> sessions) const;

    /// Subscriptions that have their home here; those that every shard knows are listed by shard 0.
    [[nodiscard]] Chunk<SubscriptionFacts> subscriptions(const SubscriptionQuery& query,
                                                         InspectPosition from,
                                                         std::uint32_t items_max) const;
    /// Those that match a topic whose home is here: who would get a message.
    /// Cost  that of matching one message, and the items.
    [[nodiscard]] Chunk<SubscriptionFacts> subscribers_of(TenantId tenant, std::string_view topic,
                                                          InspectPosition from,
                                                          std::uint32_t items_max) const;
    /// What this shard knows of a session's subscription; nullopt: nothing.
    [[nodiscard]] std::optional<Subscriber> subscription(TenantId tenant, std::string_view filter,
                                                         std::string_view group,
                                                         const SessionRef& session) const;

    /// Topics whose home is here: with a retained message, or subscribed to by name.
    [[nodiscard]] Chunk<TopicFacts> topics(const TopicQuery& query, InspectPosition from,
                                           std::uint32_t items_max) const;
    [[nodiscard]] Chunk<RetainedFacts> retained(const TopicQuery& query, InspectPosition from,
                                                std::uint32_t items_max) const;
    [[nodiscard]] std::optional<RetainedContent> retained_message(TenantId tenant,
                                                                  std::string_view topic) const;

    /// Forgets the retained message of a topic whose home is here; nobody is told. False: none.
    bool erase_retained(TenantId tenant, std::string_view topic);
    /// Publishes to a topic whose home is here, as the server itself.
    /// Errors  nullopt: deliveries to other shards are held up; nothing has happened, try later.
    [[nodiscard]] std::optional<PublishOutcome> publish(const MessageView& message);

private:
    template <class Tree>
    [[nodiscard]] static std::string name_of(const Tree& tree, std::uint32_t node);
    template <class Tree>
    [[nodiscard]] static std::uint32_t root_of(const Tree& tree, std::uint32_t node);
    template <class Tree>
    class Tenants;

    [[nodiscard]] ClientFacts facts_of(const Session& session) const;
    [[nodiscard]] std::optional<std::uint64_t> value_of(const admission::Bound& bound,
                                                        const Session& session) const;
    /// Adds what stands at a node of the index; false: `items_max` was reached at `at.offset`.
    bool list_node(std::uint32_t node, TenantId tenant, InspectPosition& at,
                   std::uint32_t items_max, std::vector<SubscriptionFacts>& items) const;
    void collect_matching(std::uint32_t node, const Levels& levels, std::uint32_t depth,
                          std::vector<std::uint32_t>& found) const;
    [[nodiscard]] std::uint32_t subscription_count_at(std::uint32_t node) const;
    [[nodiscard]] RetainedFacts retained_facts(const MessageView& view) const;

    Shard& shard_;
    Instant now_;
};

}  // namespace mitu::broker
