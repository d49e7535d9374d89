// What the operator of the virtual server does: bans, quotas, memory, reload, credentials that end.

#include "mitu/base/check.hpp"
#include "sim/catalog.hpp"
#include "sim/world.hpp"

namespace mitu::sim {

/// A new server begins with what its options say.
void World::begin_authority() {
    authority_.lift_bans(now());
    authority_.memory_bp.set(0, now());
    authority_.has_admission = options_.server.admission.has_value();
    if (!authority_.has_admission) return;
    authority_.connections_max.set(admission::no_maximum, now());
    authority_.flapping = options_.server.admission->flapping;
    for (std::size_t i = 0; i < catalog_->tenants().size(); ++i) {
        const auto found = options_.server.tenants.find(TenantId{static_cast<std::uint16_t>(i)});
        authority_.limits[catalog_->tenants()[i].name].set(
            found != options_.server.tenants.end() ? found->second : admission::TenantLimits{},
            now());
    }
}

void World::set_ban(Authority::BanOrder ban) {
    if (!server_ || server_->admission() == nullptr) return;
    using admission::BanKind;
    using admission::BanTarget;
    const auto tenant = catalog_->find_tenant(ban.client.tenant);
    const BanTarget target =
        ban.kind == BanKind::network ? BanTarget::from(ban.network)
        : ban.kind == BanKind::user
            // The user of a registered client is its device, whatever it calls itself.
            ? BanTarget::user(tenant.value_or(tenant_default),
                              user_of(ban.client).empty() ? "" : ban.client.client_id)
            : BanTarget::client(tenant.value_or(tenant_default), ban.client.client_id);
    ban.since = now();
    // One of the same target is replaced.
    for (Authority::BanOrder& other : authority_.bans) {
        if (other.kind == ban.kind && other.client == ban.client && other.network == ban.network) {
            other.until = std::min(other.until, now());
        }
    }
    MITU_CHECK(server_->admission()->bans.set({target, "drawn", "operator", now(), ban.until}));
    authority_.bans.push_back(std::move(ban));
}

void World::lift_bans() {
    if (!server_ || server_->admission() == nullptr) return;
    auto& bans = server_->admission()->bans;
    for (const admission::Ban& ban : bans.snapshot()->all()) bans.lift(ban.target);
    authority_.lift_bans(now());
}

void World::set_limits(const std::string& tenant, const admission::TenantLimits& limits) {
    const auto id = catalog_->find_tenant(tenant);
    if (!server_ || server_->admission() == nullptr || !id) return;
    MITU_CHECK(server_->admission()->ledger.set_tenant(*id, limits));
    authority_.limits[tenant].set(limits, now());
}

void World::set_connections_max(std::uint64_t maximum) {
    if (!server_ || server_->admission() == nullptr) return;
    admission::ServerLimits server;
    server.maximum[static_cast<std::size_t>(admission::Quota::connections)] = maximum;
    MITU_CHECK(server_->admission()->ledger.set_server(server));
    authority_.connections_max.set(maximum, now());
}

void World::set_memory(std::uint32_t used_bp) {
    if (!server_ || server_->admission() == nullptr) return;
    auto& memory = server_->admission()->memory;
    // Rounded up, so that a threshold that is named is reached.
    memory.update(memory.options().budget_bytes / 10'000 * (used_bp + 1));
    authority_.memory_bp.set(used_bp, now());
    for (std::uint16_t i = 0; i < server_->shard_count(); ++i) server_->network(i).wake();
}

void World::reload(Rights rights) {
    catalog_ = catalog_of_revision(static_cast<std::uint32_t>(catalog_->revision()), rights);
    authority_.rights.begin(rights, now());
    ++reload_number_;
    for (Observer* observer : observers_) observer->on_rights(now(), steps_);
    if (!server_) {
        finish_reload();
        return;
    }
    gate_->replace(node::make_registry_authentication(
        catalog_, options_.allow_anonymous ? identity::AnonymousRule::always
                                           : identity::AnonymousRule::never));
    renewals_ = server_->shard_count();
    for (std::uint16_t i = 0; i < server_->shard_count(); ++i) renew_later(i, 0);
}

void World::renew_later(std::uint16_t shard, std::uint32_t first) {
    const auto wait =
        Duration::microseconds(static_cast<std::int64_t>(operator_prng_.below(2'000)));
    const auto count = 1 + static_cast<std::uint32_t>(operator_prng_.below(4));
    timeline_.at(now() + wait,
                 [this, shard, first, count, number = reload_number_, server = server_number_] {
                     if (!server_ || number != reload_number_ || server != server_number_) return;
                     const auto next = server_->shard(shard).renew_profiles(
                         first, count,
                         [this](TenantId tenant, std::string_view client_id, const auto& profile) {
                             return gate_->renewed(tenant, client_id, profile);
                         },
                         now());
                     server_->network(shard).wake();
                     if (next) {
                         renew_later(shard, *next);
                     } else if (--renewals_ == 0) {
                         finish_reload();
                     }
                 });
}

void World::finish_reload() {
    if (!authority_.rights.done().is_never()) return;
    authority_.rights.finish(now());
    for (Observer* observer : observers_) observer->on_rights(now(), steps_);
}

void World::calm_down() {
    authority_.login_holds_max = Duration{};
    lift_bans();
    set_memory(0);
    for (const auto& tenant : catalog_->tenants()) set_limits(tenant.name, {});
    set_connections_max(admission::no_maximum);
    if (authority_.rights.now() != usual_rights) reload(usual_rights);
}

/// A password is as good as a token here: what it proves may end.
void World::put_credential(broker::Admission& admission) {
    auto* const admitted = std::get_if<broker::Admitted>(&admission.outcome);
    if (admitted == nullptr || authority_.login_holds_max == Duration{}) return;
    const auto spread = static_cast<std::uint64_t>(authority_.login_holds_max.count_ns());
    admitted->valid_until =
        now() + Duration::milliseconds(100) +
        Duration::nanoseconds(static_cast<std::int64_t>(operator_prng_.below(spread)));
    const auto* const tap =
        server_->network(admission.ticket.shard.value).tap(admission.ticket.connection);
    for (const auto& link : links_) {
        if (tap != link.get()) continue;
        for (Observer* observer : observers_) {
            observer->on_credential(link->serial(), admitted->valid_until);
        }
    }
}

}  // namespace mitu::sim
