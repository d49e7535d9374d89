// What changes while a node runs: entries that the API changed, a configuration read anew,
// certificates.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "mitu/config/diff.hpp"
#include "mitu/node/node_impl.hpp"
#include "mitu/node/quotas.hpp"
#include "mitu/runtime/account.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::node {

using trace::Level;
using trace::log;

namespace {

/// What it says may be changed in a copy.
std::shared_ptr<config::Config> copy_of(const config::Config& config) {
    return std::make_shared<config::Config>(config);
}

/// "listeners[tls].enabled"
std::string enabled_path(const config::Listener& listener) {
    return fmt::format("listeners[{}].enabled", listener.name);
}

}  // namespace

// --- one part at a time ---

std::optional<std::string> Node::Impl::take_bans(const config::Config& next) {
    const std::lock_guard lock{house_mutex_};
    if (auto problem = apply_bans(admission_->bans, next, *catalog_, clock_)) return problem;
    auto mixed = copy_of(*config_);
    mixed->bans = next.bans;
    config_ = std::move(mixed);
    dismiss_banned();
    return std::nullopt;
}

std::optional<std::string> Node::Impl::take_users(const config::Config& next) {
    const std::lock_guard lock{house_mutex_};
    if (auto problem = sources_.set_users(next.users)) return problem;
    auto mixed = copy_of(*config_);
    mixed->users = next.users;
    dismiss_users_that_changed(*config_, *mixed);
    config_ = std::move(mixed);
    return std::nullopt;
}

std::optional<std::string> Node::Impl::take_listener(const std::string& name, bool enabled) {
    const std::lock_guard lock{house_mutex_};
    const auto& doors = doors_->doors();
    const auto at = std::find_if(doors.begin(), doors.end(),
                                 [&](const Door& door) { return door.name == name; });
    if (at == doors.end()) {
        return fmt::format("listener {} is new; it opens at the next start", name);
    }
    const auto index = static_cast<std::uint16_t>(at - doors.begin());
    if (at->is_open != enabled) {
        std::vector<runtime::UniqueFd> sockets(hosts_.size());
        if (enabled) {
            auto opened = doors_->open_again(index);
            if (!opened) return opened.error();
            sockets = *std::move(opened);
        } else {
            doors_->note_closed(index);
            for (const auto& held_name : Doors::names({at->from}, hosts_.size())) {
                held().let_go(held_name);
            }
        }
        for (std::size_t i = 0; i < hosts_.size(); ++i) {
            hosts_[i]->replace_listener(index, std::move(sockets[i]));
        }
        log(Level::info, enabled ? "listening" : "listener_closed",
            {{"listener", name}, {"address", at->address}});
    }
    auto mixed = copy_of(*config_);
    for (config::Listener& listener : mixed->listeners) {
        if (listener.name == name) listener.enabled = enabled;
    }
    config_ = std::move(mixed);
    return std::nullopt;
}

std::vector<api::ListenerInfo> Node::Impl::listeners() {
    const std::lock_guard lock{house_mutex_};
    std::vector<api::ListenerInfo> all;
    for (const Door& door : doors_->doors()) {
        const auto index = static_cast<std::uint16_t>(all.size());
        all.push_back({door.name, door.address, door.is_open,
                       admission_->ledger.listener_connections(index)});
    }
    return all;
}

// --- everything ---

Result<Reloaded, std::string> Node::Impl::reload() {
    if (!live_) return std::unexpected("this node was started without a configuration to read");
    return live_->reload();
}

Result<Applied, std::string> Node::Impl::take_all(const config::Config& next) {
    std::unique_lock lock{house_mutex_};
    doors_->reload(clock_.wall());
    if (api_certificate_) renew_api_certificate();
    Applied applied;
    // What is not live differs from what the node was started with, however often it was reloaded.
    for (const config::Change& change : config::diff(*started_with_, next)) {
        const bool is_switch =
            change.path.starts_with("listeners[") && change.path.ends_with("].enabled");
        const bool is_late = !change.is_live || change.path.starts_with("listeners");
        if (is_late && !is_switch) applied.on_restart.push_back(change.path);
    }
    for (const config::Change& change : config::diff(*config_, next)) {
        if (change.is_live && !change.path.starts_with("listeners")) {
            applied.live.push_back(change.path);
        }
    }
    // The open ones stay as they are; all else holds.
    auto mixed = copy_of(next);
    mixed->listeners = config_->listeners;
    auto authentication = sources_.build(*mixed, catalog_);
    if (!authentication) return std::unexpected(authentication.error());
    if (auto problem = apply_quotas(*admission_, *mixed, *catalog_, clock_)) {
        return std::unexpected(*problem);
    }
    gate_->replace(*std::move(authentication));
    if (api_) api_->configure(next.api.login_rate_per_minute, next.api.token_ttl);
    sys_topics_->configure(mixed->sys_topics);
    const std::shared_ptr<const config::Config> before = config_;
    config_ = mixed;
    renew_profiles();
    dismiss_banned();
    dismiss_users_that_changed(*before, *mixed);
    lock.unlock();
    for (const config::Listener& wanted : next.listeners) {
        const auto runs = std::find_if(mixed->listeners.begin(), mixed->listeners.end(),
                                       [&](const auto& one) { return one.name == wanted.name; });
        if (runs == mixed->listeners.end() || runs->enabled == wanted.enabled) continue;
        if (const auto problem = take_listener(wanted.name, wanted.enabled)) {
            log(Level::error, "listener_not_opened",
                {{"listener", wanted.name}, {"reason", *problem}});
            applied.on_restart.push_back(enabled_path(wanted));
        } else {
            applied.live.push_back(enabled_path(wanted));
        }
    }
    return applied;
}

void Node::Impl::renew_api_certificate() {
    if (const auto done = http_->reload_tls(); !done) {
        log(Level::error, "certificates_refused",
            {{"listener", "api"},
             {"reason", done.error()},
             {"user", runtime::own_name()},
             {"effect", "the certificate loaded before stays in use"}});
        return;
    }
    log(Level::info, "certificates_reloaded", {{"listener", "api"}});
}

// --- who is here ---

/// A few sessions at a time, so that no shard is held up.
void Node::Impl::walk_sessions(const Step& step) {
    for (const auto& host : hosts_) {
        auto go_on = std::make_shared<std::function<void(std::uint32_t)>>();
        *go_on = [step, host = host.get(), go_on](std::uint32_t first) {
            host->post([step, go_on, first](broker::Shard& shard, Instant now) {
                if (const auto next = step(shard, first, now)) {
                    (*go_on)(*next);
                } else {
                    *go_on = nullptr;  // it holds itself
                }
            });
        };
        (*go_on)(0);
    }
}

namespace {
constexpr std::uint32_t sessions_at_once = 1'000;
}

void Node::Impl::renew_profiles() {
    walk_sessions([gate = gate_.get()](broker::Shard& shard, std::uint32_t first, Instant now) {
        return shard.renew_profiles(
            first, sessions_at_once,
            [gate](TenantId tenant, std::string_view client_id, const auto& profile) {
                return gate->renewed(tenant, client_id, profile);
            },
            now);
    });
}

void Node::Impl::dismiss_banned() {
    const auto bans = admission_->bans.snapshot();
    if (bans->empty()) return;
    walk_sessions([bans](broker::Shard& shard, std::uint32_t first, Instant now) {
        const auto judge =
            [&](const broker::Shard::Present& who) -> std::optional<broker::Refusal> {
            const admission::Ban* ban = bans->find_client(who.tenant, who.client_id, now);
            if (ban == nullptr && !who.user.empty()) {
                ban = bans->find_user(who.tenant, who.user, now);
            }
            if (ban == nullptr) ban = bans->find_address(who.ip, now);
            if (ban == nullptr) return std::nullopt;
            // DISCONNECT has no reason of its own for a ban (MQTT 5.0 table 3-10).
            return broker::Refusal{mqtt::ReasonCode::administrative_action, "banned"};
        };
        return shard.dismiss(first, sessions_at_once, judge, now);
    });
}

/// Whoever came in as a user that is gone, is off or has another password: what was proved does
/// not hold any more.
void Node::Impl::dismiss_users_that_changed(const config::Config& before,
                                            const config::Config& after) {
    using Key = std::pair<std::string_view, std::string_view>;
    std::map<Key, const config::User*> present;
    for (const config::User& user : after.users) present[{user.tenant, user.name}] = &user;
    auto changed = std::make_shared<std::vector<std::pair<TenantId, std::string>>>();
    for (const config::User& was : before.users) {
        const auto found = present.find({was.tenant, was.name});
        const bool holds = found != present.end() && found->second->enabled &&
                           found->second->credential == was.credential &&
                           found->second->scram_sha_256 == was.scram_sha_256;
        if (holds || !was.enabled) continue;
        if (const auto tenant = catalog_->find_tenant(was.tenant)) {
            changed->emplace_back(*tenant, was.name);
        }
    }
    if (changed->empty()) return;
    std::sort(changed->begin(), changed->end());
    walk_sessions([changed](broker::Shard& shard, std::uint32_t first, Instant now) {
        const auto judge =
            [&](const broker::Shard::Present& who) -> std::optional<broker::Refusal> {
            if (who.user.empty()) return std::nullopt;
            const std::pair key{who.tenant, std::string{who.user}};
            if (!std::binary_search(changed->begin(), changed->end(), key)) return std::nullopt;
            return broker::Refusal{mqtt::ReasonCode::not_authorized,
                                   "the user has changed: log in again"};
        };
        return shard.dismiss(first, sessions_at_once, judge, now);
    });
}

}  // namespace mitu::node
