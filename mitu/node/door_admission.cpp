#include "mitu/node/door_admission.hpp"

#include <algorithm>
#include <utility>

#include "mitu/ports/network.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::node {
namespace {

using admission::Bound;
using admission::Limit;
using admission::Scope;

std::string lower(std::string_view text) {
    std::string out{text};
    std::ranges::transform(out, out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return out;
}

/// Beside those of listeners and their certificates, which are numbered from zero.
constexpr std::uint32_t group_of_tenant(TenantId tenant) noexcept {
    return 0xFFFF'0000u | tenant.value;
}

}  // namespace

std::vector<DoorListener> door_listeners(const std::vector<config::Listener>& listeners,
                                         const fleet::Catalog& catalog) {
    std::vector<DoorListener> out;
    for (const config::Listener& listener : listeners) {
        if (!listener.enabled) continue;
        DoorListener door;
        door.name = listener.name;
        door.is_guarded = listener.tls || listener.protocol == config::Protocol::websocket;
        if (!listener.tenant.empty()) door.tenant = catalog.find_tenant(listener.tenant);
        for (const auto& [name, tenant] : listener.tenants_by_sni) {
            if (const auto id = catalog.find_tenant(tenant)) door.by_server_name[lower(name)] = *id;
        }
        out.push_back(std::move(door));
    }
    return out;
}

DoorAdmission::DoorAdmission(admission::Control& control, std::vector<DoorListener> listeners)
    : control_{control} {
    for (DoorListener& listener : listeners) listeners_.push_back({std::move(listener), 0});
}

bool DoorAdmission::admits(const ports::PeerAddress& peer, std::uint16_t listener_index,
                           Instant now) {
    if (listener_index >= listeners_.size()) return true;
    Listener& listener = listeners_[listener_index];
    if (!listener.is.is_guarded) return true;
    if (const auto bound = judge(peer, listener_index, now)) {
        if (report_) report_(peer, *bound, now);
        log(peer, listener, *bound, now);
        return false;
    }
    ++listener.under_way;
    return true;
}

std::optional<Bound> DoorAdmission::judge(const ports::PeerAddress& peer,
                                          std::uint16_t listener_index, Instant now) {
    if (const auto refusal = admission::judge_address(control_, bans_, peer.ip, now)) {
        return refusal->bound;
    }
    if (listeners_[listener_index].under_way >= places_when_full &&
        control_.ledger.is_listener_full(listener_index)) {
        return Bound{Limit::connections, Scope::listener};
    }
    if (const auto refusal = admission::judge_pace(control_, listener_index, now)) {
        return refusal->bound;
    }
    return std::nullopt;
}

std::uint32_t DoorAdmission::group_of(std::uint16_t listener_index, std::string_view server_name,
                                      std::uint32_t otherwise) {
    if (listener_index >= listeners_.size()) return otherwise;
    const DoorListener& listener = listeners_[listener_index].is;
    if (!listener.by_server_name.empty()) {
        const auto named = listener.by_server_name.find(lower(server_name));
        if (named != listener.by_server_name.end()) return group_of_tenant(named->second);
    }
    return listener.tenant ? group_of_tenant(*listener.tenant) : otherwise;
}

void DoorAdmission::on_arrived(std::uint16_t listener_index, bool /*is_open*/) {
    if (listener_index >= listeners_.size()) return;
    Listener& listener = listeners_[listener_index];
    if (listener.is.is_guarded) --listener.under_way;
}

void DoorAdmission::log(const ports::PeerAddress& peer, const Listener& listener,
                        const Bound& bound, Instant now) {
    Quiet& quiet = quiet_[static_cast<std::size_t>(bound.limit)];
    if (now < quiet.until) {
        ++quiet.unlogged;
        return;
    }
    trace::log(trace::Level::info, "connection_refused",
               {{"limit", to_text(bound.limit)},
                {"scope", to_text(bound.scope)},
                {"listener", listener.is.name},
                {"peer", ports::address_text(peer)},
                {"not_logged", std::exchange(quiet.unlogged, 0)}});
    quiet.until = now + Duration::seconds(1);
}

}  // namespace mitu::node
