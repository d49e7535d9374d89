// Who is here: sessions, and their filters.

#include "mitu/broker/shard_inspect.hpp"

#include <algorithm>

namespace mitu::broker {

/// Of a queue: messages, though it may have been full of bytes. nullopt: there is none.
std::optional<std::uint64_t> ShardInspector::value_of(const admission::Bound& bound,
                                                      const Session& session) const {
    using admission::Limit;
    const auto or_else = [](std::uint64_t own, std::uint64_t general) {
        const std::uint64_t value = own != 0 ? own : general;
        return value != 0 ? std::optional{value} : std::nullopt;
    };
    if (bound.scope != admission::Scope::client) {
        if (shard_.ports_.admission == nullptr) return std::nullopt;
        const SessionNotes& notes = shard_.sessions_.notes(session.self());
        return shard_.ports_.admission->ledger.value_of(bound, session.tenant(),
                                                        notes.listener_index);
    }
    static const Profile nothing;
    const Profile& profile = session.profile() != nullptr ? *session.profile() : nothing;
    switch (bound.limit) {
        case Limit::message_rate:
            return or_else(profile.message_rate_per_s, 0);
        case Limit::byte_rate:
            return or_else(profile.bytes_per_s, 0);
        case Limit::subscriptions:
            return or_else(profile.subscriptions_max, shard_.limits_.subscriptions_max);
        case Limit::inflight:
            return or_else(profile.inflight_max, shard_.limits_.inflight_max);
        case Limit::queue:
            return or_else(profile.queue_messages_max, shard_.limits_.queue_messages_max);
        case Limit::retained_bytes:
            return or_else(profile.retained_payload_bytes_max, 0);
        case Limit::packet_bytes:
            return or_else(session.packet_bytes_max(), 0);
        case Limit::payload_bytes:
            return or_else(profile.payload_bytes_max, 0);
        case Limit::topic_levels:
            return or_else(profile.topic_levels_max, 0);
        case Limit::wildcard_levels:
            return profile.wildcard_levels_max;
        default:
            return std::nullopt;
    }
}

ClientFacts ShardInspector::facts_of(const Session& session) const {
    ClientFacts facts;
    facts.tenant = session.tenant();
    facts.session = session.self();
    facts.client_id = session.client_id();
    facts.connected = session.is_attached();
    if (const Connection* const connection = shard_.find(session.connection())) {
        facts.peer = ports::address_text(connection->peer);
    }
    facts.version = session.version();
    if (session.profile() != nullptr) {
        facts.policy = session.profile()->policy_name;
        facts.device_class = session.profile()->device_class;
    }
    facts.idle = now_ - session.last_heard();
    facts.subscriptions = static_cast<std::uint32_t>(session.subscription_count());
    facts.queued = session.queued_count();
    facts.inflight = session.inflight_count();
    for (std::size_t i = 0; i < drop_reason_count; ++i) {
        facts.dropped[i] = session.dropped(static_cast<DropReason>(i));
    }
    if (const Refusals* const last = session.refusals()) {
        last->for_each([&](const Refusals::Entry& entry) {
            const bool has_bound = entry.reason.has_bound;
            facts.refusals.push_back(
                {entry, has_bound ? value_of(entry.bound, session) : std::nullopt});
        });
    }
    return facts;
}

Chunk<ClientFacts> ShardInspector::clients(const ClientQuery& query, InspectPosition from,
                                           std::uint32_t items_max) const {
    Chunk<ClientFacts> chunk;
    const auto next =
        shard_.sessions_.visit_from(from.index, steps_max, [&](const Session& session) {
            if (query.tenant && session.tenant() != *query.tenant) return true;
            if (query.connected && session.is_attached() != *query.connected) return true;
            if (!session.client_id().starts_with(query.prefix)) return true;
            if (chunk.items.size() >= items_max) return false;
            chunk.items.push_back(facts_of(session));
            return true;
        });
    if (next) chunk.next = InspectPosition{0, *next, 0};
    return chunk;
}

std::optional<ClientFacts> ShardInspector::client(TenantId tenant,
                                                  std::string_view client_id) const {
    const Session* const session = shard_.sessions_.find(tenant, client_id);
    if (session == nullptr) return std::nullopt;
    return facts_of(*session);
}

std::optional<FilterPage> ShardInspector::filters(TenantId tenant, std::string_view client_id,
                                                  std::uint32_t begin,
                                                  std::uint32_t items_max) const {
    const Session* const session = shard_.sessions_.find(tenant, client_id);
    if (session == nullptr) return std::nullopt;
    FilterPage page;
    page.session = session->self();
    const memory::ArenaScope scope{shard_.turn_memory_};
    const auto sorted = session->filters().sorted(shard_.turn_memory_);
    page.total = static_cast<std::uint32_t>(sorted.size());
    for (std::size_t i = begin; i < sorted.size() && page.filters.size() < items_max; ++i) {
        page.filters.emplace_back(sorted[i]);
    }
    return page;
}

std::vector<std::string> ShardInspector::client_ids(std::span<const SessionRef> sessions) const {
    std::vector<std::string> names;
    names.reserve(sessions.size());
    for (const SessionRef& ref : sessions) {
        const Session* const session = shard_.sessions_.get(ref);
        names.emplace_back(session != nullptr ? session->client_id() : std::string_view{});
    }
    return names;
}

}  // namespace mitu::broker
