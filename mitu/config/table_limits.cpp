// The keys of limits, tenants, memory, flapping and bans.
#include "mitu/config/key_make.hpp"
#include "mitu/config/limits.hpp"
#include "mitu/config/table.hpp"

namespace mitu::config {
namespace {

constexpr std::uint64_t count_max = 4'000'000'000;
constexpr std::uint64_t bytes_max = std::uint64_t{1} << 44;
constexpr std::string_view no_limit = "no limit";

}  // namespace

template <>
const Shape& shape_of<ClientLimits>() {
    static const ClientLimits defaults;
    static const Shape shape{
        {},
        {
            key("messages_per_s", &ClientLimits::messages_per_s,
                "Publishes per second; a client beyond it is read more slowly.")
                .range(1, 10'000'000)
                .if_none(no_limit)
                .live(),
            key("bytes_per_s", &ClientLimits::bytes_per_s,
                "Bytes per second; a client beyond it is read more slowly.")
                .as_size()
                .range(1'024, bytes_max)
                .if_none(no_limit)
                .live(),
            key("connects_per_minute", &ClientLimits::connects_per_minute,
                "CONNECTs of one client id; more are refused (0x9F).")
                .range(1, 60'000)
                .if_none(no_limit)
                .live(),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<Limits>() {
    static const Limits defaults;
    static const Shape shape{
        {},
        {
            key("packet_bytes_max", &Limits::packet_bytes_max,
                "Largest packet that a client may send.")
                .as_size()
                .range(1'024, 268'435'460),
            key("receive_maximum", &Limits::receive_maximum,
                "QoS 1 and 2 publishes a client may have unacknowledged; 3.1.1 clients are slowed.")
                .range(1, 65'535)
                .unit_of("messages"),
            key("topic_alias_maximum", &Limits::topic_alias_maximum,
                "Topic aliases a client may define.")
                .unit_of("aliases"),
            key("session_expiry_max", &Limits::session_expiry_max,
                "Longer session expiry intervals are cut to this.")
                .range(1'000, std::uint64_t{4'294'967'294} * 1'000)
                .if_none("none is cut"),
            key("inflight_max", &Limits::inflight_max,
                "QoS 1 and 2 messages on their way to one client, whatever it offers.")
                .range(1, 65'535)
                .unit_of("messages"),
            key("queue_messages_max", &Limits::queue_messages_max,
                "Messages that wait for one client; beyond it the oldest QoS 0 goes, then new ones "
                "are dropped.")
                .range(1, 100'000'000),
            key("queue_bytes_max", &Limits::queue_bytes_max,
                "Topic, properties and payload bytes of those messages.")
                .as_size()
                .range(1'024, bytes_max),
            key("queue_retained_max", &Limits::queue_retained_max,
                "Retained messages that wait beside them after a SUBSCRIBE.")
                .range(1, 100'000'000)
                .unit_of("messages"),
            key("subscriptions_max", &Limits::subscriptions_max, "Subscriptions of one client.")
                .range(1, 10'000'000),
            key("session_bytes_max", &Limits::session_bytes_max,
                "Memory of one session beside its messages: filters, queue entries, aliases.")
                .as_size()
                .range(4'096, bytes_max),
            key("topic_levels_max", &Limits::topic_levels_max,
                "Levels of a topic or filter (a/b/c has 3); never more than 128.")
                .range(1, 1'024)
                .if_none(no_limit)
                .live(),
            key("wildcard_levels_max", &Limits::wildcard_levels_max,
                "Levels of a filter that are + or #.")
                .range(0, 1'024)
                .if_none(no_limit)
                .live(),
            key("client", &Limits::client,
                "Rates of one client. Where its policy has another, the stricter one holds.")
                .live(),
            key("connections_max", &Limits::connections_max,
                "Connections of the server; open files are asked of the kernel for as many.")
                .range(1, 100'000'000),
            key("connect_rate_per_s", &Limits::connect_rate_per_s,
                "Connections accepted per second, of all listeners.")
                .range(1, 10'000'000)
                .if_none(no_limit)
                .live(),
            key("messages_per_s", &Limits::messages_per_s,
                "Publishes per second of all clients together; beyond it they are read more "
                "slowly, each in its turn.")
                .range(1, count_max)
                .if_none(no_limit)
                .live(),
            key("bytes_per_s", &Limits::bytes_per_s,
                "Bytes per second from all clients together; beyond it they are read more slowly.")
                .as_size()
                .range(1'024, bytes_max)
                .if_none(no_limit)
                .live(),
            key("logins_waiting_max", &Limits::logins_waiting_max,
                "Clients whose password waits to be checked; more are refused (0x97).")
                .range(1, 10'000'000)
                .unit_of("clients"),
            key("retained_messages_max", &Limits::retained_messages_max,
                "Retained messages of the server; a publish beyond it is refused (0x97).")
                .range(1, count_max)
                .if_none("the shards' limits")
                .live(),
            key("retained_bytes_max", &Limits::retained_bytes_max, "Bytes of those messages.")
                .as_size()
                .range(1'024, bytes_max)
                .if_none(no_limit)
                .live(),
            key("shard_sessions_max", &Limits::shard_sessions_max, "Sessions of one shard.")
                .range(1, 100'000'000),
            key("shard_retained_messages_max", &Limits::shard_retained_messages_max,
                "Retained messages of one shard.")
                .range(1, count_max),
            key("shard_message_bytes_max", &Limits::shard_message_bytes_max,
                "Memory for messages of one shard.")
                .as_size()
                .range(std::uint64_t{1} << 20, bytes_max),
            key("shard_session_pool_bytes_max", &Limits::shard_session_pool_bytes_max,
                "Address space for what the sessions of one shard have beside their messages.")
                .as_size()
                .range(std::uint64_t{1} << 20, bytes_max),
            key("connect_timeout", &Limits::connect_timeout,
                "From accept to a whole CONNECT, admitted.")
                .range(100, 300'000),
            key("shutdown_timeout", &Limits::shutdown_timeout,
                "How long the server waits for clients when it stops.")
                .range(0, 300'000),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<TenantLimits>() {
    static const TenantLimits defaults;
    const auto optional_count = [](Key made) {
        return std::move(made).range(1, count_max).if_none(no_limit).managed().live();
    };
    const auto optional_bytes = [](Key made) {
        return std::move(made).as_size().range(1'024, bytes_max).if_none(no_limit).managed().live();
    };
    static const Shape shape{
        {},
        {
            optional_count(key("connections_max", &TenantLimits::connections_max,
                               "Connections at the same time; more are refused (0x97).")),
            optional_count(key("connect_rate_per_s", &TenantLimits::connect_rate_per_s,
                               "Connections per second; more are refused (0x9F).")),
            optional_count(key("messages_per_s", &TenantLimits::messages_per_s,
                               "Publishes per second of all its clients.")),
            optional_bytes(key("bytes_per_s", &TenantLimits::bytes_per_s,
                               "Bytes per second from all its clients.")),
            optional_count(key("subscriptions_max", &TenantLimits::subscriptions_max,
                               "Subscriptions of all its clients.")),
            optional_count(key("retained_messages_max", &TenantLimits::retained_messages_max,
                               "Retained messages.")),
            optional_bytes(key("retained_bytes_max", &TenantLimits::retained_bytes_max,
                               "Bytes of retained messages.")),
            optional_bytes(key("queue_bytes_max", &TenantLimits::queue_bytes_max,
                               "Bytes that wait for all its clients.")),
            key("reserved_connections", &TenantLimits::reserved_connections,
                "Connections that others cannot take.")
                .range(0, 100'000'000)
                .managed()
                .live(),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<Tenant>() {
    static const Tenant defaults;
    static const Shape shape{
        "name",
        {
            key("name", &Tenant::name, "Of a tenant; policies and listeners name it.")
                .each(name_rule)
                .required()
                .live(),
            key("description", &Tenant::description, "For people.").live(),
            key("durability", &Tenant::durability,
                "What an acknowledgement of its messages means; see `store.durability`.")
                .if_none("`store.durability`"),
            key("user_name_suffix", &Tenant::user_name_suffix,
                "User names of that ending are this tenant's: `@acme`.")
                .live(),
            key("chain", &Tenant::chain,
                "Names of methods that are asked for clients of this tenant.")
                .each(name_rule)
                .if_none("the listener's")
                .live(),
            key("limits", &Tenant::limits, "Of all clients of the tenant together.").live(),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<Memory>() {
    static const Memory defaults;
    static const Shape shape{
        {},
        {
            key("budget_bytes", &Memory::budget_bytes,
                "Memory of the process beyond which it sheds load.")
                .as_size()
                .range(std::uint64_t{16} << 20, bytes_max)
                .if_none("no budget"),
            key("refuse_connections_at", &Memory::refuse_connections_at,
                "New connections are refused: before TLS or WebSocket, else at CONNECT (0x89).")
                .range(1, 100)
                .unit_of("% of the budget"),
            key("drop_qos0_at", &Memory::drop_qos0_at, "QoS 0 messages are not queued.")
                .range(1, 100)
                .unit_of("% of the budget"),
            key("refuse_retained_at", &Memory::refuse_retained_at,
                "Publishes with retain are refused (0x97).")
                .range(1, 100)
                .unit_of("% of the budget"),
            key("disconnect_slow_at", &Memory::disconnect_slow_at,
                "Clients with the longest queues are disconnected (0x97).")
                .range(1, 100)
                .unit_of("% of the budget"),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<Flapping>() {
    static const Flapping defaults;
    static const Shape shape{
        {},
        {
            key("enabled", &Flapping::enabled, "Ban clients that connect over and over."),
            key("window", &Flapping::window, "The time in which connects are counted.")
                .range(1'000, 3'600'000),
            key("connects_max", &Flapping::connects_max, "Connects within it that are fine.")
                .range(2, 1'000'000),
            key("ban_duration", &Flapping::ban_duration, "How long the client id is banned.")
                .range(1'000, std::uint64_t{30} * 86'400'000),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<SessionFaults>() {
    static const SessionFaults defaults;
    static const Shape shape{
        {},
        {
            key("ban", &SessionFaults::ban, "Ban clients whose sessions break over and over."),
            key("window", &SessionFaults::window, "The time in which faults are counted.")
                .range(1'000, 86'400'000),
            key("faults_max", &SessionFaults::faults_max, "Faults within it that are borne.")
                .range(1, 1'000'000),
            key("ban_duration", &SessionFaults::ban_duration, "How long the client id is banned.")
                .range(1'000, std::uint64_t{30} * 86'400'000),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<Ban>() {
    static const Ban defaults;
    static const Shape shape{
        {},
        {
            key("client_id", &Ban::client_id, "The client id that is banned.").live(),
            key("user", &Ban::user, "The user name that is banned.").live(),
            key("address", &Ban::address,
                "The address or network that is banned: `203.0.113.7`, `203.0.113.0/24`.")
                .each(network_rule)
                .live(),
            key("tenant", &Ban::tenant, "Of this tenant only.")
                .each(name_rule)
                .if_none("of any tenant")
                .live(),
            key("until", &Ban::until, "When the ban ends, in UTC.").if_none("for good").live(),
            key("reason", &Ban::reason, "For people.").live(),
            key("created_by", &Ban::created_by, "Who added it; the API notes it.")
                .if_none("not known")
                .live(),
            key("created_at", &Ban::created_at, "When, in UTC; the API notes it.")
                .if_none("not known")
                .live(),
        },
        &defaults};
    return shape;
}

}  // namespace mitu::config
