#include "mitu/node/quotas.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

namespace mitu::node {
namespace {

using admission::Quota;

admission::Rate rate_of(std::optional<std::uint64_t> per_second, std::uint64_t burst = 0) {
    return {per_second.value_or(0), burst};
}

admission::TenantLimits limits_of(const config::TenantLimits& from) {
    admission::TenantLimits limits;
    const auto at_most = [&](Quota quota, std::optional<std::uint64_t> maximum) {
        if (maximum) limits[quota].maximum = *maximum;
    };
    at_most(Quota::connections, from.connections_max);
    limits[Quota::connections].reserved = from.reserved_connections;
    at_most(Quota::subscriptions, from.subscriptions_max);
    at_most(Quota::retained_messages, from.retained_messages_max);
    at_most(Quota::retained_bytes, from.retained_bytes_max);
    at_most(Quota::message_bytes, from.queue_bytes_max);
    limits.connect_rate = rate_of(from.connect_rate_per_s);
    limits.message_rate = rate_of(from.messages_per_s);
    limits.byte_rate = rate_of(from.bytes_per_s);
    return limits;
}

/// Whom a ban means. Client ids and users of no tenant are banned in each.
std::vector<admission::BanTarget> targets_of(const config::Ban& ban,
                                             const fleet::Catalog& catalog) {
    if (!ban.address.empty()) {
        const auto network = parse_ip_network(ban.address);
        if (!network) return {};
        return {admission::BanTarget::from(*network)};
    }
    std::vector<admission::BanTarget> targets;
    for (std::size_t i = 0; i < catalog.tenants().size(); ++i) {
        if (!ban.tenant.empty() && ban.tenant != catalog.tenants()[i].name) continue;
        const TenantId tenant{static_cast<std::uint16_t>(i)};
        targets.push_back(ban.client_id.empty()
                              ? admission::BanTarget::user(tenant, ban.user)
                              : admission::BanTarget::client(tenant, ban.client_id));
    }
    return targets;
}

}  // namespace

std::unique_ptr<admission::Control> make_admission(const config::Config& config) {
    admission::ControlOptions options;
    if (config.flapping.enabled) {
        options.flapping.connects_max = config.flapping.connects_max;
        options.flapping.window = config.flapping.window;
        options.flapping.ban = config.flapping.ban_duration;
    }
    if (config.session_faults.ban) {
        options.faults.faults_max = config.session_faults.faults_max;
        options.faults.window = config.session_faults.window;
        options.faults.ban = config.session_faults.ban_duration;
    }
    if (const auto& memory = config.memory; memory.budget_bytes) {
        using admission::SheddingStep;
        options.memory.budget_bytes = *memory.budget_bytes;
        const auto at = [&](SheddingStep step, std::uint32_t percent) {
            options.memory.enter_bp[static_cast<std::size_t>(step)] = percent * 100;
        };
        at(SheddingStep::refuse_new_connections, memory.refuse_connections_at);
        at(SheddingStep::drop_qos0_to_slow, memory.drop_qos0_at);
        at(SheddingStep::refuse_retained, memory.refuse_retained_at);
        at(SheddingStep::disconnect_slowest, memory.disconnect_slow_at);
    }
    return std::make_unique<admission::Control>(options);
}

std::optional<std::string> apply_bans(admission::BanList& bans, const config::Config& config,
                                      const fleet::Catalog& catalog, const ports::Clock& clock) {
    std::map<admission::BanTarget, admission::Ban> wanted;
    for (const config::Ban& from : config.bans) {
        admission::Ban ban;
        ban.reason = from.reason;
        ban.set_by = bans_set_by;
        ban.since = clock.now();
        if (from.until) {
            const std::int64_t left_ms = from.until->unix_ms - clock.wall().unix_ms;
            if (left_ms <= 0) continue;
            ban.expires_at = clock.now() + Duration::milliseconds(left_ms);
        }
        for (admission::BanTarget& target : targets_of(from, catalog)) {
            ban.target = target;
            const auto [at, is_new] = wanted.try_emplace(std::move(target), ban);
            // Of one in its tenant and one in all, the longer counts.
            if (!is_new && at->second.expires_at < ban.expires_at) at->second = ban;
        }
    }
    // At no time does somebody come in between.
    for (const admission::Ban& ban : bans.snapshot()->all()) {
        if (ban.set_by == bans_set_by && !wanted.contains(ban.target)) bans.lift(ban.target);
    }
    for (auto& [target, ban] : wanted) {
        if (!bans.set(std::move(ban))) return "bans: there are more than the server keeps";
    }
    return std::nullopt;
}

std::optional<std::string> apply_quotas(admission::Control& admission, const config::Config& config,
                                        const fleet::Catalog& catalog, const ports::Clock& clock) {
    admission::ServerLimits server;
    const auto at_most = [&](Quota quota, std::uint64_t maximum) {
        server.maximum[static_cast<std::size_t>(quota)] = maximum;
    };
    at_most(Quota::connections, config.limits.connections_max);
    if (const auto& maximum = config.limits.retained_messages_max) {
        at_most(Quota::retained_messages, *maximum);
    }
    if (const auto& maximum = config.limits.retained_bytes_max) {
        at_most(Quota::retained_bytes, *maximum);
    }
    server.connect_rate = rate_of(config.limits.connect_rate_per_s);
    server.message_rate = rate_of(config.limits.messages_per_s);
    server.byte_rate = rate_of(config.limits.bytes_per_s);
    admission.client_connects_per_minute.store(config.limits.client.connects_per_minute.value_or(0),
                                               std::memory_order_relaxed);
    if (!admission.ledger.set_server(server)) {
        return "limits.connections_max is below what is reserved for tenants; raise it, or lower "
               "their reserved_connections";
    }
    // What an earlier configuration has set and this one does not name is open again.
    for (std::size_t i = 0; i < catalog.tenants().size(); ++i) {
        const bool is_named = std::any_of(
            config.tenants.begin(), config.tenants.end(),
            [&](const auto& tenant) { return tenant.name == catalog.tenants()[i].name; });
        const TenantId id{static_cast<std::uint16_t>(i)};
        if (!is_named) static_cast<void>(admission.ledger.set_tenant(id, {}));
    }
    for (const config::Tenant& tenant : config.tenants) {
        const auto id = catalog.find_tenant(tenant.name);
        if (!id) {
            return fmt::format("tenant \"{}\" is declared by no policy; add one of kind Tenant",
                               tenant.name);
        }
        if (!admission.ledger.set_tenant(*id, limits_of(tenant.limits))) {
            return fmt::format(
                "tenant \"{}\": more connections are reserved than limits.connections_max allows",
                tenant.name);
        }
    }
    std::uint16_t index = 0;
    for (const config::Listener& listener : config.listeners) {
        admission::ListenerLimits limits;
        if (listener.limits.connections_max)
            limits.connections_max = *listener.limits.connections_max;
        limits.connect_rate =
            rate_of(listener.limits.connect_rate_per_s, listener.limits.connect_burst);
        limits.message_rate = rate_of(listener.limits.messages_per_s);
        limits.byte_rate = rate_of(listener.limits.bytes_per_s);
        limits.packet_bytes_max = listener.limits.packet_bytes_max.value_or(0);
        limits.has_doorkeeper = listener.tls || listener.protocol == config::Protocol::websocket;
        admission.ledger.set_listener(index++, limits);
    }
    return apply_bans(admission.bans, config, catalog, clock);
}

}  // namespace mitu::node
