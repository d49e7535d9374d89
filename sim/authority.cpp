#include "sim/authority.hpp"

#include <algorithm>
#include <charconv>

namespace mitu::sim {
namespace {

constexpr std::uint32_t hysteresis_bp = admission::MemoryOptions{}.hysteresis_bp;

}  // namespace

bool Authority::may_publish_since(const ClientKey& client, std::string_view topic, Instant since,
                                  bool all) const {
    const auto may = [&](Rights now) { return may_publish(client, topic, now); };
    return all ? rights.all_since(since, may) : rights.any_since(since, may);
}

bool Authority::may_receive_since(const ClientKey& client, std::string_view topic, Instant since,
                                  bool all) const {
    const auto may = [&](Rights now) { return may_receive(client, topic, now); };
    return all ? rights.all_since(since, may) : rights.any_since(since, may);
}

void Authority::lift_bans(Instant now) {
    for (BanOrder& ban : bans) ban.until = std::min(ban.until, now);
}

bool Authority::is_banned(const ClientKey& client, Instant from, Instant to,
                          bool all_the_time) const {
    return std::any_of(bans.begin(), bans.end(), [&](const BanOrder& ban) {
        const bool is_meant = ban.kind == admission::BanKind::network
                                  ? ban.network.contains(address_of(client))
                                  : ban.client == client;
        if (!is_meant) return false;
        return all_the_time ? ban.since < from && ban.until > to
                            : ban.since <= to && ban.until >= from;
    });
}

bool Authority::was_on_since(admission::SheddingStep step, Instant since) const {
    const std::uint32_t enter_bp =
        admission::MemoryOptions{}.enter_bp[static_cast<std::size_t>(step)];
    // Between the two thresholds it may be on still.
    return memory_bp.any_since(
        since, [&](std::uint32_t used_bp) { return used_bp + hysteresis_bp >= enter_bp; });
}

bool Authority::was_ever_short_of_subscriptions(const std::string& tenant) const {
    const auto found = limits.find(tenant);
    return found != limits.end() &&
           found->second.any_since(Instant{}, [](admission::TenantLimits one) {
               return one[admission::Quota::subscriptions].maximum != admission::no_maximum;
           });
}

bool Authority::was_ever_paced(const std::string& tenant) const {
    const auto found = limits.find(tenant);
    return found != limits.end() &&
           found->second.any_since(Instant{}, [](const admission::TenantLimits& one) {
               return one.message_rate.is_limited() || one.byte_rate.is_limited();
           });
}

IpAddress address_of(const ClientKey& client) {
    const std::uint8_t tenant = client.tenant == "acme" ? 1 : client.tenant == "borealis" ? 2 : 0;
    std::uint32_t number = 0;
    const std::string_view id{client.client_id};
    if (!id.empty()) {
        static_cast<void>(std::from_chars(id.data() + 1, id.data() + id.size(), number));
    }
    const auto kind = static_cast<std::uint8_t>(id.empty() ? 0 : id.front());
    return make_v4(10, tenant, kind, static_cast<std::uint8_t>(number));
}

}  // namespace mitu::sim
