// Bans over the API: entries of managed.yaml, and what the server bans by itself.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "mitu/base/hash.hpp"
#include "mitu/node/administration.hpp"
#include "mitu/node/key_pages.hpp"
#include "mitu/node/quotas.hpp"

namespace mitu::node {
namespace {

using api::Answer;
using api::BanKind;
using api::Code;
using api::refuse;

/// The same for as long as it bans the same, on every node and after a restart.
std::string ban_id(BanKind kind, const api::TenantScope& tenant, std::string_view value) {
    const std::string_view kinds[]{"c", "u", "a", "n"};
    const std::string text = fmt::format("{}\n{}\n{}", kinds[static_cast<std::size_t>(kind)],
                                         tenant.value_or(""), value);
    return fmt::format("{}{:016x}", kinds[static_cast<std::size_t>(kind)], hash_bytes(text));
}

api::Ban api_ban(const config::Ban& from) {
    api::Ban ban;
    if (!from.client_id.empty()) {
        ban.kind = BanKind::client_id;
        ban.value = from.client_id;
    } else if (!from.user.empty()) {
        ban.kind = BanKind::user;
        ban.value = from.user;
    } else {
        const auto network = parse_ip_network(from.address);
        ban.value = network ? to_text(*network) : from.address;
        ban.kind = ban.value.find('/') == std::string::npos ? BanKind::address : BanKind::network;
    }
    if (!from.tenant.empty()) ban.tenant = from.tenant;
    ban.reason = from.reason;
    ban.created_by = from.created_by.empty() ? std::string{bans_set_by} : from.created_by;
    ban.created_at = from.created_at;
    ban.expires_at = from.until;
    ban.id = ban_id(ban.kind, ban.tenant, ban.value);
    return ban;
}

config::Ban config_ban(const api::Ban& from) {
    config::Ban ban;
    switch (from.kind) {
        case BanKind::client_id:
            ban.client_id = from.value;
            break;
        case BanKind::user:
            ban.user = from.value;
            break;
        case BanKind::address:
        case BanKind::network:
            ban.address = from.value;
            break;
    }
    ban.tenant = from.tenant.value_or("");
    ban.until = from.expires_at;
    ban.reason = from.reason;
    ban.created_by = from.created_by;
    ban.created_at = from.created_at;
    return ban;
}

/// What the server has set by itself.
api::Ban own_ban(const admission::Ban& from, const fleet::Catalog& catalog,
                 const ports::Clock& clock) {
    const auto wall_of = [&](Instant at) {
        return WallTime{clock.wall().unix_ms + (at - clock.now()).count_ns() / 1'000'000};
    };
    api::Ban ban;
    const admission::BanTarget& target = from.target;
    if (target.kind == admission::BanKind::network) {
        ban.value = to_text(target.network);
        ban.kind = ban.value.find('/') == std::string::npos ? BanKind::address : BanKind::network;
    } else {
        ban.kind = target.kind == admission::BanKind::user ? BanKind::user : BanKind::client_id;
        ban.value = target.name;
        ban.tenant = catalog.tenants()[target.tenant.value].name;
    }
    ban.reason = from.reason;
    ban.created_by = from.set_by;
    ban.created_at = wall_of(from.since);
    if (!from.expires_at.is_never()) ban.expires_at = wall_of(from.expires_at);
    ban.id = ban_id(ban.kind, ban.tenant, ban.value);
    return ban;
}

/// As the file keeps it: never earlier than was asked for.
std::optional<WallTime> whole_seconds(const std::optional<WallTime>& at) {
    if (!at) return std::nullopt;
    return WallTime{(at->unix_ms + 999) / 1'000 * 1'000};
}

bool is_over(const std::optional<WallTime>& until, WallTime now) { return until && *until <= now; }

std::unexpected<api::Error> unknown(const std::string& id) {
    return refuse(Code::ban_unknown, fmt::format("there is no ban {}", id));
}

/// An address as everybody writes it; a name as it is.
Answer<std::string> checked_value(const api::Ban& ban) {
    if (ban.kind == BanKind::client_id || ban.kind == BanKind::user) {
        const bool has_control = std::any_of(ban.value.begin(), ban.value.end(), [](char c) {
            return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
        });
        if (!has_control) return ban.value;
        return refuse(Code::body_invalid, "value has a control character; no client is called so");
    }
    if (ban.tenant) {
        return refuse(Code::node_wide,
                      "an address is banned for every tenant: that is beyond one of them; ban a "
                      "client id or a user");
    }
    const auto network = parse_ip_network(ban.value);
    if (!network) return refuse(Code::body_invalid, "value: " + network.error());
    std::string text = to_text(*network);
    const bool is_network = text.find('/') != std::string::npos;
    if (is_network && ban.kind == BanKind::address) {
        return refuse(Code::body_invalid,
                      fmt::format("value is {}, a network; use kind network", ban.value));
    }
    return text;
}

}  // namespace

std::vector<api::Ban> NodeBans::all() const {
    std::vector<api::Ban> bans;
    std::set<std::string, std::less<>> ids;
    // Set twice: what the configuration says is what people know.
    const auto add = [&](api::Ban ban) {
        if (ids.insert(ban.id).second) bans.push_back(std::move(ban));
    };
    const auto now = live_.now();
    for (const config::Ban& ban : now->loaded.config.bans) {
        if (!is_over(ban.until, clock_.wall())) add(api_ban(ban));
    }
    for (const admission::Ban& ban : bans_.snapshot()->all()) {
        if (ban.set_by == bans_set_by || ban.expires_at <= clock_.now()) continue;
        add(own_ban(ban, *catalog_, clock_));
    }
    return bans;
}

Answer<api::Listing<api::Ban>> NodeBans::list(const api::TenantScope& scope,
                                              const api::Page& page) {
    std::vector<std::pair<std::string, api::Ban>> seen;
    for (api::Ban& ban : all()) {
        if (scope && ban.tenant != scope) continue;
        // By kind, then value, as people look for them.
        std::string key = fmt::format("{} {} {}", static_cast<int>(ban.kind), ban.value, ban.id);
        seen.emplace_back(std::move(key), std::move(ban));
    }
    return page_by_key(std::move(seen), page);
}

Answer<api::Ban> NodeBans::find(const std::string& id) {
    for (api::Ban& ban : all()) {
        if (ban.id == id) return std::move(ban);
    }
    return unknown(id);
}

Answer<api::Ban> NodeBans::add(const api::Ban& ban) {
    auto value = checked_value(ban);
    if (!value) return std::unexpected(value.error());
    api::Ban added = ban;
    added.value = *std::move(value);
    added.created_at = whole_seconds(ban.created_at);
    added.expires_at = whole_seconds(ban.expires_at);
    if (added.kind == BanKind::network && added.value.find('/') == std::string::npos) {
        added.kind = BanKind::address;  // a network of one
    }
    added.id = ban_id(added.kind, added.tenant, added.value);
    const config::Ban entry = config_ban(added);
    const auto change = [&](config::ManagedFile& managed,
                            const config::FromFiles& now) -> std::optional<api::Error> {
        const auto& bans = now.loaded.config.bans;
        for (const config::Ban& one : bans) {
            if (api_ban(one).id == added.id && !is_over(one.until, clock_.wall())) {
                return api::Error{Code::exists_already,
                                  fmt::format("is banned already, as {}", added.id),
                                  {{"id", added.id}}};
            }
        }
        if (bans.size() >= managed_bans_max) {
            return api::Error{
                Code::quota_exceeded,
                fmt::format("there are {} bans; lift some, or ban a network", managed_bans_max)};
        }
        managed.put_ban(entry);
        return std::nullopt;
    };
    const auto done =
        live_.edit(change, [&](const config::Config& next) { return running_.take_bans(next); });
    if (!done) return std::unexpected(done.error());
    return added;
}

Answer<void> NodeBans::remove(const std::string& id) {
    const auto change = [&](config::ManagedFile& managed,
                            const config::FromFiles& now) -> std::optional<api::Error> {
        const auto& bans = now.loaded.config.bans;
        for (std::size_t i = 0; i < bans.size(); ++i) {
            if (api_ban(bans[i]).id != id) continue;
            if (managed.remove_ban(bans[i])) return std::nullopt;
            const config::Origin origin = now.loaded.origins.near(fmt::format("bans[{}]", i));
            return api::Error{
                Code::set_in_file,
                fmt::format("{} bans it; remove it there, and reload", config::to_text(origin))};
        }
        return api::Error{Code::ban_unknown, fmt::format("there is no ban {}", id)};
    };
    const auto done =
        live_.edit(change, [&](const config::Config& next) { return running_.take_bans(next); });
    if (done || done.error().code != Code::ban_unknown) return done;
    // One that the server has set by itself: it is not in the configuration.
    for (const admission::Ban& ban : bans_.snapshot()->all()) {
        if (ban.set_by == bans_set_by || own_ban(ban, *catalog_, clock_).id != id) continue;
        return bans_.lift(ban.target) ? Answer<void>{} : unknown(id);
    }
    return unknown(id);
}

}  // namespace mitu::node
