// Tenants are walls, as a property: whatever tenant A does, tenant B sees, gets and holds what it
// would in a world without A. Hundreds of histories drawn from seeds, each run twice; one that
// differs is cut down to the operations that matter and printed.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "mitu/broker/shard_inspect.hpp"
#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using admission::Quota;

constexpr TenantId walled_a{1};
constexpr TenantId walled_b{2};
constexpr std::array walled_quotas{Quota::connections,    Quota::sessions,
                                   Quota::subscriptions,  Quota::retained_messages,
                                   Quota::retained_bytes, Quota::message_bytes};
/// What B has for itself, and what is for all beside it: little enough for A to spend.
constexpr std::array<std::uint64_t, walled_quotas.size()> of_b{16, 16, 128, 128, 1 << 20, 1 << 20};
constexpr std::array<std::uint64_t, walled_quotas.size()> of_all{6, 8, 10, 5, 4'000, 20'000};

enum class Act : std::uint8_t {
    connect,  // takes over whoever has that client id
    connect_with_will,
    disconnect,
    reset,
    subscribe,
    unsubscribe,
    share,
    publish,
    retain,
    forget,     // the retained message, as a client
    kick,       // as an operator of the tenant
    ban,        //
    erase,      // the retained message, as an operator
    swarm,      // a client more than there were
    keep_many,  // retained messages
    flood,      // a subscriber that does not read
    deafen,     // stops or begins to read
};
constexpr std::array act_names{"connect",    "connect with will",
                               "disconnect", "reset",
                               "subscribe",  "unsubscribe",
                               "share",      "publish",
                               "retain",     "forget",
                               "kick",       "ban",
                               "erase",      "swarm",
                               "keep many",  "flood",
                               "deafen"};
constexpr std::uint64_t acts_of_b = 13;  // the first; the rest is for who wants everything

struct Operation {
    enum class Who : std::uint8_t { a, b, time } who = Who::time;
    Act act = Act::connect;
    std::uint8_t client = 0;  // 0..3
    std::uint8_t place = 0;   // topic or filter
    std::uint8_t choice = 0;  // QoS, expiry, whatever the act wants
    std::uint8_t steps = 0;   // how far the world goes on, for A
};
using History = std::vector<Operation>;

std::string to_text(const Operation& one) {
    if (one.who == Operation::Who::time) return "a second passes";
    return fmt::format(
        "{} {} client {} place {} choice {} steps {}", one.who == Operation::Who::a ? "A" : "B",
        act_names[static_cast<std::size_t>(one.act)], one.client, one.place, one.choice, one.steps);
}

History draw_history(std::uint64_t seed) {
    Prng prng{seed};
    History history;
    const std::uint64_t length = 40 + prng.below(120);
    const bool is_greedy = prng.chance(0.5);
    for (std::uint64_t i = 0; i < length; ++i) {
        Operation one;
        one.who = prng.chance(0.05)   ? Operation::Who::time
                  : prng.chance(0.65) ? Operation::Who::a
                                      : Operation::Who::b;
        const bool is_of_all = one.who == Operation::Who::a && is_greedy;
        one.act = static_cast<Act>(prng.below(is_of_all ? act_names.size() : acts_of_b));
        one.client = static_cast<std::uint8_t>(prng.below(4));
        one.place = static_cast<std::uint8_t>(prng.below(6));
        one.choice = static_cast<std::uint8_t>(prng.below(12));
        one.steps = static_cast<std::uint8_t>(prng.below(60));
        history.push_back(one);
    }
    return history;
}

/// Clients, topics and groups are named alike for both, so that a hole is found soon.
class Crowd {
public:
    Crowd(World& world, std::string user, TenantId tenant)
        : world_{world}, user_{std::move(user)}, tenant_{tenant} {
        for (int i = 0; i < 4; ++i) clients_.push_back(&world_.client(fmt::format("c{}", i)));
    }

    void act(const Operation& one) {
        Client& client = *clients_[one.client];
        const auto qos = static_cast<mqtt::QoS>(one.choice % 3);
        switch (one.act) {
            case Act::connect:
            case Act::connect_with_will:
                connect(client, one);
                return;
            case Act::kick:
                for (std::uint16_t i = 0; i < world_.shard_count(); ++i) {
                    world_.shard(i).kick(tenant_, client.id(), world_.now());
                    world_.network(i).wake();
                }
                return;
            case Act::ban:
                static_cast<void>(world_.admission().bans.set(
                    {admission::BanTarget::client(tenant_, client.id()), "", "test", world_.now(),
                     world_.now() + Duration::seconds(one.choice % 3)}));
                return;
            case Act::erase:
                for (std::uint16_t i = 0; i < world_.shard_count(); ++i) {
                    ShardInspector{world_.shard(i), world_.now()}.erase_retained(tenant_,
                                                                                 topic(one.place));
                }
                return;
            case Act::swarm:
                if (swarm_.size() >= 40) return;
                swarm_.push_back(&world_.client(fmt::format("s{}", swarm_.size())));
                connect(*swarm_.back(), one);
                return;
            default:
                break;
        }
        if (!client.is_connected()) return connect(client, one);
        switch (one.act) {
            case Act::disconnect:
                client.send_later(mqtt::Disconnect{});
                client.cut();
                return;
            case Act::reset:
                client.reset();
                return;
            case Act::subscribe:
                client.subscribe_later(filter(one.place), {.qos = qos});
                return;
            case Act::unsubscribe:
                client.unsubscribe_later(filter(one.place));
                return;
            case Act::share:
                client.subscribe_later("$share/g/" + filter(one.place), {.qos = qos});
                return;
            case Act::publish:
            case Act::retain:
                client.publish_later(topic(one.place), fmt::format("{}-{}", user_, number_++),
                                     {.qos = qos, .retain = one.act == Act::retain});
                return;
            case Act::forget:
                client.publish_later(topic(one.place), "", {.retain = true});
                return;
            case Act::keep_many:
                for (int i = 0; i < 20; ++i) {
                    client.publish_later(fmt::format("keep/{}", i), std::string(500, 'k'),
                                         {.retain = true});
                }
                return;
            case Act::flood:
                if (client.unacknowledged_count() > 40) return;
                for (int i = 0; i < 20; ++i) {
                    client.publish_later(topic(one.place), std::string(2'000, 'f'), {.qos = qos1});
                }
                return;
            case Act::deafen:
                client.reads = !client.reads;
                return;
            default:
                return;
        }
    }

    /// What came since the last time, what is held, and what an operator is shown.
    std::string see() {
        std::string text;
        std::vector<std::string> of_groups;  // which member gets a message is nobody's business
        for (Client* client : clients_) {
            std::vector<std::string> lines;
            for (const auto& packet : client->take_packets()) {
                if (const auto* const suback = packet.as<mqtt::Suback>()) {
                    for (const auto code : suback->reasons)
                        lines.push_back(fmt::format(" s{}", code));
                } else if (const auto* const puback = packet.as<mqtt::Puback>()) {
                    lines.push_back(fmt::format(" p{}", mqtt::to_text(puback->reason)));
                } else if (const auto* const connack = packet.as<mqtt::Connack>()) {
                    lines.push_back(fmt::format(" c{}{}", mqtt::to_text(connack->reason),
                                                connack->session_present ? "+" : ""));
                } else if (const auto* const bye = packet.as<mqtt::Disconnect>()) {
                    lines.push_back(fmt::format(" d{}", mqtt::to_text(bye->reason)));
                }
            }
            for (const Message& message : client->take_messages()) {
                of_groups.push_back(fmt::format(" {}={}{}", message.topic,
                                                message.payload.substr(0, 20),
                                                message.retain ? "(kept)" : ""));
            }
            std::ranges::sort(lines);
            text += fmt::format("  {} {}:{}\n", client->id(), client->is_connected() ? "in" : "out",
                                fmt::join(lines, ""));
        }
        std::ranges::sort(of_groups);
        text += fmt::format("  came:{}\n", fmt::join(of_groups, ""));
        return text + holds() + shown();
    }

    [[nodiscard]] std::uint64_t refused() {
        std::uint64_t sum = 0;
        auto& account = world_.admission().ledger.tenant(tenant_);
        for (std::size_t i = 0; i < admission::limit_count; ++i) {
            sum += account.refused(static_cast<admission::Limit>(i));
        }
        return sum;
    }

private:
    void connect(Client& client, const Operation& one) {
        ConnectOptions options;
        options.user_name = user_;
        options.clean_start = one.choice % 3 == 0;
        options.session_expiry_s = one.choice % 4 == 0 ? 0 : one.choice % 4 == 1 ? 2 : 1'000;
        if (one.act == Act::connect_with_will) {
            options.will = WillOptions{topic(one.place), user_ + "-will", qos1, one.choice % 2 == 0,
                                       static_cast<std::uint32_t>(one.choice % 3)};
        }
        client.reads = true;
        client.connect_later(options);
    }

    std::string holds() {
        std::string text;
        auto& account = world_.admission().ledger.tenant(tenant_);
        for (const Quota quota : walled_quotas) {
            text += fmt::format("  {} {}\n", to_text(limit_of(quota)), account.used(quota));
        }
        return text + fmt::format("  refused {}\n", refused());
    }

    std::string shown() {
        std::vector<std::string> lines;
        for (std::uint16_t i = 0; i < world_.shard_count(); ++i) {
            const ShardInspector inspector{world_.shard(i), world_.now()};
            const auto clients = inspector.clients({.tenant = tenant_}, {}, 500);
            for (const auto& one : clients.items) {
                lines.push_back(fmt::format("client {}", one.client_id));
            }
            for (const auto& one : inspector.subscriptions({.tenant = tenant_}, {}, 500).items) {
                lines.push_back(fmt::format("filter {} {}", one.group, one.filter));
            }
            for (const auto& one : inspector.retained({.tenant = tenant_}, {}, 500).items) {
                lines.push_back(fmt::format("kept {} {}", one.topic, one.payload_bytes));
            }
        }
        std::ranges::sort(lines);
        return fmt::format("  shown: {}\n", fmt::join(lines, ", "));
    }

    static std::string topic(std::uint8_t place) {
        return place < 3 ? fmt::format("t/{}", place) : fmt::format("deep/a/b/{}", place - 3);
    }
    static std::string filter(std::uint8_t place) {
        static constexpr std::array filters{"#", "t/+", "+/1", "t/2", "deep/a/b/#", "deep/a/b/1"};
        return filters[place];
    }

    World& world_;
    std::string user_;
    TenantId tenant_;
    std::vector<Client*> clients_;
    std::vector<Client*> swarm_;
    int number_ = 0;
};

/// What B saw after each of its operations.
struct Witnessed {
    std::vector<std::string> steps;
    std::uint64_t refused_to_a = 0;
};

enum class Wall : std::uint8_t { whole, with_a_hole };

Witnessed run(std::uint64_t seed, const History& history, bool with_a, Wall wall) {
    Prng prng{seed * 7 + 1};
    WorldOptions options;
    options.seed = seed;
    options.shards = static_cast<std::uint16_t>(1 + prng.below(3));
    options.draws_order = true;
    options.network.chops = prng.chance(0.3);
    auto& control = options.admission.emplace();
    for (std::size_t i = 0; i < walled_quotas.size(); ++i) {
        control.server.maximum[static_cast<std::size_t>(walled_quotas[i])] = of_b[i] + of_all[i];
    }
    World world{options};
    world.gate().tenants["a"] = wall == Wall::whole ? walled_a : walled_b;
    world.gate().tenants["b"] = walled_b;
    admission::TenantLimits limits_of_b;
    for (std::size_t i = 0; i < walled_quotas.size(); ++i) {
        limits_of_b[walled_quotas[i]].reserved = of_b[i];
    }
    admission::TenantLimits limits_of_a;
    if (prng.chance(0.5)) limits_of_a[Quota::sessions].maximum = 5;
    if (prng.chance(0.3)) limits_of_a.message_rate = {.per_second = 20, .burst = 10};
    EXPECT_TRUE(world.admission().ledger.set_tenant(walled_b, limits_of_b));
    EXPECT_TRUE(world.admission().ledger.set_tenant(walled_a, limits_of_a));
    Crowd a{world, "a", walled_a};
    Crowd b{world, "b", walled_b};
    Witnessed seen;
    for (const Operation& one : history) {
        switch (one.who) {
            case Operation::Who::time:
                world.advance(Duration::seconds(1));
                world.admission().bans.expire(world.now());
                break;
            case Operation::Who::a:
                if (!with_a) break;
                a.act(one);
                world.run_some(one.steps);
                break;
            case Operation::Who::b:
                b.act(one);
                world.run();
                seen.steps.push_back(b.see());
                break;
        }
    }
    seen.refused_to_a = a.refused();
    return seen;
}

/// The first step of B's that A has a part in; nullopt: none.
std::optional<std::size_t> find_difference(std::uint64_t seed, const History& history, Wall wall) {
    const Witnessed with = run(seed, history, true, wall);
    const Witnessed without = run(seed, history, false, wall);
    for (std::size_t i = 0; i < with.steps.size(); ++i) {
        if (with.steps[i] != without.steps[i]) return i;
    }
    return std::nullopt;
}

/// The same failure by fewer operations: pieces are left out, halves first, then one by one.
History shrink(std::uint64_t seed, History history, Wall wall) {
    int runs_left = 300;
    for (std::size_t piece = history.size() / 2; piece > 0; piece /= 2) {
        for (std::size_t at = 0; at < history.size() && runs_left > 0;) {
            History shorter = history;
            const auto from = shorter.begin() + static_cast<std::ptrdiff_t>(at);
            const std::size_t count = std::min(piece, history.size() - at);
            shorter.erase(from, from + static_cast<std::ptrdiff_t>(count));
            --runs_left;
            if (find_difference(seed, shorter, wall)) {
                history = std::move(shorter);
            } else {
                at += piece;
            }
        }
    }
    return history;
}

std::string story(std::uint64_t seed, const History& history, Wall wall) {
    std::string text = fmt::format("seed {}, {} operations:\n", seed, history.size());
    for (const Operation& one : history) text += "  " + to_text(one) + "\n";
    const auto step = find_difference(seed, history, wall);
    if (!step) return text + "(it does not differ any more)\n";
    return text + "B sees\n" + run(seed, history, true, wall).steps[*step] + "and alone it saw\n" +
           run(seed, history, false, wall).steps[*step];
}

TEST(shard_walls, whatever_one_tenant_does_another_sees_and_holds_the_same) {
    std::uint64_t refused_to_a = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        const History history = draw_history(seed);
        if (find_difference(seed, history, Wall::whole)) {
            FAIL() << story(seed, shrink(seed, history, Wall::whole), Wall::whole);
        }
        if (seed % 10 == 0) refused_to_a += run(seed, history, true, Wall::whole).refused_to_a;
    }
    EXPECT_GT(refused_to_a, 50u);  // A does run into what is not its own
}

/// The test itself is tested: with both in one tenant the difference is found and cut to what
/// matters.
TEST(shard_walls, a_hole_is_found_at_once_and_shown_by_a_few_operations) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        const History history = draw_history(seed);
        ASSERT_TRUE(find_difference(seed, history, Wall::with_a_hole)) << "seed " << seed;
        const History few = shrink(seed, history, Wall::with_a_hole);
        EXPECT_TRUE(find_difference(seed, few, Wall::with_a_hole));
        EXPECT_LE(few.size(), 4u) << story(seed, few, Wall::with_a_hole);
    }
}

}  // namespace
}  // namespace mitu::broker::testing
