// What puts tenants, quotas and rights to the test: storms of connections, bans, reloads, memory
// that runs short. Drawn behind everything else, so that the plans of seeds without it stay.

#include <fmt/format.h>

#include <algorithm>

#include "mitu/base/random.hpp"
#include "sim/plan.hpp"

namespace mitu::sim {
namespace {

using admission::Quota;

constexpr const char* unrest_tenants[] = {"default", "acme", "borealis"};

class UnrestDraw {
public:
    UnrestDraw(Plan& plan, Prng& prng) : plan_{plan}, prng_{prng} {}

    void draw() {
        auto& server = plan_.world.server;
        if (!server.admission) server.admission.emplace();
        server.admission->memory.budget_bytes = std::uint64_t{1} << 30;
        // A quota that holds for hours costs more than it tells.
        episode_ = std::min(plan_.storm, Duration::seconds(60));
        begin_ = duration(plan_.storm - episode_);
        // Each kind is on or off by seed, so that runs differ in kind.
        if (prng_.chance(0.5)) quotas();
        if (prng_.chance(0.5)) storms();
        if (prng_.chance(0.4)) bans();
        if (prng_.chance(0.4)) reloads();
        if (prng_.chance(0.3)) memory();
        if (prng_.chance(0.2)) flapping();
        if (prng_.chance(0.2)) {
            plan_.world.login_holds_max = duration(plan_.storm) + Duration::seconds(1);
        }
        if (plan_.storm > episode_) end_episode();
    }

private:
    [[nodiscard]] Duration duration(Duration max) {
        return Duration::nanoseconds(
            static_cast<std::int64_t>(prng_.below(static_cast<std::uint64_t>(max.count_ns()) + 1)));
    }
    [[nodiscard]] Duration moment() { return begin_ + duration(episode_); }
    OrderPlan& order(OrderPlan::Kind kind) {
        OrderPlan one;
        one.at = moment();
        one.kind = kind;
        plan_.orders.push_back(std::move(one));
        return plan_.orders.back();
    }
    [[nodiscard]] std::size_t times(std::uint64_t most) {
        return static_cast<std::size_t>(1 + prng_.below(most));
    }

    [[nodiscard]] admission::TenantLimits limits() {
        admission::TenantLimits limits;
        if (prng_.chance(0.5)) limits[Quota::connections].maximum = 1 + prng_.below(4);
        if (prng_.chance(0.4)) limits[Quota::subscriptions].maximum = 1 + prng_.below(12);
        if (prng_.chance(0.3)) limits[Quota::retained_messages].maximum = prng_.below(6);
        if (prng_.chance(0.2)) limits[Quota::retained_bytes].maximum = prng_.below(4'000);
        if (prng_.chance(0.2)) limits[Quota::message_bytes].maximum = 2'000 + prng_.below(6'000);
        if (prng_.chance(0.4)) {
            limits.connect_rate = {.per_second = 1 + prng_.below(5), .burst = 1 + prng_.below(6)};
        }
        if (prng_.chance(0.2)) {
            limits.message_rate = {.per_second = 5 + prng_.below(40), .burst = 3 + prng_.below(10)};
        }
        if (prng_.chance(0.1)) limits.byte_rate = {.per_second = 5'000, .burst = 2'000};
        return limits;
    }

    /// It was enough: nothing is short or banned any more.
    void end_episode() {
        const auto end = [&](OrderPlan::Kind kind) -> OrderPlan& {
            OrderPlan& one = order(kind);
            one.at = begin_ + episode_ + Duration::nanoseconds(1);
            return one;
        };
        for (const char* tenant : unrest_tenants) end(OrderPlan::Kind::limits).tenant = tenant;
        end(OrderPlan::Kind::places);
        end(OrderPlan::Kind::memory);
        end(OrderPlan::Kind::lift_bans);
    }

    /// Quotas at once, and other ones later; sometimes more tenants than places, of which
    /// each has some of its own.
    void quotas() {
        const bool is_scarce = prng_.chance(0.4);
        if (is_scarce) {
            OrderPlan& places = order(OrderPlan::Kind::places);
            places.at = begin_;
            places.connections_max = 4 + prng_.below(6);
        }
        for (std::uint16_t tenant = 0; tenant < std::size(unrest_tenants); ++tenant) {
            const std::uint64_t reserved = is_scarce ? prng_.below(2) : 0;
            const auto draw_limits = [&] {
                auto drawn = limits();
                drawn[Quota::connections].reserved = reserved;
                return drawn;
            };
            if (prng_.chance(0.6) || is_scarce) {
                OrderPlan& first = order(OrderPlan::Kind::limits);
                first.at = begin_ + Duration::nanoseconds(1);
                first.tenant = unrest_tenants[tenant];
                first.limits = draw_limits();
            }
            while (prng_.chance(0.4)) {
                OrderPlan& change = order(OrderPlan::Kind::limits);
                change.tenant = unrest_tenants[tenant];
                change.limits =
                    prng_.chance(0.3) && !is_scarce ? admission::TenantLimits{} : draw_limits();
            }
        }
    }

    /// Everybody, or one tenant, is cut off and comes back: in a hurry, or with some patience.
    void storms() {
        for (std::size_t n = times(3); n != 0; --n) {
            const Duration at = moment();
            const std::uint64_t whom = prng_.below(std::size(unrest_tenants) + 1);
            const bool hurries = prng_.chance(0.6);
            for (ActorPlan& actor : plan_.actors) {
                if (actor.role == Role::device) continue;
                if (whom < std::size(unrest_tenants) && actor.tenant != unrest_tenants[whom])
                    continue;
                Action action;
                action.at = at;
                action.act = Act::hurry;
                action.count = hurries ? 1 + static_cast<std::uint32_t>(prng_.below(40)) : 0;
                actor.actions.push_back(std::move(action));
            }
        }
    }

    void bans() {
        for (std::size_t n = times(5); n != 0; --n) {
            const ActorPlan& actor = plan_.actors[prng_.below(plan_.actors.size())];
            const ClientKey client{actor.tenant, actor.client_id};
            OrderPlan& one = order(OrderPlan::Kind::ban);
            if (prng_.chance(0.6)) one.ban_for = duration(Duration::seconds(30));
            switch (prng_.below(actor.tenant == "default" ? 2 : 3)) {
                case 0:
                    one.ban.kind = admission::BanKind::client;
                    one.ban.client = client;
                    break;
                case 1: {  // one address, all of a kind, a whole tenant
                    static constexpr std::uint8_t prefixes[] = {128, 120, 112};
                    const std::uint8_t bits = prefixes[prng_.below(std::size(prefixes))];
                    one.ban.kind = admission::BanKind::network;
                    one.ban.network = {first_bits(address_of(client), bits), bits};
                    break;
                }
                default:
                    one.ban.kind = admission::BanKind::user;
                    one.ban.client = client;
            }
            // Its client tries at once.
            if (prng_.chance(0.7) && actor.role != Role::device) {
                Action action;
                action.at = one.at + duration(Duration::milliseconds(20));
                action.act = Act::hurry;
                action.count = 3;
                plan_.actors[static_cast<std::size_t>(&actor - plan_.actors.data())]
                    .actions.push_back(std::move(action));
            }
        }
        if (prng_.chance(0.5)) order(OrderPlan::Kind::lift_bans);
    }

    /// Rights are taken and given again; some ask for their subscriptions anew.
    void reloads() {
        for (std::size_t n = times(4); n != 0; --n) {
            const auto rights =
                prng_.chance(0.4) ? usual_rights : static_cast<Rights>(1 + prng_.below(7));
            const Duration at = order(OrderPlan::Kind::reload).at;
            plan_.orders.back().rights = rights;
            for (ActorPlan& actor : plan_.actors) {
                if (actor.role != Role::witness || !prng_.chance(0.5)) continue;
                Action action;
                action.at = at + duration(Duration::milliseconds(200));
                action.act = Act::subscribe;
                action.topic = prng_.chance(0.5) ? "t/1" : "t/+";
                action.subscribe.qos = mqtt::QoS::exactly_once;
                actor.actions.push_back(std::move(action));
            }
            // Who logs in meanwhile began with the old rights.
            if (!prng_.chance(0.5)) continue;
            ActorPlan& actor = plan_.actors[prng_.below(plan_.actors.size())];
            if (actor.role == Role::device) continue;
            if (prng_.chance(0.5)) plan_.world.login_time_max = Duration::milliseconds(100);
            Action action;
            action.at = std::max(Duration{}, at - duration(Duration::milliseconds(200)));
            action.act = Act::hurry;
            action.count = 3;
            actor.actions.push_back(std::move(action));
        }
    }

    void memory() {
        static constexpr std::uint32_t levels_bp[] = {8'600, 9'100, 9'400, 9'800, 8'000, 0};
        for (std::size_t n = times(5); n != 0; --n) {
            order(OrderPlan::Kind::memory).memory_bp = levels_bp[prng_.below(std::size(levels_bp))];
        }
    }

    void flapping() {
        auto& options = plan_.world.server.admission->flapping;
        options.connects_max = 3 + static_cast<std::uint32_t>(prng_.below(8));
        options.window = Duration::seconds(1 + static_cast<std::int64_t>(prng_.below(20)));
        options.ban = Duration::seconds(1 + static_cast<std::int64_t>(prng_.below(30)));
        ActorPlan& actor = plan_.actors[prng_.below(plan_.actors.size())];
        if (actor.role == Role::device) return;
        const Duration at = moment();
        for (std::int64_t n = 0; n < 15; ++n) {
            Action action;
            action.at = at + Duration::milliseconds(200 * n);
            action.act = Act::hurry;
            action.count = 1;
            actor.actions.push_back(std::move(action));
        }
    }

    Plan& plan_;
    Prng& prng_;
    Duration begin_;
    Duration episode_;
};

}  // namespace

void draw_unrest(Prng& prng, Plan& plan) {
    if (!prng.chance(0.3)) return;
    UnrestDraw{plan, prng}.draw();
}

std::string to_text(const OrderPlan& order) {
    using Kind = OrderPlan::Kind;
    switch (order.kind) {
        case Kind::ban: {
            const std::string whom = order.ban.kind == admission::BanKind::network
                                         ? to_text(order.ban.network)
                                         : to_text(order.ban.client);
            return fmt::format("{} {} is banned{}", admission::to_text(order.ban.kind), whom,
                               order.ban_for == Duration{}
                                   ? ""
                                   : fmt::format(" for {} ms", order.ban_for.count_ms()));
        }
        case Kind::lift_bans:
            return "all bans are lifted";
        case Kind::limits: {
            auto limits = order.limits;
            const auto most = [&](Quota quota) {
                const std::uint64_t maximum = limits[quota].maximum;
                return maximum == admission::no_maximum ? "any" : fmt::format("{}", maximum);
            };
            return fmt::format(
                "tenant {} may have {} connections ({} are kept for it), {} subscriptions, {} "
                "retained messages; {} connects and {} messages a second",
                order.tenant, most(Quota::connections), limits[Quota::connections].reserved,
                most(Quota::subscriptions), most(Quota::retained_messages),
                limits.connect_rate.per_second, limits.message_rate.per_second);
        }
        case Kind::places:
            return order.connections_max == admission::no_maximum
                       ? "the server takes any number of connections"
                       : fmt::format("the server takes {} connections", order.connections_max);
        case Kind::memory:
            return fmt::format("{} % of the memory are used", order.memory_bp / 100);
        case Kind::reload:
            return fmt::format("reload: rights are taken from tenants {:03b}", order.rights);
    }
    return "";
}

}  // namespace mitu::sim
