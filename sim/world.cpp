#include "sim/world.hpp"

#include <algorithm>
#include <new>
#include <stdexcept>

#include "mitu/base/check.hpp"
#include "mitu/base/hash.hpp"
#include "sim/catalog.hpp"

namespace mitu::sim {
namespace {

// No run needs as many without time passing: somebody runs in circles.
constexpr std::uint64_t steps_at_once_max = 5'000'000;

constexpr std::uint16_t timeline_turn = 0xFFFF;  // in ready_: not a shard

}  // namespace

World::World(const WorldOptions& options)
    : options_{options},
      prng_{options.seed},
      faults_{options.faults},
      strike_prng_{options.seed ^ 0x5721'C3ED},
      operator_prng_{options.seed ^ 0x0BE2'A704} {
    MITU_CHECK(options.catalog != nullptr);
    authority_.login_holds_max = options.login_holds_max;
    clock_.at = world_start;
    catalog_ = options.catalog;
    if (options_.store) make_store();
    start_server();
}

World::~World() = default;

// --- time ---

bool World::step() {
    ready_.clear();
    if (server_) {
        for (std::uint16_t i = 0; i < server_->shard_count(); ++i) {
            if (server_->has_reason(i, now())) ready_.push_back(i);
        }
    }
    if (timeline_.next() <= now()) ready_.push_back(timeline_turn);
    // The store has a thread of its own, and no less reason to run than others.
    if (store_ && server_ && (ready_.empty() || prng_.chance(0.2)) && store_->step(&prng_)) {
        ++steps_;
        watch_store();
        for (std::size_t i = 0; i < dirty_.size(); ++i) dirty_[i]->drain();
        dirty_.clear();
        return true;
    }
    if (ready_.empty()) return false;
    ++steps_;
    const std::uint16_t chosen = ready_[static_cast<std::size_t>(prng_.below(ready_.size()))];
    if (chosen == timeline_turn) {
        static_cast<void>(timeline_.run_one(now()));
    } else {
        server_->step(chosen, now());
        if (store_) watch_store();
        if (is_stopping_ && server_->finished()) lose_server(Keeping::End::in_order);
    }
    for (std::size_t i = 0; i < dirty_.size(); ++i) dirty_[i]->drain();
    dirty_.clear();
    return true;
}

void World::run_until(Instant end) {
    static_cast<void>(run_until_quiet(end, [] { return false; }));
}

bool World::run_until_quiet(Instant end, const std::function<bool()>& is_quiet) {
    for (;;) {
        for (std::uint64_t steps = 0; step(); ++steps) {
            MITU_CHECK_MSG(steps < steps_at_once_max, "the world runs in circles");
        }
        if (is_quiet()) return true;
        Instant next = timeline_.next();
        if (server_) next = std::min(next, server_->next_deadline(now()));
        if (server_ && store_) next = std::min(next, store_->next_deadline());
        if (next > end) break;
        // Nobody had a reason to run, so whatever comes next comes later.
        MITU_CHECK_MSG(next > clock_.at, "time stands still");
        clock_.at = next;
    }
    clock_.at = end;
    return false;
}

// --- the server ---

void World::start_server(std::shared_ptr<const fleet::Catalog> catalog) {
    if (server_) return;
    if (catalog) catalog_ = std::move(catalog);
    if (store_ && !open_store()) return;
    ++server_number_;
    node::GatekeeperOptions gate_options;
    gate_options.run_later = [this](std::function<void()> job) {
        const auto spread = static_cast<std::uint64_t>(options_.login_time_max.count_ns());
        const Duration time =
            Duration::nanoseconds(static_cast<std::int64_t>(prng_.below(spread + 1)));
        timeline_.at(now() + time, [this, number = server_number_, job = std::move(job)] {
            if (server_ && number == server_number_) job();
        });
        return true;
    };
    gate_options.answer = [this](broker::Admission admission) {
        put_credential(admission);
        const bool is_slow =
            server_->faults(admission.ticket.shard.value).fire(ports::Fault::admission_slow);
        const Duration delay =
            is_slow ? Duration::milliseconds(static_cast<std::int64_t>(1 + prng_.below(500)))
                    : Duration{};
        timeline_.at(now() + delay,
                     [this, number = server_number_, admission = std::move(admission)] {
                         if (!server_ || number != server_number_) return;
                         const std::uint16_t shard = admission.ticket.shard.value;
                         server_->shard(shard).on_admission(admission, now());
                         server_->network(shard).wake();
                     });
    };
    gate_ = std::make_unique<node::Gatekeeper>(
        clock_,
        node::make_registry_authentication(catalog_, options_.allow_anonymous
                                                         ? identity::AnonymousRule::always
                                                         : identity::AnonymousRule::never),
        std::move(gate_options));
    statuses_.clear();
    things_.clear();
    for (std::uint16_t i = 0; i < options_.server.shards; ++i) {
        statuses_.push_back(std::make_unique<fleet::ShardStatus>(catalog_->groups().size()));
        things_.push_back(std::make_unique<node::FleetThings>(catalog_, clock_, *statuses_.back()));
    }
    server_ = std::make_unique<broker::testing::VirtualServer>(
        options_.server, *gate_, prng_,
        [this](std::uint16_t shard) { return things_[shard].get(); });
    if (store_ && !restore_store()) return;
    ++machine_.starts;
    for (std::uint16_t i = 0; i < options_.server.shards; ++i) {
        server_->faults(i).probability = faults_;
        watch_sessions_break(i);
    }
    is_stopping_ = false;
    begin_authority();
    for (Observer* observer : observers_) observer->on_server(ServerEvent::started, now());
}

void World::watch_sessions_break(std::uint16_t shard) {
    broker::testing::DrawnFaults& faults = server_->faults(shard);
    faults.on_strike = [this](auto, auto) { strike(); };
    faults.on_broke = [this, shard](const ports::BrokenSession& session) {
        SessionBreak broken = seen(session);
        const auto* const tap = server_->network(shard).tap(session.connection);
        for (const auto& link : links_) {
            if (tap == link.get()) broken.connection = link->serial();
        }
        for (Observer* observer : observers_) observer->on_session_broke(broken);
    };
    faults.on_buried = [this](const ports::BrokenSession& session, bool is_whole) {
        for (Observer* observer : observers_) observer->on_session_buried(seen(session), is_whole);
    };
}

void World::strike() {
    const auto& kinds = options_.break_kinds;
    const memory::ZoneFault kind =
        kinds[static_cast<std::size_t>(strike_prng_.below(kinds.size()))];
    if (kind == memory::ZoneFault::no_memory) throw std::bad_alloc{};
    if (kind == memory::ZoneFault::exception) throw std::runtime_error{"drawn by the seed"};
    memory::raise_fault(kind, "drawn by the seed");
}

SessionBreak World::seen(const ports::BrokenSession& session) const {
    SessionBreak broken;
    const auto name = names_.find({session.tenant, session.name_hash});
    MITU_CHECK_MSG(name != names_.end(), "a session breaks that nobody has asked for");
    broken.key = name->second;
    broken.fault = session.fault;
    broken.at = now();
    broken.step = steps_;
    return broken;
}

void World::stop_server() {
    if (!server_ || is_stopping_) return;
    is_stopping_ = true;
    for (Observer* observer : observers_) observer->on_server(ServerEvent::stopping, now());
    server_->begin_shutdown(now());
    if (server_->finished()) lose_server(Keeping::End::in_order);
}

void World::lose_server(Keeping::End how) {
    machine_.kills += how == Keeping::End::process ? 1 : 0;
    machine_.power_losses += how == Keeping::End::power ? 1 : 0;
    keeping_.note_end(how, now());
    faults_fired_ = faults_fired();
    if (store_) {
        for (std::size_t i = 0; i < broker::drop_reason_count; ++i) {
            const auto reason = static_cast<broker::DropReason>(i);
            dropped_before_[reason] += server_->dropped(reason);
        }
        for (const auto& tenant : catalog_->tenants()) {
            if (is_short_of_memory(tenant.name)) was_short_of_memory_.insert(tenant.name);
        }
    }
    server_.reset();
    things_.clear();
    if (store_) leave_store(how);
    is_stopping_ = false;
    finish_reload();
    for (Observer* observer : observers_) observer->on_server(ServerEvent::gone, now());
    for (const auto& link : links_) link->lose_server();
}

fleet::StatusNumbers World::fleet_numbers() const {
    std::vector<const fleet::ShardStatus*> shards;
    for (const auto& status : statuses_) shards.push_back(status.get());
    fleet::StatusNumbers sum;
    for (std::size_t i = 0; i < catalog_->groups().size(); ++i) {
        const auto numbers =
            sum_group(*catalog_, fleet::GroupIndex{static_cast<std::uint32_t>(i)}, shards);
        if (catalog_->groups()[i].class_name == fleet::class_anonymous) continue;
        sum.devices += numbers.devices;
        sum.unseen += numbers.unseen;
        sum.online += numbers.online;
        sum.heartbeat_missed += numbers.heartbeat_missed;
        sum.drifted += numbers.drifted;
    }
    return sum;
}

void World::clear_faults() {
    faults_.clear();
    if (!server_) return;
    for (std::uint16_t i = 0; i < server_->shard_count(); ++i) {
        server_->faults(i).probability.clear();
        server_->network(i).wake();
    }
}

std::map<ports::Fault, std::uint64_t> World::faults_fired() const {
    auto sum = faults_fired_;
    for (std::uint16_t i = 0; server_ && i < server_->shard_count(); ++i) {
        for (const auto& [fault, times] : server_->faults(i).fired) sum[fault] += times;
    }
    return sum;
}

// --- the network ---

std::shared_ptr<Link> World::connect(std::string_view actor, LinkClient& client,
                                     const LinkConditions& conditions, Prng prng,
                                     const IpAddress& from) {
    const auto link =
        std::make_shared<Link>(*this, next_connection_++, actor, client, conditions, prng, from);
    std::erase_if(links_, [](const auto& old) { return old->is_over(); });
    links_.push_back(link);
    timeline_.at(now() + conditions.delay_min, [link] { link->arrive(); });
    return link;
}

void World::accept(std::shared_ptr<broker::testing::VirtualSocket> socket) {
    const auto door = static_cast<std::uint16_t>(prng_.below(server_->shard_count()));
    server_->network(door).accept(std::move(socket));
}

// --- what is seen ---

void World::report(std::string promise, std::string what) {
    violations_.push_back({std::move(promise), std::move(what), now()});
}

void World::note(ConnectionSerial connection, std::uint8_t what, ByteView bytes) noexcept {
    const auto mix = [this](std::uint64_t value) {
        hash_ = (hash_ ^ value) * 0x100000001B3ULL;  // FNV-1a, by words
        hash_ ^= hash_ >> 29;
    };
    mix(static_cast<std::uint64_t>(now().since_start_ns()));
    mix((std::uint64_t{connection} << 8) | what);
    for (const std::uint8_t byte : bytes) mix(byte);
}

bool World::is_short_of_memory(const std::string& tenant) const {
    if (was_short_of_memory_.contains(tenant)) return true;
    if (server_ == nullptr || server_->admission() == nullptr) return false;
    using admission::Limit;
    if (authority_.was_on_since(admission::SheddingStep::refuse_retained, Instant{})) return true;
    const auto id = catalog_->find_tenant(tenant);
    if (!id) return false;
    auto& account = server_->admission()->ledger.tenant(*id);
    return account.refused(Limit::message_bytes) + account.refused(Limit::retained_messages) +
               account.refused(Limit::retained_bytes) !=
           0;
}

bool World::is_paced(const std::string& tenant) const {
    return tenant == rate_limited_tenant || authority_.was_ever_paced(tenant);
}

void World::tell_opened(ConnectionSerial connection, std::string_view actor) {
    for (Observer* observer : observers_) observer->on_opened(connection, actor, now());
}
void World::tell_heard(ConnectionSerial connection) {
    for (Observer* observer : observers_) observer->on_heard(connection, now());
}
void World::tell_read(const Sighting& sighting) {
    if (const auto* const connect = sighting.as<mqtt::Connect>()) {
        const ClientKey key = client_key(connect->user_name.value_or(""), connect->client_id);
        if (const auto tenant = catalog_->find_tenant(key.tenant)) {
            names_[{tenant->value, hash_bytes(key.client_id, tenant->value)}] = key;
        }
    }
    for (Observer* observer : observers_) observer->on_read(sighting);
}
void World::tell_written(const Sighting& sighting) {
    for (Observer* observer : observers_) observer->on_written(sighting);
}
void World::tell_held_up(ConnectionSerial connection, bool is_held_up) {
    for (Observer* observer : observers_) observer->on_held_up(connection, is_held_up, now());
}
void World::tell_garbage(ConnectionSerial connection) {
    for (Observer* observer : observers_) observer->on_garbage_read(connection, now());
}
void World::tell_closed(ConnectionSerial connection, bool by_broker) {
    for (Observer* observer : observers_) {
        observer->on_closed(connection, by_broker, now(), steps_);
    }
}

}  // namespace mitu::sim
