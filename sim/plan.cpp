#include "sim/plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "mitu/base/random.hpp"
#include "mitu/broker/testing/names.hpp"
#include "mitu/mqtt/topic.hpp"
#include "sim/catalog.hpp"

namespace mitu::sim {
namespace {

using broker::testing::ConnectOptions;
using mqtt::ProtocolVersion;
using mqtt::QoS;

// A maximum that the clients' own CONNECT, SUBSCRIBE and reports stay below.
constexpr std::uint32_t server_packet_bytes_min = 1'500;
constexpr std::uint32_t long_expiry_s = 1'000'000;

Duration draw_duration(Prng& prng, Duration max) {
    return Duration::nanoseconds(
        static_cast<std::int64_t>(prng.below(static_cast<std::uint64_t>(max.count_ns()) + 1)));
}

/// Limits at which things break: small ones, gladly.
void draw_server(Prng& prng, WorldOptions& world) {
    auto& server = world.server;
    server.shards = static_cast<std::uint16_t>(1 + prng.below(4));
    server.network.chops = prng.chance(0.5);
    switch (prng.below(4)) {
        case 0:
            server.lanes = broker::testing::tiny_lanes();
            break;
        case 1:
            server.lanes = {4u << 10, 4u << 10, 4u << 10};
            if (prng.chance(0.5)) server.lanes.deliver_bytes = 512;
            break;
        default:
            break;
    }
    auto& limits = server.limits;
    if (prng.chance(0.4)) limits.inflight_max = static_cast<std::uint16_t>(1 + prng.below(4));
    if (prng.chance(0.3)) limits.receive_maximum = static_cast<std::uint16_t>(1 + prng.below(5));
    if (prng.chance(0.3)) limits.pending_acks_max = 1 + static_cast<std::uint32_t>(prng.below(3));
    if (prng.chance(0.3)) limits.pending_operations_max = 1;
    if (prng.chance(0.3)) limits.turn_mail_bytes_max = 256;
    if (prng.chance(0.3)) limits.output_bytes_turn_max = 64;
    if (prng.chance(0.3)) limits.output_backlog_bytes_max = 16;
    if (prng.chance(0.3)) limits.gather_bytes_min = 8;
    if (prng.chance(0.2)) limits.inline_record_bytes_max = 64;
    if (prng.chance(0.15))
        limits.queue_messages_max = 2 + static_cast<std::uint32_t>(prng.below(6));
    if (prng.chance(0.1)) limits.queue_bytes_max = 2'000;
    if (prng.chance(0.1)) limits.message_bytes_max = 4u << 10;
    if (prng.chance(0.1)) limits.packet_bytes_max = server_packet_bytes_min;
    if (prng.chance(0.2)) limits.topic_alias_maximum = 2;
    if (prng.chance(0.2)) limits.outgoing_aliases_max = 1;
    // Each fault point is on or off by seed, so that runs differ in kind.
    const auto maybe = [&](ports::Fault fault, double share, double probability) {
        if (prng.chance(share)) world.faults[fault] = probability;
    };
    maybe(ports::Fault::lane_full, 0.25, 0.2);
    maybe(ports::Fault::write_short, 0.25, 0.2);
    maybe(ports::Fault::mail_late, 0.3, 0.4);
    maybe(ports::Fault::admission_slow, 0.3, 0.5);
    maybe(ports::Fault::outbox_full, 0.08, 0.05);
    maybe(ports::Fault::message_store_full, 0.08, 0.02);
    maybe(ports::Fault::shard_stalls, 0.3, prng.chance(0.5) ? 0.002 : 0.05);
    // Batches so small that survivors move all the time, or none at all.
    if (prng.chance(0.6)) limits.message_heap.pool.batch_bytes = 4u << 10;
    if (prng.chance(0.1)) limits.message_heap.allocation = memory::Allocation::malloc;
}

/// What breaks sessions one by one: drawn last, so that the plans of seeds without it stay.
void draw_session_breaks(Prng& prng, WorldOptions& world) {
    const auto rate = [&] { return 0.0005 * static_cast<double>(1 + prng.below(10)); };
    if (prng.chance(0.12)) world.faults[ports::Fault::session_memory_full] = rate();
    if (prng.chance(0.15)) {
        world.faults[ports::Fault::session_breaks] = rate();
        world.break_kinds.clear();
        while (world.break_kinds.empty()) {
            for (std::size_t i = 0; i < memory::zone_fault_count; ++i) {
                if (prng.chance(0.4)) {
                    world.break_kinds.push_back(static_cast<memory::ZoneFault>(i));
                }
            }
        }
    }
    if (prng.chance(0.1)) {
        world.server.limits.session_bytes_max =
            prng.chance(0.5) ? 2'000 + prng.below(2'000) : 4'000 + prng.below(16'000);
    }
}

/// Quotas and paces of tenants: drawn behind everything else, so that the plans of seeds without
/// them stay.
void draw_admission(Prng& prng, WorldOptions& world) {
    if (prng.chance(0.5)) return;
    auto& server = world.server;
    server.admission.emplace();
    // 0 is `default`; the others are those of the catalog. One of them may be short of memory: the
    // rest must not notice.
    for (std::uint16_t tenant = 0; tenant < 3; ++tenant) {
        if (prng.chance(0.7)) continue;
        auto& limits = server.tenants[TenantId{tenant}];
        if (prng.chance(0.3)) {
            limits[admission::Quota::message_bytes].maximum = 2'000 + prng.below(4'000);
        }
        if (prng.chance(0.3))
            limits.message_rate = {.per_second = 100 + prng.below(200), .burst = 20};
        if (prng.chance(0.3)) limits.byte_rate = {.per_second = 50'000, .burst = 5'000};
    }
}

LinkConditions draw_link(Prng& prng) {
    LinkConditions link;
    switch (prng.below(3)) {
        case 0:  // the same rack
            break;
        case 1:
            link.delay_max = Duration::milliseconds(20);
            break;
        default:  // a phone in a tunnel
            link.delay_min = Duration::milliseconds(5);
            link.delay_max = Duration::seconds(1);
    }
    if (prng.chance(0.2)) link.window_bytes = 64 + static_cast<std::size_t>(prng.below(2'000));
    return link;
}

/// What one actor tries. `prng` is its own.
class ActorDraw {
public:
    ActorDraw(ActorPlan& actor, Duration storm, Prng prng)
        : actor_{actor}, storm_{storm}, prng_{prng} {}

    void draw() {
        actor_.link = draw_link(prng_);
        version_ = prng_.chance(0.35) ? ProtocolVersion::v3_1_1 : ProtocolVersion::v5;
        at_ = draw_duration(prng_, Duration::milliseconds(200));
        switch (actor_.role) {
            case Role::witness:
                witness();
                break;
            case Role::publisher:
                publisher();
                break;
            case Role::member:
                member();
                break;
            case Role::wanderer:
                wanderer();
                break;
            case Role::device:
                device();
                break;
        }
    }

private:
    Action& add(Act act) {
        Action action;
        action.at = at_;
        action.act = act;
        actor_.actions.push_back(std::move(action));
        return actor_.actions.back();
    }
    void pause(Duration max) { at_ = at_ + draw_duration(prng_, max); }
    [[nodiscard]] bool is_time_left() const { return at_ < storm_; }
    /// A step such that about `count` of them fill the storm.
    [[nodiscard]] Duration pace(std::int64_t count) const { return storm_ * 2 / count; }

    void connect(bool stays) {
        Action& action = add(Act::connect);
        action.has_wrong_password = actor_.role == Role::wanderer && prng_.chance(0.1);
        ConnectOptions& o = action.connect;
        o.version =
            prng_.chance(0.1) && actor_.role == Role::member ? ProtocolVersion::v5 : version_;
        o.clean_start = !stays && prng_.chance(0.5);
        o.session_expiry_s = stays ? long_expiry_s : static_cast<std::uint32_t>(prng_.below(20));
        if (prng_.chance(0.5)) o.receive_maximum = static_cast<std::uint16_t>(1 + prng_.below(3));
        if (prng_.chance(0.5)) o.topic_alias_maximum = 3;
        if (prng_.chance(0.5)) o.keep_alive_s = static_cast<std::uint16_t>(1 + prng_.below(30));
        if (!stays && o.version == ProtocolVersion::v5 && prng_.chance(0.2)) {
            o.maximum_packet_size = 60 + static_cast<std::uint32_t>(prng_.below(300));
        }
        if (prng_.chance(0.4)) {
            broker::testing::WillOptions will;
            will.topic = "will/" + actor_.client_id;
            will.qos = QoS(prng_.below(3));
            will.retain = prng_.chance(0.2);
            if (prng_.chance(0.6)) will.delay_s = static_cast<std::uint32_t>(prng_.below(30));
            o.will = will;
        }
    }

    /// The connection goes wrong in one of many ways; a while later the client is back.
    void mishap(bool stays) {
        switch (prng_.below(stays ? 8 : 10)) {
            case 0:
                add(Act::close);
                break;
            case 1:
                add(Act::reset);
                break;
            case 2:
                add(Act::cut_up);
                break;
            case 3:
                add(Act::cut_down);
                break;
            case 4:
                add(Act::cut_up);
                add(Act::cut_down);
                break;
            case 5:
                add(Act::fall_silent);
                break;
            case 6: {
                Action& action = add(Act::disconnect);
                if (prng_.chance(0.3))
                    action.reason = mqtt::ReasonCode::disconnect_with_will_message;
                if (!stays && prng_.chance(0.3)) {
                    action.expiry_s = static_cast<std::uint32_t>(prng_.below(20));
                }
                break;
            }
            case 7:  // only a take-over
                break;
            case 8:
                add(Act::garbage);
                break;
            default:
                add(Act::exceed);
        }
        if (prng_.chance(0.3)) {
            pause(Duration::seconds(3));
            add(Act::mend);
        }
        pause(prng_.chance(0.5) ? Duration::milliseconds(50) : Duration::seconds(40));
        connect(stays);
    }

    void annoy() {
        switch (prng_.below(4)) {
            case 0:
                add(Act::slow);
                pause(Duration::seconds(5));
                add(Act::fast);
                break;
            case 1:
                add(Act::hold_acks);
                pause(Duration::seconds(5));
                add(Act::release_acks);
                break;
            case 2:
                add(prng_.chance(0.5) ? Act::cut_up : Act::cut_down);
                pause(Duration::seconds(5));
                add(Act::mend);
                break;
            default:
                add(Act::ping);
        }
    }

    void subscribe(std::string filter, QoS qos) {
        Action& action = add(Act::subscribe);
        action.topic = std::move(filter);
        action.subscribe.qos = qos;
        if (prng_.chance(0.3)) {
            action.subscribe.identifier = 1 + static_cast<std::uint32_t>(prng_.below(3));
        }
    }

    void witness() {
        connect(true);
        if (actor_.tenant == "acme") {
            for (const char* filter :
                 {"t/0", "t/+", "deep/a/b/0", "deep/a/b/1", "mine/#", "will/#"}) {
                subscribe(filter, QoS::exactly_once);
            }
        } else if (prng_.chance(0.4)) {
            subscribe("#", QoS::exactly_once);
            if (prng_.chance(0.5)) subscribe("t/1", QoS::exactly_once);
        } else {
            for (const char* filter : {"t/+", "deep/a/b/#", "mine/#", "will/#"}) {
                subscribe(filter, QoS::exactly_once);
            }
        }
        for (pause(pace(8)); is_time_left(); pause(pace(8))) {
            prng_.chance(0.4) ? mishap(true) : annoy();
        }
    }

    void publisher() {
        actor_.stays = prng_.chance(0.8);
        connect(actor_.stays);
        const std::int64_t count = 20 + static_cast<std::int64_t>(prng_.below(60));
        for (pause(pace(count)); is_time_left(); pause(pace(count))) {
            if (prng_.chance(0.08)) {
                mishap(actor_.stays);
            } else if (prng_.chance(0.05)) {
                annoy();
            } else {
                publish();
            }
        }
    }

    void publish() {
        Action& action = add(Act::publish);
        auto& o = action.publish;
        o.qos = QoS(prng_.below(3));
        switch (prng_.below(5)) {
            case 0:
                action.topic = fmt::format("mine/{}/x/{}", actor_.client_id, prng_.below(2));
                o.retain = true;
                o.qos = QoS::exactly_once;
                break;
            case 1:
                action.topic = fmt::format("s/{}", prng_.below(3));
                break;
            case 2:
                action.topic = fmt::format("deep/a/b/{}", prng_.below(3));
                o.retain = prng_.chance(0.1);
                break;
            default:
                action.topic = fmt::format("t/{}", prng_.below(3));
                o.retain = prng_.chance(0.1);
        }
        if (prng_.chance(0.15)) action.count = 2 + static_cast<std::uint32_t>(prng_.below(20));
        // Fills every lane; where a rate is enforced it would take minutes.
        if (o.qos == QoS::at_most_once && !o.retain && actor_.tenant != rate_limited_tenant &&
            prng_.chance(0.05)) {
            action.count = 100 + static_cast<std::uint32_t>(prng_.below(200));
        }
        if (prng_.chance(0.2)) {
            action.size_bytes =
                static_cast<std::uint32_t>(prng_.below(prng_.chance(0.5) ? 400 : 3'000));
        }
        if (prng_.chance(0.2)) {
            o.message_expiry_s =
                prng_.chance(0.4) ? 100'000 : static_cast<std::uint32_t>(1 + prng_.below(10));
        }
    }

    void member() {
        actor_.stays = prng_.chance(0.6);
        connect(actor_.stays);
        const char* filters[] = {"$share/g/s/#", "$share/g/s/+", "$share/h/s/#"};
        const std::string filter = filters[prng_.below(3)];
        const QoS qos = prng_.chance(0.2) ? QoS::at_least_once : QoS::exactly_once;
        subscribe(filter, qos);
        for (pause(pace(10)); is_time_left(); pause(pace(10))) {
            if (prng_.chance(0.15)) {
                add(Act::unsubscribe).topic = filter;
            } else if (prng_.chance(0.3)) {
                subscribe(filter, qos);
            } else {
                prng_.chance(0.5) ? mishap(actor_.stays) : annoy();
                if (!actor_.stays) subscribe(filter, qos);
            }
        }
    }

    void wanderer() {
        actor_.stays = prng_.chance(0.3);
        connect(actor_.stays);
        for (pause(pace(15)); is_time_left(); pause(pace(15))) {
            const std::uint64_t dice = prng_.below(10);
            if (dice < 3) {
                mishap(actor_.stays);
            } else if (dice == 3) {
                annoy();
            } else if (dice == 4) {
                publish();
            } else {
                roam();
            }
        }
    }

    void roam() {
        static constexpr const char* known[] = {"t/+",    "t/1",    "deep/a/b/#", "deep/a/b/0",
                                                "mine/#", "will/+", "#",          "+/+"};
        std::string filter = prng_.chance(0.7) ? known[prng_.below(std::size(known))]
                                               : broker::testing::draw_filter(prng_);
        if (!mqtt::is_valid_topic_filter(filter)) return;
        if (prng_.chance(0.3)) {
            add(Act::unsubscribe).topic = filter;
            return;
        }
        subscribe(filter, QoS(prng_.below(3)));
        auto& o = actor_.actions.back().subscribe;
        o.no_local = prng_.chance(0.2);
        o.retain_as_published = prng_.chance(0.2);
        o.retain_handling = mqtt::RetainHandling(prng_.below(3));
    }

    /// The agent does the rest by itself.
    void device() {
        for (pause(pace(6)); is_time_left(); pause(pace(6))) {
            switch (prng_.below(5)) {
                case 0:
                    add(Act::reset);
                    break;
                case 1:
                    add(Act::close);
                    break;
                case 2:
                    add(Act::slow);
                    pause(Duration::seconds(5));
                    add(Act::fast);
                    break;
                default:
                    if (prng_.chance(0.5)) add(Act::cut_up);
                    if (prng_.chance(0.5)) add(Act::cut_down);
                    pause(Duration::seconds(90));
                    add(Act::mend);
            }
        }
    }

    ActorPlan& actor_;
    Duration storm_;
    Prng prng_;
    ProtocolVersion version_ = ProtocolVersion::v5;
    Duration at_;
};

}  // namespace

Plan draw_plan(std::uint64_t seed) {
    Prng prng{seed};
    Plan plan;
    plan.seed = seed;
    plan.world.seed = prng.next();
    Prng server_prng = prng.split();
    draw_server(server_prng, plan.world);
    plan.world.catalog = catalog_of_revision(1);
    constexpr std::int64_t storms_s[] = {2, 20, 120, 1'200, 7'200};
    plan.storm = Duration::seconds(storms_s[prng.below(std::size(storms_s))]);

    std::uint32_t next_ids[3][2] = {};  // by tenant: clients, devices
    const auto add = [&](Role role, std::uint32_t tenant) {
        static constexpr const char* tenants[] = {"default", "acme", "borealis"};
        static constexpr const char* prefixes[] = {"w", "p", "m", "x", "v"};
        ActorPlan actor;
        actor.role = role;
        actor.tenant = tenants[tenant];
        if (tenant == 0) {
            actor.client_id =
                fmt::format("{}{}", prefixes[static_cast<std::size_t>(role)], plan.actors.size());
        } else {
            const bool is_device = role == Role::device;
            std::uint32_t& next = next_ids[tenant][is_device ? 1 : 0];
            if (next == devices_per_tenant) return;
            actor.client_id = fmt::format("{}{}", is_device ? 'v' : 'c', next++);
        }
        actor.seed = prng.next();
        plan.actors.push_back(std::move(actor));
        ActorDraw{plan.actors.back(), plan.storm, Prng{plan.actors.back().seed}}.draw();
    };
    const std::uint64_t tenant_count = prng.chance(0.4) ? 3 : 1;
    for (std::uint32_t tenant = 0; tenant < tenant_count; ++tenant) {
        const std::uint64_t share = tenant_count == 1 ? 4 : 2;
        for (std::uint64_t n = 1 + prng.below(share - 1); n != 0; --n) add(Role::witness, tenant);
        for (std::uint64_t n = 1 + prng.below(share); n != 0; --n) add(Role::publisher, tenant);
        for (std::uint64_t n = prng.below(share); n != 0; --n) add(Role::wanderer, tenant);
        for (std::uint64_t n = prng.below(share); n != 0; --n) add(Role::member, tenant);
        if (tenant != 0) {
            for (std::uint64_t n = prng.below(3); n != 0; --n) add(Role::device, tenant);
        }
    }
    if (prng.chance(0.2)) {
        std::uint32_t revision = 1;
        for (std::uint64_t n = 1 + prng.below(2); n != 0; --n) {
            ServerPlan restart;
            restart.at = draw_duration(prng, plan.storm);
            restart.kind = prng.chance(0.5) ? ServerPlan::Kind::kill : ServerPlan::Kind::stop;
            restart.down_for = draw_duration(prng, Duration::seconds(10));
            plan.restarts.push_back(restart);
        }
        std::sort(plan.restarts.begin(), plan.restarts.end(),
                  [](const auto& a, const auto& b) { return a.at < b.at; });
        for (auto& restart : plan.restarts) {
            if (prng.chance(0.7)) ++revision;
            restart.revision = revision;
        }
    }
    Prng breaks_prng = prng.split();
    draw_session_breaks(breaks_prng, plan.world);
    Prng admission_prng = prng.split();
    draw_admission(admission_prng, plan.world);
    Prng unrest_prng = prng.split();
    draw_unrest(unrest_prng, plan);
    Prng crash_prng = prng.split();
    draw_crashes(crash_prng, plan);
    return plan;
}

std::string_view to_text(Act act) noexcept {
    switch (act) {
        case Act::connect:
            return "connect";
        case Act::disconnect:
            return "disconnect";
        case Act::close:
            return "close";
        case Act::reset:
            return "reset";
        case Act::fall_silent:
            return "fall_silent";
        case Act::publish:
            return "publish";
        case Act::subscribe:
            return "subscribe";
        case Act::unsubscribe:
            return "unsubscribe";
        case Act::ping:
            return "ping";
        case Act::cut_up:
            return "cut_up";
        case Act::cut_down:
            return "cut_down";
        case Act::mend:
            return "mend";
        case Act::slow:
            return "slow";
        case Act::fast:
            return "fast";
        case Act::hold_acks:
            return "hold_acks";
        case Act::release_acks:
            return "release_acks";
        case Act::garbage:
            return "garbage";
        case Act::exceed:
            return "exceed";
        case Act::hurry:
            return "hurry";
    }
    return "unknown";
}

std::string_view to_text(Role role) noexcept {
    switch (role) {
        case Role::witness:
            return "witness";
        case Role::publisher:
            return "publisher";
        case Role::member:
            return "member";
        case Role::wanderer:
            return "wanderer";
        case Role::device:
            return "device";
    }
    return "unknown";
}

}  // namespace mitu::sim
