#include "mitu/node/refusal_answers.hpp"

#include "mitu/base/ip_network.hpp"
#include "mitu/mqtt/types.hpp"

namespace mitu::node {

WallTime wall_time_of(Instant at, const ports::Clock& clock) noexcept {
    return {clock.wall().unix_ms - (clock.now() - at).count_ns() / 1'000'000};
}

namespace {

void say_bound(api::RefusalInfo& info, const admission::Bound& bound,
               std::optional<std::uint64_t> value) {
    info.limit = to_text(bound.limit);
    info.scope = to_text(bound.scope);
    info.limit_value = value;
}

}  // namespace

api::RefusalInfo refusal_info(const admission::RefusedAttempt& attempt, const std::string& tenant,
                              const ports::Clock& clock) {
    api::RefusalInfo info;
    if (attempt.has_tenant) info.tenant = tenant;
    info.client_id = attempt.client_id;
    info.at = wall_time_of(attempt.last, clock);
    info.count = attempt.count;
    info.kind = "connect_refused";
    info.reason = mqtt::to_text(static_cast<mqtt::ReasonCode>(attempt.reason));
    info.text = attempt.text;
    info.peer = to_text(attempt.address);
    if (attempt.has_bound) say_bound(info, attempt.bound, attempt.bound_value);
    return info;
}

api::RefusalInfo refusal_info(const broker::RefusalFacts& refusal, const ports::Clock& clock) {
    api::RefusalInfo info;
    info.at = wall_time_of(refusal.last, clock);
    info.count = refusal.count;
    info.kind = to_text(refusal.reason.kind);
    const bool is_drop = refusal.reason.kind == broker::RefusalKind::message_dropped;
    info.reason = is_drop ? to_text(refusal.reason.drop) : info.kind;
    if (refusal.reason.has_bound) say_bound(info, refusal.bound, refusal.bound_value);
    return info;
}

}  // namespace mitu::node
