#include "sim/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sim/actor.hpp"
#include "sim/catalog.hpp"
#include "sim/checkers/checkers.hpp"
#include "sim/narrator.hpp"

namespace mitu::sim {
namespace {

// After a storm: keep-alive timeouts, reconnects, will delays and retries are over by then.
constexpr Duration quiet_time_max = Duration::seconds(300);

/// Counts the reason codes that the server sends.
class ReasonCounter final : public Checker {
public:
    explicit ReasonCounter(std::map<std::string, std::uint64_t>& reasons) : reasons_{reasons} {}

    void on_written(const ConnectionRecord& /*c*/, const Sighting& s) override {
        if (const auto* p = s.as<mqtt::Connack>()) count("connack", p->reason);
        if (const auto* p = s.as<mqtt::Puback>()) count("puback", p->reason);
        if (const auto* p = s.as<mqtt::Pubrec>()) count("pubrec", p->reason);
        if (const auto* p = s.as<mqtt::Pubcomp>()) count("pubcomp", p->reason);
        if (const auto* p = s.as<mqtt::Disconnect>()) count("disconnect", p->reason);
        if (const auto* p = s.as<mqtt::Suback>()) {
            for (const std::uint8_t reason : p->reasons) count("suback", mqtt::ReasonCode{reason});
        }
        if (const auto* p = s.as<mqtt::Unsuback>()) {
            for (const std::uint8_t reason : p->reasons) {
                count("unsuback", mqtt::ReasonCode{reason});
            }
        }
    }

private:
    void count(const char* packet, mqtt::ReasonCode reason) {
        ++reasons_[fmt::format("{}.{}", packet, mqtt::to_text(reason))];
    }
    std::map<std::string, std::uint64_t>& reasons_;
};

class Run {
public:
    explicit Run(const RunOptions& options)
        : options_{options},
          plan_{draw_plan(options.seed)},
          world_{without_what_is_left_out(plan_.world, options)},
          narrator_{world_, options.tell},
          reason_counter_{result_.reasons} {
        model_.follow(world_.authority());
        model_.follow(world_.keeping());
        if (options.tell) model_.add(narrator_);
        model_.add(reason_counter_);
        checkers_ = all_checkers(world_, model_);
        world_.observe(model_);
        result_.seed = options.seed;
    }

    RunResult run() {
        begin();
        storm();
        heal();
        check();
        leave();
        return finish();
    }

private:
    static WorldOptions without_what_is_left_out(WorldOptions world, const RunOptions& options) {
        if (options.without_faults) world.faults.clear();
        return world;
    }

    [[nodiscard]] bool is_over() const {
        return options_.stops_at_first_violation && !world_.violations().empty();
    }

    void begin() {
        start_ = world_.now();
        for (std::uint32_t i = 0; i < plan_.actors.size(); ++i) {
            if (options_.only && !options_.only->contains(i)) continue;
            const ActorPlan& plan = plan_.actors[i];
            actors_.push_back(make_actor(world_, model_, plan));
            Actor* const actor = actors_.back().get();
            for (std::uint32_t k = 0; k < plan.actions.size(); ++k) {
                const Action& action = plan.actions[k];
                if (action.at > options_.until) continue;
                if (options_.only && !options_.only->at(i).contains(k)) continue;
                ++result_.actions;
                world_.timeline().at(start_ + action.at, [this, actor, &plan, &action, k, i] {
                    if (is_healing_) return;
                    narrator_.on_action(plan, i, k, action);
                    actor->perform(action);
                });
            }
        }
        result_.actors = static_cast<std::uint32_t>(actors_.size());
        give_orders();
        trouble_the_disk();
        if (options_.without_restarts) return;
        for (const ServerPlan& restart : plan_.restarts) {
            if (restart.at > options_.until) continue;
            world_.timeline().at(start_ + restart.at, [this, restart] {
                if (is_healing_) return;
                narrator_.say(std::string{to_text(restart.kind)});
                end_server(restart);
            });
            // A server that stops takes its time; the next one starts when it is gone.
            start_server_at(start_ + restart.at + restart.down_for, restart.revision);
        }
    }

    void end_server(const ServerPlan& restart) {
        using Kind = ServerPlan::Kind;
        switch (restart.kind) {
            case Kind::kill:
                return world_.kill_server();
            case Kind::stop:
                return world_.stop_server();
            case Kind::power:
                return world_.lose_power();
            case Kind::in_commit:
                return world_.crash_in_commit(restart.operations, false);
            case Kind::power_in_commit:
                return world_.crash_in_commit(restart.operations, true);
        }
    }

    void trouble_the_disk() {
        if (options_.without_faults) return;
        for (const DiskPlan& disk : plan_.disk) {
            if (disk.at > options_.until) continue;
            world_.timeline().at(start_ + disk.at, [this, &disk] {
                if (is_healing_) return;
                narrator_.say(to_text(disk));
                switch (disk.kind) {
                    case DiskPlan::Kind::fill:
                        return world_.fill_disk(disk.bytes_left);
                    case DiskPlan::Kind::fail:
                        return world_.fail_disk(disk.faults);
                    case DiskPlan::Kind::slow:
                        return world_.slow_disk(disk.commit_time_max);
                    case DiskPlan::Kind::mend:
                        return world_.mend_disk();
                }
            });
        }
    }

    void give_orders() {
        if (options_.without_orders) return;
        for (const OrderPlan& order : plan_.orders) {
            if (order.at > options_.until) continue;
            world_.timeline().at(start_ + order.at, [this, &order] {
                if (is_healing_) return;
                narrator_.say(to_text(order));
                follow(order);
            });
        }
    }

    void follow(const OrderPlan& order) {
        using Kind = OrderPlan::Kind;
        switch (order.kind) {
            case Kind::ban: {
                auto ban = order.ban;
                if (order.ban_for != Duration{}) ban.until = world_.now() + order.ban_for;
                world_.set_ban(std::move(ban));
                break;
            }
            case Kind::lift_bans:
                world_.lift_bans();
                break;
            case Kind::limits:
                world_.set_limits(order.tenant, order.limits);
                break;
            case Kind::places:
                world_.set_connections_max(order.connections_max);
                break;
            case Kind::memory:
                world_.set_memory(order.memory_bp);
                break;
            case Kind::reload:
                world_.reload(order.rights);
                break;
        }
    }

    [[nodiscard]] std::shared_ptr<const fleet::Catalog> catalog() const {
        return catalog_of_revision(revision_, world_.authority().rights.now());
    }

    void start_server_at(Instant at, std::uint32_t revision) {
        world_.timeline().at(at, [this, revision] {
            if (is_healing_ && world_.server_is_up() && !world_.server_is_stopping()) return;
            revision_ = std::max(revision_, revision);
            if (world_.server_is_up()) {
                if (world_.server_is_stopping()) {
                    start_server_at(world_.now() + Duration::seconds(1), revision);
                }
                return;
            }
            narrator_.say("the server starts");
            world_.start_server(catalog());
        });
    }

    void storm() {
        const Instant end = start_ + std::min(plan_.storm, options_.until);
        run_watched([&] { return false; }, end);
    }

    /// No faults any more, everybody comes back; what is owed is delivered once it can be.
    void heal() {
        if (is_over()) return;
        is_healing_ = true;
        narrator_.say("the storm is over");
        world_.clear_faults();
        world_.mend_disk();
        if (plan_.crashes_at_the_end && !options_.without_restarts) {
            narrator_.say("the server is killed once more");
            world_.kill_server();
        }
        if (!world_.server_is_up()) world_.start_server(catalog());
        world_.calm_down();
        for (const auto& actor : actors_) actor->heal();
        const Instant end = world_.now() + quiet_time_max;
        run_watched(
            [&] {
                return model_.is_settled() &&
                       std::all_of(actors_.begin(), actors_.end(),
                                   [](const auto& actor) { return actor->is_settled(); });
            },
            end);
        // What comes twice comes late.
        run_watched([] { return false; }, world_.now() + Duration::seconds(5));
    }

    void check() {
        if (is_over()) return;
        model_.pass_time(world_.now(), world_.step_count());
        read_retained();
        for (const auto& actor : actors_) actor->check_at_end();
        for (const auto& checker : checkers_) checker->at_end(world_.now());
        const auto fleet = world_.fleet_numbers();
        if (fleet.drifted != 0 && has_had_memory() && world_.store() == nullptr) {
            world_.report("no_drift_at_quiescence", fmt::format("{} have drifted", fleet.drifted));
        }
        for (std::size_t i = 0; i < broker::drop_reason_count; ++i) {
            const auto reason = static_cast<broker::DropReason>(i);
            const std::uint64_t count = world_.server().dropped(reason);
            if (count != 0) result_.drops[std::string{broker::to_text(reason)}] = count;
        }
    }

    [[nodiscard]] bool has_had_memory() {
        // A device without its subscriptions hears of no policy.
        const auto& limits = world_.authority().limits;
        const bool has_had_room = std::all_of(limits.begin(), limits.end(), [&](const auto& one) {
            return !world_.authority().was_ever_short_of_subscriptions(one.first);
        });
        return has_had_room && world_.server().dropped(broker::DropReason::no_memory) == 0 &&
               world_.server().dropped(broker::DropReason::tenant_quota) == 0;
    }

    /// Somebody who was not there asks each tenant for what is retained.
    void read_retained() {
        std::set<std::string> tenants;
        for (const ActorPlan& plan : plan_.actors) tenants.insert(plan.tenant);
        for (const std::string& tenant : tenants) {
            ActorPlan plan;
            plan.role = Role::witness;
            plan.client_id = reader_id;
            plan.tenant = tenant;
            readers_.push_back(make_actor(world_, model_, plan));
            Action connect;
            connect.act = Act::connect;
            readers_.back()->perform(connect);
        }
        run_watched([] { return false; }, world_.now() + Duration::seconds(2));
        for (const auto& reader : readers_) {
            Action subscribe;
            subscribe.act = Act::subscribe;
            subscribe.topic = "mine/#";
            subscribe.subscribe.qos = mqtt::QoS::exactly_once;
            reader->perform(subscribe);
        }
        run_watched([] { return false; }, world_.now() + Duration::seconds(5));
    }

    /// Everybody goes for good: every byte of memory comes back.
    void leave() {
        if (is_over() || !world_.violations().empty()) return;
        // Who comes once more must not be taken for one who flaps.
        const auto& watched = world_.authority().flapping;
        if (watched.connects_max != 0) {
            run_watched([] { return false; }, world_.now() + watched.window);
            world_.lift_bans();
        }
        narrator_.say("everybody leaves");
        for (const auto& actor : actors_) actor->leave();
        for (const auto& reader : readers_) reader->leave();
        run_watched([] { return false; }, world_.now() + Duration::seconds(10));
        // A device of 3.1.1 cannot end a session that stays; somebody does it in its place.
        std::vector<std::unique_ptr<Actor>> heirs;
        for (ActorPlan plan : plan_.actors) {
            if (plan.role != Role::device) continue;
            plan.role = Role::wanderer;
            heirs.push_back(make_actor(world_, model_, plan));
            heirs.back()->leave();
        }
        run_watched([] { return false; }, world_.now() + Duration::seconds(30));
        auto& server = world_.server();
        const auto expect = [&](const char* what, std::uint64_t is, std::uint64_t should_be) {
            if (is == should_be) return;
            world_.report("memory_comes_back", fmt::format("{} {}, not {}", is, what, should_be));
        };
        std::uint64_t connections = 0;
        std::uint64_t indexed = 0;
        for (std::uint16_t i = 0; i < server.shard_count(); ++i) {
            connections += server.network(i).connection_count();
            indexed += server.shard(i).indexed_subscription_count();
        }
        expect("connections at the network", connections, 0);
        expect("connections", server.counted(&broker::Counters::connections), 0);
        expect("clients", server.counted(&broker::Counters::clients), 0);
        expect("sessions", server.counted(&broker::Counters::sessions), 0);
        expect("subscriptions", server.counted(&broker::Counters::subscriptions), 0);
        expect("subscriptions that are looked up", indexed, 0);
        expect("stored messages", server.stored_messages(),
               server.counted(&broker::Counters::retained_messages));
        expect("bytes of sessions", server.counted(&broker::Counters::session_held_bytes), 0);
        expect("connections in transit", server.transit().size(), 0);
        if (server.counted(&broker::Counters::retained_messages) == 0) {
            expect("stored bytes", server.counted(&broker::Counters::stored_bytes), 0);
        }
        check_ledger();
        check_lanes();
        check_rows();
    }

    /// Nobody is left, so nothing is: but for what is retained.
    void check_rows() {
        if (world_.store() == nullptr) return;
        using store::Family;
        for (const Family family :
             {Family::sessions, Family::subscriptions, Family::queue, Family::flight,
              Family::inbound, Family::messages, Family::references, Family::released,
              Family::discards, Family::wills}) {
            const std::uint64_t rows = world_.store()->rows(family);
            if (rows == 0) continue;
            world_.report("rows_come_back",
                          fmt::format("{} rows of {} are left", rows, store::to_text(family)));
        }
        const auto checked = world_.store()->check();
        if (!checked) return world_.report("the_store_is_sound", checked.error().detail);
        for (const auto& finding : checked->findings) {
            world_.report("the_store_is_sound", finding.what);
        }
    }

    /// What was taken of quotas is back, but for what is retained.
    void check_ledger() {
        auto& server = world_.server();
        if (server.admission() == nullptr) return;
        using admission::Quota;
        const auto& ledger = server.admission()->ledger;
        const auto expect = [&](Quota quota, std::uint64_t should_be) {
            if (ledger.used(quota) == should_be) return;
            world_.report("quotas_come_back",
                          fmt::format("{} of {} are taken, not {}", ledger.used(quota),
                                      to_text(admission::limit_of(quota)), should_be));
        };
        const auto retained = server.counted(&broker::Counters::retained_messages);
        for (const Quota quota : {Quota::connections, Quota::sessions, Quota::subscriptions}) {
            expect(quota, 0);
        }
        expect(Quota::retained_messages, retained);
        if (retained == 0) expect(Quota::message_bytes, 0);
    }

    /// Every credit between the shards is back.
    void check_lanes() {
        auto& server = world_.server();
        for (std::uint16_t from = 0; from < server.shard_count(); ++from) {
            for (std::uint16_t to = 0; to < server.shard_count(); ++to) {
                if (from == to) continue;
                for (const auto kind : {broker::LaneKind::control, broker::LaneKind::deliver,
                                        broker::LaneKind::publish}) {
                    auto& lane = server.mailroom().lane(ShardId{from}, ShardId{to}, kind);
                    if (lane.empty()) continue;
                    world_.report("memory_comes_back",
                                  fmt::format("mail from shard {} to {} is never read", from, to));
                }
            }
        }
    }

    template <class IsQuiet>
    void run_watched(IsQuiet is_quiet, Instant end) {
        if (is_over()) return;
        static_cast<void>(world_.run_until_quiet(end, [&] { return is_over() || is_quiet(); }));
    }

    RunResult finish() {
        result_.violations = world_.violations();
        result_.trace_hash = world_.trace_hash();
        result_.steps = world_.step_count();
        result_.simulated = world_.now() - start_;
        result_.messages = model_.messages().size();
        result_.faults_fired = world_.faults_fired();
        if (world_.store() != nullptr) result_.machine = world_.machine();
        return std::move(result_);
    }

    const RunOptions& options_;
    Plan plan_;
    RunResult result_;
    Model model_;
    World world_;
    Narrator narrator_;
    ReasonCounter reason_counter_;
    std::vector<std::unique_ptr<Checker>> checkers_;
    std::vector<std::unique_ptr<Actor>> actors_;
    std::vector<std::unique_ptr<Actor>> readers_;
    Instant start_;
    std::uint32_t revision_ = 1;
    bool is_healing_ = false;
};

}  // namespace

RunResult run(const RunOptions& options) { return Run{options}.run(); }

}  // namespace mitu::sim
