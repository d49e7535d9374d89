#include "mitu/journal/testing/crash_run.hpp"

#include <algorithm>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/base/hash.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::journal::testing {

using broker::testing::VirtualSocket;
using mqtt::QoS;
using State = KnownFilter::State;

namespace {

// No history needs as many without time passing: somebody runs in circles.
constexpr std::uint64_t steps_max = 3'000'000;

VirtualStoreOptions store_options(const CrashOptions& options, std::uint16_t shards) {
    VirtualStoreOptions made;
    made.seed = options.seed * 77 + 5;
    made.shards = shards;
    made.tenants = {{"default", options.durability}};
    return made;
}

std::uint16_t shards_of(std::uint64_t seed) noexcept { return seed % 2 == 0 ? 3 : 1; }

}  // namespace

CrashRun::CrashRun(const CrashOptions& options)
    : options_{options},
      random_{options.seed},
      order_{options.seed ^ 0x0DE2},
      store_{store_options(options, shards_of(options.seed)), clock_} {
    draw_options();
    make_devices();
    start();
}

CrashRun::~CrashRun() { server_.reset(); }

void CrashRun::draw_options() {
    server_options_.shards = shards_of(options_.seed);
    if (random_.chance(0.5)) server_options_.lanes = broker::testing::tiny_lanes();
    server_options_.network.chops = random_.chance(0.3);
    server_options_.limits.queue_ahead_messages =
        static_cast<std::uint32_t>(4 + random_.below(random_.chance(0.5) ? 8 : 100));
    server_options_.limits.inflight_max = static_cast<std::uint16_t>(2 + random_.below(30));
    may_drop_ = random_.chance(0.15);
    if (may_drop_) {
        server_options_.limits.queue_messages_max =
            static_cast<std::uint32_t>(2 + random_.below(10));
    }
    breaks_ = options_.breaks_sessions && random_.chance(0.6);
    server_options_.journal_of = [this](std::uint16_t shard) { return store_.journal(shard); };
}

void CrashRun::make_devices() {
    const auto add = [this](std::string id) -> Device& {
        devices_.push_back(std::make_unique<Device>());
        devices_.back()->id = std::move(id);
        return *devices_.back();
    };
    for (int i = 0; i < 3; ++i) {
        const std::string name = std::to_string(i);
        Device& publisher = add("publisher" + name);
        publisher.topics = {{"a/" + name, QoS::at_least_once},
                            {"b/" + name + "/x", QoS::exactly_once},
                            {"b/" + name + "/y", QoS::at_least_once},
                            {"r/" + name, i == 1 ? QoS::exactly_once : QoS::at_least_once},
                            {"z/" + name, QoS::at_most_once}};
        if (i == 2) publisher.expiry_s = random_.chance(0.5) ? 0 : 3'600;
        if (i == 1) publisher.filters = {"a/+"};  // both
    }
    for (int i = 0; i < 4; ++i) {
        Device& subscriber = add("subscriber" + std::to_string(i));
        subscriber.filters = {"a/+", "b/#", "r/+", "a/" + std::to_string(i), "z/#"};
        if (i == 3) subscriber.expiry_s = random_.chance(0.5) ? 0 : 20;
        subscriber.may_start_clean = i != 0;
    }
    for (int i = 0; i < 2; ++i) {
        Device& member = add("member" + std::to_string(i));
        member.group = "g";
        member.filters = {"b/#"};
        member.may_start_clean = false;
    }
    Device& watcher = add("watcher");
    watcher.filters = {"will/#"};
    watcher.may_start_clean = false;
    for (int i = 0; i < 4; ++i) {
        Device& mortal = add("mortal" + std::to_string(i));
        mortal.has_will = true;
        mortal.expiry_s = i % 2 == 0 ? 0 : 3'600;
        if (i == 3) mortal.will_delay_s = 3;
    }
    for (auto& device : devices_) {
        for (const std::string& filter : device->filters) {
            device->qos_of[filter] = random_.chance(0.5) ? QoS::exactly_once : QoS::at_least_once;
        }
    }
}

void CrashRun::fail(std::string what) {
    if (failures_.size() < 10) {
        failures_.push_back("seed " + std::to_string(options_.seed) + ", start " +
                            std::to_string(counts_.starts) + ": " + std::move(what));
    }
}

// --- the machine ---

void CrashRun::start() {
    // Another process, another clock: only the wall goes on.
    clock_.base_ms += clock_.at.since_start_ns() / 1'000'000 - 1'000 +
                      static_cast<std::int64_t>(random_.below(500));
    clock_.at = Instant::from_ns(1'000'000'000);
    ++counts_.starts;
    for (int attempt = 0;; ++attempt) {
        std::string problem;
        const auto begun =
            store_.begin_process([this](ShardId shard) { server_->network(shard.value).wake(); });
        if (begun) {
            server_ = std::make_unique<broker::testing::VirtualServer>(
                server_options_, gate_, order_, [](std::uint16_t) { return nullptr; });
            std::vector<broker::Shard*> shards;
            for (std::uint16_t i = 0; i < server_->shard_count(); ++i) {
                shards.push_back(&server_->shard(i));
                server_->faults(i).on_broke = [this](const auto& session) { on_broke(session); };
                server_->faults(i).on_buried = [this](const auto& session, bool is_whole) {
                    on_buried(session, is_whole);
                };
            }
            const auto restored = store_.restore(shards);
            if (restored) break;
            problem = restored.error().detail;
            server_.reset();
            store_.end_process();
        } else {
            problem = begun.error();
        }
        MITU_CHECK_MSG(attempt < 2, problem.c_str());
        if (!was_troubled_) fail("the store does not open: " + problem);
        store_.make_well();
    }
    for (const std::string& loss : store_.open_report().quarantined) fail("put aside: " + loss);
}

void CrashRun::crash(bool power) {
    counts_.rebuilt += server_->counted(&broker::Counters::sessions_rebuilt_total);
    for (auto& device : devices_) {
        if (device->is_open()) device->left_ms = clock_.wall().unix_ms;
        device->socket.reset();
        device->is_in = false;
        device->will_before.clear();  // it may have been the server that it was cut by
    }
    server_.reset();
    if (store_.disk().has_frozen()) ++counts_.inside_a_commit;
    store_.end_process();
    if (power) {
        ++counts_.power_losses;
        store_.lose_power();
        if (options_.durability == broker::Durability::async) {
            may_lose_ = true;
            owed_.clear();
            group_owed_.clear();
            for (auto& device : devices_) device->will_owed.clear();
            wills_owed_.clear();
        }
    }
    start();
}

bool CrashRun::step_somebody() {
    ready_.clear();
    for (std::uint16_t i = 0; i < server_->shard_count(); ++i) {
        if (server_->has_reason(i, clock_.at)) ready_.push_back(i);
    }
    for (std::size_t i = 0; i < devices_.size(); ++i) {
        if (has_reason(*devices_[i])) ready_.push_back(std::size_t{server_->shard_count()} + i);
    }
    if ((ready_.empty() || order_.chance(0.2)) && store_.step(&order_)) return true;
    if (ready_.empty()) return false;
    const std::size_t chosen = ready_[static_cast<std::size_t>(order_.below(ready_.size()))];
    if (chosen < server_->shard_count()) {
        server_->step(static_cast<std::uint16_t>(chosen), clock_.at);
    } else {
        react(chosen - server_->shard_count());
    }
    return true;
}

void CrashRun::run_some(std::uint64_t steps) {
    while (steps-- != 0 && !store_.disk().has_frozen() && step_somebody()) {
    }
}

void CrashRun::run_all() {
    for (std::uint64_t steps = 0; !store_.disk().has_frozen() && step_somebody(); ++steps) {
        MITU_CHECK_MSG(steps < steps_max, "a history runs in circles");
    }
}

void CrashRun::advance(Duration time) {
    const Instant end = clock_.at + time;
    for (;;) {
        run_all();
        if (store_.disk().has_frozen()) return;
        const Instant next = std::min(server_->next_deadline(clock_.at), store_.next_deadline());
        if (next > end) break;
        clock_.at = std::max(clock_.at, next);
    }
    clock_.at = end;
    run_all();
}

void CrashRun::trouble_the_disk() {
    if (!options_.fails_disk) return;
    was_troubled_ = true;
    store::VirtualDisk& disk = store_.disk();
    if (random_.chance(0.4)) {
        disk.set_capacity(disk.used_bytes() + random_.below(150'000));
    } else {
        disk.set_faults({random_.chance(0.6) ? 0.05 : 0, random_.chance(0.6) ? 0.1 : 0, 0});
    }
}

// --- sessions that break ---

/// The next session that comes to its fault point number so-and-so breaks, on one of the shards.
void CrashRun::break_somebody() {
    const auto index = static_cast<std::uint16_t>(random_.below(server_->shard_count()));
    auto& faults = server_->faults(index);
    faults.probability[ports::Fault::session_breaks] = 1.0;
    faults.spared[ports::Fault::session_breaks] = random_.below(random_.chance(0.5) ? 6 : 60);
    const auto fault = static_cast<memory::ZoneFault>(random_.below(memory::zone_fault_count));
    const bool goes_on = random_.chance(0.2);
    faults.on_strike = [this, fault, goes_on](auto, auto) {
        if (!goes_on || order_.chance(0.3)) end_of_breaking();
        memory::raise_fault(fault, "drawn");
    };
}

void CrashRun::end_of_breaking() {
    for (std::uint16_t i = 0; i < server_->shard_count(); ++i) {
        server_->faults(i).probability.erase(ports::Fault::session_breaks);
    }
}

Device* CrashRun::find(const ports::BrokenSession& session) {
    for (auto& device : devices_) {
        if (hash_bytes(device->id, session.tenant) == session.name_hash) return device.get();
    }
    return nullptr;
}

void CrashRun::on_broke(const ports::BrokenSession& session) {
    ++counts_.broken;
    Device* const device = find(session);
    if (device != nullptr && !session.connection.is_none()) device->left_ms = clock_.wall().unix_ms;
}

void CrashRun::on_buried(const ports::BrokenSession& session, bool is_whole) {
    Device* const device = find(session);
    // Nobody can say any more what its will was.
    if (device != nullptr && !is_whole && device->expiry_s == 0) device->will_owed.clear();
}

// --- a history ---

void CrashRun::run() {
    for (auto& device : devices_) {
        if (random_.chance(0.8)) connect(*device, device->may_start_clean);
    }
    run_all();
    for (auto& device : devices_) {
        for (std::size_t i = 0; i < 3; ++i) subscribe(*device);
    }
    for (int i = 0; i < options_.steps && failures_.empty(); ++i) {
        act();
        if (random_.chance(0.3)) {
            run_all();
        } else {
            run_some(random_.below(60));
        }
        if (store_.disk().has_frozen()) crash(options_.loses_power && random_.chance(0.5));
    }
    if (failures_.empty()) drain();
}

void CrashRun::act() {
    if (breaks_ && random_.chance(0.1)) break_somebody();
    const auto any = [this] { return static_cast<std::size_t>(random_.below(devices_.size())); };
    const std::size_t index = any();
    Device& device = *devices_[index];
    const std::uint64_t dice = random_.below(100);
    if (dice < 50) {
        for (std::uint64_t i = 1 + random_.below(4); i != 0; --i) publish(random_.below(3));
    } else if (dice < 68) {
        if (!device.is_open() || random_.chance(0.3)) {
            connect(device, device.may_start_clean && random_.chance(0.15));
        } else if (random_.chance(0.5)) {
            leave(device);
        }
    } else if (dice < 78) {
        random_.chance(0.75) ? subscribe(device) : unsubscribe(device);
    } else if (dice < 84) {  // slow, or not slow any more
        if (device.peer && device.is_open()) {
            device.reads = random_.chance(0.7);
            if (random_.chance(0.5)) {
                device.peer->acknowledges = false;
            } else {
                device.peer->release_acks();
            }
            device.socket->window_bytes = random_.chance(0.3) ? 300 : std::size_t{1} << 40;
        }
    } else if (dice < 90) {
        advance(Duration::milliseconds(
            static_cast<std::int64_t>(random_.below(random_.chance(0.1) ? 20'000 : 500))));
    } else if (dice < 93) {
        crash(options_.loses_power && random_.chance(0.5));
    } else if (dice < 95) {
        const std::uint64_t operations = 1 + random_.below(6);
        if (options_.fails_disk) store_.disk().freeze_after(operations);
    } else if (dice < 97) {
        trouble_the_disk();
    } else {
        store_.make_well();
        advance(Duration::milliseconds(1'500));
    }
}

// --- what the clients do ---

void CrashRun::end_session(Device& device) {
    ++device.incarnation;
    device.known.clear();
    device.received.clear();
    device.last.clear();
}

void CrashRun::connect(Device& device, bool clean) {
    if (device.is_open()) device.left_ms = clock_.wall().unix_ms;
    if (device.socket && random_.chance(0.7)) device.socket->closed_by_client = true;
    // Who has forgotten its session does not go on with it, and asks until it is told that it is
    // gone [MQTT-3.2.2-4].
    const bool is_new =
        device.peer == nullptr || device.expiry_s == 0 || clean || device.is_uncertain;
    if (is_new) {
        device.peer = std::make_unique<Peer>(device.id);
        device.peer->write = [&device](ByteView bytes) {
            if (!device.is_open()) return;
            device.socket->to_broker.insert(device.socket->to_broker.end(), bytes.begin(),
                                            bytes.end());
        };
        device.peer->complain = [this, &device](std::string_view rule) {
            fail(device.id + " complains: " + std::string{rule});
        };
        device.publishing.clear();
        end_session(device);
        device.must_be_there = false;
        device.is_uncertain = true;
    }
    device.starts_clean = is_new;
    device.is_in = false;
    device.reads = true;
    device.subscribing.clear();
    device.unsubscribing.clear();
    device.peer->acknowledges = random_.chance(0.8);
    broker::testing::ConnectOptions options;
    options.clean_start = is_new;
    options.session_expiry_s = device.expiry_s;
    options.receive_maximum = static_cast<std::uint16_t>(1 + random_.below(20));
    if (device.has_will) {
        const bool is_due = device.will_start == counts_.starts && device.will_delay_s == 0;
        if (is_due && !device.will_owed.empty()) {
            device.will_before = device.will_owed;
            device.will_before_since = device.will_since;
        }
        device.will_owed.clear();
        const std::string number = std::to_string(++device.wills);
        options.will = broker::testing::WillOptions{
            .topic = "will/" + device.id + "/" + number,
            .payload = device.id + "#" + number,
            .qos = random_.chance(0.5) ? QoS::exactly_once : QoS::at_least_once,
            .delay_s = device.will_delay_s};
    }
    device.peer->begin_connection(options);
    device.socket = std::make_shared<VirtualSocket>();
    server_->network(static_cast<std::uint16_t>(random_.below(server_->shard_count())))
        .accept(device.socket);
    device.peer->send_connect();
}

void CrashRun::leave(Device& device) {
    device.left_ms = clock_.wall().unix_ms;
    device.left_start = counts_.starts;
    const std::uint64_t dice = random_.below(3);
    if (dice == 0 && device.is_in) {
        device.peer->disconnect();
        device.will_owed.clear();
    }
    if (dice == 1) device.socket->reset_by_client = true;
    device.socket->closed_by_client = true;
    device.is_in = false;
}

void CrashRun::publish(std::size_t index) {
    Device& device = *devices_[index];
    if (!device.may_talk()) return;
    const auto& [topic, qos] =
        device.topics[static_cast<std::size_t>(random_.below(device.topics.size()))];
    Sent sent;
    sent.publisher = index;
    sent.topic = topic;
    sent.qos = qos;
    sent.number = ++numbers_;
    sent.retain = topic.starts_with("r/") && random_.chance(0.5);
    const bool clears = sent.retain && random_.chance(0.3);
    if (!clears) {
        const std::uint64_t size = random_.chance(0.1) ? random_.below(8'000) : random_.below(200);
        sent.payload =
            std::to_string(sent.number) + "|" + std::string(static_cast<std::size_t>(size), 'x');
    }
    for (std::size_t i = 0; i < devices_.size(); ++i) {
        const Device& each = *devices_[i];
        for (const auto& [filter, known] : each.known) {
            if (known.state != State::yes || qos == QoS::at_most_once || clears ||
                each.expiry_s == 0 || !mqtt::matches(filter, topic)) {
                continue;
            }
            if (!each.group.empty()) {
                sent.groups.insert(each.group);
            } else {
                sent.entitled.push_back({i, each.incarnation, filter, known.since});
            }
        }
    }
    broker::testing::PublishOptions options;
    options.qos = qos;
    options.retain = sent.retain;
    const std::uint16_t id = device.peer->publish(topic, sent.payload, options);
    if (id != 0) {
        device.publishing[id] = sent_.size();
        ++counts_.published;
    }
    if (!clears) by_payload_[sent.payload] = sent_.size();
    if (sent.retain) retained_[topic].push_back(sent_.size());
    sent_.push_back(std::move(sent));
}

void CrashRun::subscribe(Device& device) {
    if (!device.may_talk() || device.filters.empty()) return;
    const std::string& filter =
        device.filters[static_cast<std::size_t>(random_.below(device.filters.size()))];
    KnownFilter& known = device.known[filter];
    if (known.state != State::yes) known.state = State::maybe;  // the same once more is the same
    known.qos = device.qos_of.at(filter);
    broker::testing::SubscribeOptions options;
    options.qos = known.qos;
    const std::string whole =
        device.group.empty() ? filter : "$share/" + device.group + "/" + filter;
    device.subscribing[device.peer->subscribe(whole, options)] = filter;
}

void CrashRun::unsubscribe(Device& device) {
    if (!device.may_talk() || device.filters.empty() || !device.group.empty()) return;
    const std::string& filter =
        device.filters[static_cast<std::size_t>(random_.below(device.filters.size()))];
    device.known[filter].state = State::maybe;
    device.unsubscribing[device.peer->unsubscribe(filter)] = filter;
}

}  // namespace mitu::journal::testing
