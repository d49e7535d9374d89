#include "mitu/admission/entry.hpp"

namespace mitu::admission {

std::optional<EntryRefusal> judge_address(const Control& control, BanView& bans,
                                          const IpAddress& address, Instant now) {
    if (const Ban* const ban = bans.look(control.bans).find_address(address, now)) {
        return EntryRefusal{{Limit::ban, Scope::server}, ban->expires_at};
    }
    if (control.memory.is_on(SheddingStep::refuse_new_connections)) {
        return EntryRefusal{{Limit::memory, Scope::server}, now + control.options.retry_after};
    }
    return std::nullopt;
}

std::optional<EntryRefusal> judge_pace(Control& control, std::uint16_t listener, Instant now) {
    SharedBucket& of_listener = control.ledger.listener_connect_rate(listener);
    if (!of_listener.try_take(1, now)) {
        return EntryRefusal{{Limit::connect_rate, Scope::listener}, of_listener.ready_at(now)};
    }
    SharedBucket& of_server = control.ledger.server_connect_rate();
    if (!of_server.try_take(1, now)) {
        return EntryRefusal{{Limit::connect_rate, Scope::server}, of_server.ready_at(now)};
    }
    return std::nullopt;
}

}  // namespace mitu::admission
