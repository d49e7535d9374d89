// Small worlds in which everything happens at once, drawn from a seed, against a simple model:
// QoS 1 at least once, QoS 2 exactly once, order per publisher, topic and QoS, nothing left over.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/names.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::broker::testing {
namespace {

using mqtt::ProtocolVersion;
using mqtt::QoS;
using mqtt::ReasonCode;

constexpr std::uint32_t long_expiry_s = 1'000'000;

/// What one run draws for itself before it begins.
WorldOptions draw_world(std::uint64_t seed) {
    Prng prng{seed};
    WorldOptions options;
    options.seed = seed;
    options.shards = static_cast<std::uint16_t>(1 + prng.below(3));
    options.draws_order = true;
    options.network.chops = prng.chance(0.5);
    if (prng.chance(0.4)) options.lanes = tiny_lanes();
    if (prng.chance(0.4)) options.lanes = {4u << 10, 4u << 10, 4u << 10};
    auto& limits = options.limits;
    limits.inflight_max = static_cast<std::uint16_t>(prng.chance(0.5) ? 1 + prng.below(4) : 1'024);
    limits.pending_acks_max = prng.chance(0.5) ? 2 : 2'048;
    limits.pending_operations_max = prng.chance(0.5) ? 1 : 64;
    limits.turn_mail_bytes_max = prng.chance(0.3) ? 256 : 4u << 20;
    limits.output_bytes_turn_max = prng.chance(0.3) ? 64 : 256u << 10;
    limits.output_backlog_bytes_max = prng.chance(0.3) ? 16 : 256u << 10;
    limits.gather_bytes_min = prng.chance(0.3) ? 8 : 4'096;
    if (prng.chance(0.5)) options.admission.emplace();  // counts, and refuses nothing
    return options;
}

/// "publisher/topic/qos/number": says of itself where it belongs.
struct Text {
    std::string series;
    int number = 0;
    explicit Text(const std::string& payload) {
        const std::size_t slash = payload.rfind('/');
        series = payload.substr(0, slash);
        number = std::stoi(payload.substr(slash + 1));
    }
};

class Run {
public:
    explicit Run(std::uint64_t seed) : world_{draw_world(seed)}, prng_{world_.prng().split()} {
        for (std::uint16_t i = 0; i < world_.shard_count(); ++i) {
            if (prng_.chance(0.3)) {
                world_.faults(i).probability = {{ports::Fault::lane_full, 0.2},
                                                {ports::Fault::write_short, 0.2}};
            }
        }
        for (int i = 0; i < 3; ++i) {
            witnesses_.push_back(&world_.client(fmt::format("witness{}", i)));
            connect(*witnesses_.back(), true);
        }
        world_.run();
        // Together their filters cover everything, homed and not, alone and overlapping.
        witnesses_[0]->subscribe("#", {.qos = QoS::exactly_once});
        for (const char* filter : {"t/+", "deep/a/b/#", "t/1", "#"}) {
            witnesses_[1]->subscribe(filter, {.qos = QoS::exactly_once, .identifier = 3});
        }
        witnesses_[2]->subscribe("+/#", {.qos = QoS::exactly_once});
        for (int i = 0; i < 4; ++i) {
            publishers_.push_back(&world_.client(fmt::format("publisher{}", i)));
        }
        for (int i = 0; i < 4; ++i) {
            others_.push_back(&world_.client(fmt::format("other{}", i)));
        }
    }

    void storm(int steps) {
        for (int i = 0; i < steps; ++i) {
            disturb(*witnesses_[prng_.below(witnesses_.size())], 0.02, true);
            Client& publisher = *publishers_[prng_.below(publishers_.size())];
            disturb(publisher, 0.03, prng_.chance(0.8));
            const std::uint64_t burst = prng_.chance(0.1) ? 20 : 1;
            for (std::uint64_t k = 0; k < burst && publisher.is_connected(); ++k) {
                publish(publisher);
            }
            Client& other = *others_[prng_.below(others_.size())];
            disturb(other, 0.1, prng_.chance(0.5));
            if (other.is_connected()) subscribe(other);
            if (prng_.chance(0.05)) world_.advance(Duration::seconds(1));
            world_.run_some(prng_.below(30));
            collect();
        }
    }

    /// No more faults, everybody connected and quiet.
    void heal() {
        for (std::uint16_t i = 0; i < world_.shard_count(); ++i) {
            world_.faults(i).probability.clear();
            world_.network(i).wake();
        }
        world_.run();
        for (auto* list : {&witnesses_, &publishers_, &others_}) {
            for (Client* client : *list) {
                client->set_window(1u << 20);
                client->reads = true;
            }
        }
        world_.run();
        for (auto* list : {&witnesses_, &publishers_}) {
            for (Client* client : *list) {
                if (!client->is_connected()) connect(*client, true);
            }
        }
        world_.run();
        collect();
    }

    void check() {
        for (const Client* publisher : publishers_) {
            EXPECT_EQ(publisher->unacknowledged_count(), 0u) << publisher->id();
        }
        for (const auto& seen : seen_) {
            for (const auto& [payload, qos] : confirmed_) {
                const auto it = seen.counts.find(payload);
                EXPECT_NE(it, seen.counts.end()) << payload << " was confirmed and did not arrive";
            }
            for (const auto& [payload, count] : seen.counts) {
                if (payload.find("/q2/") == std::string::npos) continue;
                EXPECT_EQ(count, 1) << payload;
            }
        }
        EXPECT_EQ(world_.dropped(DropReason::queue_full), 0u);
        check_retained();
    }

    void end() {
        for (auto* list : {&witnesses_, &publishers_, &others_}) {
            for (Client* client : *list) {
                client->connect();  // a clean start, and a session without expiry
                client->disconnect();
            }
        }
        std::uint64_t retained = 0;
        for (std::uint16_t i = 0; i < world_.shard_count(); ++i) {
            retained += world_.shard(i).counters().retained_messages.read();
            EXPECT_EQ(world_.network(i).connection_count(), 0u);
        }
        EXPECT_EQ(world_.stored_messages(), retained);
        if (world_.has_admission()) check_ledger(retained);
        EXPECT_EQ(world_.counted(&Counters::sessions), 0u);
        EXPECT_EQ(world_.counted(&Counters::clients), 0u);
        EXPECT_EQ(world_.counted(&Counters::connections), 0u);
        EXPECT_EQ(world_.counted(&Counters::subscriptions), 0u);
        EXPECT_EQ(world_.transit().size(), 0u);
    }

private:
    struct Seen {
        std::map<std::string, int> counts;
        std::map<std::string, int> last;  // by series: the highest number that came first
    };

    /// Everybody has left: nothing is held but what is retained.
    void check_ledger(std::uint64_t retained) {
        using admission::Quota;
        auto& ledger = world_.admission().ledger;
        for (const Quota quota : {Quota::connections, Quota::sessions, Quota::subscriptions}) {
            EXPECT_EQ(ledger.used(quota), 0u);
        }
        EXPECT_EQ(ledger.used(Quota::retained_messages), retained);
        EXPECT_EQ(ledger.used(Quota::message_bytes) == 0, retained == 0);
        EXPECT_EQ(ledger.listener_connections(0), 0u);
    }

    void connect(Client& client, bool stays) {
        ConnectOptions options;
        options.clean_start = false;
        options.session_expiry_s = stays ? long_expiry_s : 0;
        if (prng_.chance(0.3)) options.version = ProtocolVersion::v3_1_1;
        options.receive_maximum =
            static_cast<std::uint16_t>(prng_.chance(0.5) ? 1 + prng_.below(3) : 65'535);
        if (prng_.chance(0.5)) options.topic_alias_maximum = 3;
        if (prng_.chance(0.3)) {
            options.will =
                WillOptions{"will/" + client.id(), "will", QoS(prng_.below(3)), prng_.chance(0.3),
                            static_cast<std::uint32_t>(prng_.below(3))};
        }
        client.connect_later(options);
    }

    void disturb(Client& client, double probability, bool stays) {
        if (!client.is_open()) {
            if (prng_.chance(0.5)) connect(client, stays);
            return;
        }
        if (!prng_.chance(probability)) {
            if (prng_.chance(0.05)) client.reads = !client.reads;
            if (prng_.chance(0.05)) client.set_window(prng_.below(200));
            if (prng_.chance(0.1)) client.set_window(1u << 20);
            return;
        }
        client.reads = true;
        switch (prng_.below(4)) {
            case 0:
                client.cut();
                break;
            case 1:
                client.reset();
                break;
            case 2:
                client.send_later(mqtt::Disconnect{});
                client.cut();
                break;
            default:
                client.reset();
                connect(client, stays);  // takes itself over
        }
    }

    void publish(Client& publisher) {
        if (publisher.unacknowledged_count() > 20) return;
        PublishOptions options;
        options.qos = QoS(prng_.below(3));
        options.retain = prng_.chance(0.2);
        // QoS 2 only, because an older QoS 1 message may be repeated after a newer one.
        const bool is_mine = prng_.chance(0.2);
        if (is_mine) options.qos = QoS::exactly_once;
        const std::string topic = is_mine             ? fmt::format("mine/{}/x/y", publisher.id())
                                  : prng_.chance(0.5) ? fmt::format("t/{}", prng_.below(3))
                                                      : fmt::format("deep/a/b/{}", prng_.below(3));
        const std::string series =
            fmt::format("{}/{}/q{}", publisher.id(), topic, static_cast<int>(options.qos));
        std::string payload = fmt::format("{}/{}", series, numbers_[series]++);
        if (prng_.chance(0.2)) payload.append(prng_.below(prng_.chance(0.5) ? 400 : 3'000), ' ');
        publisher.publish_later(topic, payload, options);
        sent_qos_[payload] = options.qos;
        if (options.retain) retained_[topic].push_back(payload);
    }

    void subscribe(Client& client) {
        std::string filter = draw_filter(prng_);
        if (prng_.chance(0.5)) filter = prng_.chance(0.5) ? "t/+" : "deep/a/b/#";
        if (prng_.chance(0.4)) filter = "$share/g/" + filter;
        if (!mqtt::is_valid_topic_filter(filter)) return;
        if (prng_.chance(0.4)) {
            client.unsubscribe_later(filter);
            return;
        }
        SubscribeOptions options;
        options.qos = QoS(prng_.below(3));
        options.identifier = static_cast<std::uint32_t>(prng_.below(3));
        client.subscribe_later(filter, options);
    }

    void collect() {
        for (Client* publisher : publishers_) {
            for (auto& payload : publisher->take_confirmed()) {
                confirmed_[payload] = sent_qos_.at(payload);
            }
        }
        seen_.resize(witnesses_.size());
        for (std::size_t i = 0; i < witnesses_.size(); ++i) {
            for (const Message& message : witnesses_[i]->take_messages()) {
                if (message.payload == "will") continue;
                Seen& seen = seen_[i];
                if (++seen.counts[message.payload] > 1) continue;  // a repeat may come late
                const Text text{message.payload};
                const auto [it, is_first] = seen.last.try_emplace(text.series, text.number);
                EXPECT_TRUE(is_first || it->second < text.number)
                    << message.payload << " came after number " << it->second;
                it->second = std::max(it->second, text.number);
            }
        }
        for (Client* other : others_) other->take_messages();
    }

    /// A topic with one publisher: nothing older than its last confirmed retained message is kept.
    void check_retained() {
        Client& reader = world_.client("reader").connect();
        reader.subscribe("mine/#", {.qos = QoS::exactly_once});
        std::map<std::string, std::string> kept;
        for (auto& message : reader.take_messages()) kept[message.topic] = message.payload;
        for (const auto& [topic, payloads] : retained_) {
            if (!topic.starts_with("mine/")) continue;
            std::size_t last_confirmed = payloads.size();
            for (std::size_t i = 0; i < payloads.size(); ++i) {
                if (confirmed_.contains(payloads[i])) last_confirmed = i;
            }
            if (last_confirmed == payloads.size()) continue;
            bool is_allowed = false;
            for (std::size_t i = last_confirmed; i < payloads.size(); ++i) {
                is_allowed |= kept[topic] == payloads[i];
            }
            EXPECT_TRUE(is_allowed) << topic << " keeps " << kept[topic];
        }
        reader.disconnect();
    }

    World world_;
    Prng prng_;
    std::vector<Client*> witnesses_;        // their sessions stay; what they miss is a fault
    std::vector<Client*> publishers_;       // some of their sessions end
    std::vector<Client*> others_;           // come, go, subscribe and share
    std::map<std::string, int> numbers_;    // by series
    std::map<std::string, QoS> sent_qos_;   // by payload
    std::map<std::string, QoS> confirmed_;  // by payload
    std::map<std::string, std::vector<std::string>> retained_;  // by topic, in order
    std::vector<Seen> seen_;                                    // by witness
};

void run_seeds(std::uint64_t first, std::uint64_t last, int steps) {
    for (std::uint64_t seed = first; seed < last; ++seed) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        Run run{seed};
        run.storm(steps);
        run.heal();
        run.check();
        run.end();
        if (::testing::Test::HasFailure()) return;
    }
}

TEST(shard_random, keeps_its_promises_in_many_short_storms) { run_seeds(1, 100, 150); }
TEST(shard_random, keeps_its_promises_in_some_long_storms) { run_seeds(1'000, 1'006, 1'500); }

}  // namespace
}  // namespace mitu::broker::testing
