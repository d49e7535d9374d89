#include "mitu/broker/testing/world.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "mitu/broker/placement.hpp"
#include "mitu/broker/testing/client.hpp"

namespace mitu::broker::testing {
namespace {

// No test needs as many without time passing: somebody runs in circles.
constexpr std::uint64_t steps_max = 20'000'000;

}  // namespace

// --- the gate ---

std::shared_ptr<const Profile> ScriptedGate::profile_of(std::string_view client_id) const {
    const auto it = profiles.find(client_id);
    return it == profiles.end() ? open_ : it->second;
}

Result<Claim, Refusal> ScriptedGate::claim(const Login& login) {
    if (const auto it = refused.find(login.client_id); it != refused.end()) {
        return std::unexpected(it->second);
    }
    Claim claim;
    if (const auto it = tenants.find(login.user_name.value_or("")); it != tenants.end()) {
        claim.tenant = it->second;
    }
    claim.client_id = login.client_id;
    if (!is_late) claim.admitted = profile_of(login.client_id);
    return claim;
}

void ScriptedGate::prove(const AdmissionTicket& ticket, const Login& login) {
    waiting.push_back({ticket, std::string{login.client_id}});
}

// --- the world ---

World::World(const WorldOptions& options)
    : options_{options}, prng_{options.seed}, mailroom_{options.shards, options.lanes} {
    for (std::uint16_t i = 0; i < options.shards; ++i) {
        auto host = std::make_unique<Host>(
            Host{nullptr, DrawnEntropy{prng_.split()}, DrawnFaults{prng_.split()}, nullptr, {}});
        host->network = std::make_unique<VirtualNetwork>(transit_, host->faults, prng_.split(),
                                                         options_.network);
        mailroom_.connect(ShardId{i}, host->network.get());
        hosts_.push_back(std::move(host));
    }
    for (std::uint16_t i = 0; i < options.shards; ++i) {
        Host& host = *hosts_[i];
        Things* const things = options_.things.empty() ? nullptr : options_.things[i];
        host.shard = std::make_unique<Shard>(
            ShardId{i}, options_.limits,
            ShardPorts{mailroom_, *host.network, host.entropy, host.faults, gate_, things});
    }
}

World::~World() = default;

Client& World::client(std::string_view client_id) {
    clients_.push_back(std::make_unique<Client>(*this, std::string{client_id}));
    return *clients_.back();
}

Client& World::client_at(std::uint16_t shard, std::string_view prefix) {
    return client(client_id_at(shard, prefix));
}

std::string World::client_id_at(std::uint16_t shard, std::string_view prefix) {
    for (;;) {
        std::string id = fmt::format("{}{}", prefix, names_++);
        if (session_home(tenant_default, id, shard_count()) == ShardId{shard}) return id;
    }
}

std::string World::topic_at(std::uint16_t shard, std::string_view prefix) const {
    for (std::uint32_t i = 0;; ++i) {
        std::string topic = fmt::format("{}{}", prefix, i);
        if (topic_home(tenant_default, topic, shard_count()) == ShardId{shard}) return topic;
    }
}

std::uint16_t World::next_door() noexcept {
    door_ = static_cast<std::uint16_t>((door_ + 1) % hosts_.size());
    return options_.draws_order ? static_cast<std::uint16_t>(prng_.below(hosts_.size())) : door_;
}

bool World::has_reason(const Host& host) const {
    if (host.shard->finished()) return false;
    return !host.is_waiting || host.deadline <= now_ || host.network->has_work();
}

void World::step(Host& host) {
    // A turn and the decision to sleep are two steps, so that mail may come between them.
    if (!host.is_waiting) {
        host.deadline = host.shard->next_deadline();
        host.is_waiting = true;
        return;
    }
    host.network->poll(host.deadline, events_);
    host.shard->turn(now_, events_);
    host.is_waiting = false;
}

bool World::step_somebody() {
    ready_.clear();
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
        if (has_reason(*hosts_[i])) ready_.push_back(i);
    }
    for (std::size_t i = 0; i < clients_.size(); ++i) {
        if (clients_[i]->has_reason()) ready_.push_back(hosts_.size() + i);
    }
    if (ready_.empty()) return false;
    const std::uint64_t drawn =
        options_.draws_order ? prng_.below(ready_.size()) : steps_ % ready_.size();
    ++steps_;
    const std::size_t chosen = ready_[static_cast<std::size_t>(drawn)];
    if (chosen < hosts_.size()) {
        step(*hosts_[chosen]);
    } else {
        clients_[chosen - hosts_.size()]->react();
    }
    return true;
}

void World::run() {
    for (std::uint64_t steps = 0; step_somebody(); ++steps) {
        MITU_CHECK_MSG(steps < steps_max, "the world runs in circles");
    }
}

void World::run_some(std::uint64_t steps) {
    while (steps != 0 && step_somebody()) --steps;
}

void World::advance(Duration time) {
    const Instant end = now_ + time;
    for (;;) {
        run();
        Instant next = Instant::never();
        for (const auto& host : hosts_) {
            if (!host->shard->finished()) next = std::min(next, host->deadline);
        }
        if (next > end) break;
        now_ = std::max(now_, next);
    }
    now_ = end;
    run();
}

void World::answer(bool admitted, const Refusal& refusal) {
    MITU_CHECK(!gate_.waiting.empty());
    const auto waiting = gate_.waiting.front();
    gate_.waiting.pop_front();
    Admission admission;
    admission.ticket = waiting.ticket;
    admission.refusal = refusal;
    if (admitted) admission.profile = gate_.profile_of(waiting.client_id);
    Host& host = *hosts_[waiting.ticket.shard.value];
    host.shard->on_admission(admission, now_);
    host.network->wake();
    run();
}

// --- to look at ---

std::uint64_t World::dropped(DropReason reason) const {
    std::uint64_t sum = 0;
    for (const auto& host : hosts_) {
        sum += host->shard->counters().dropped[static_cast<std::size_t>(reason)].read();
    }
    return sum;
}

std::uint64_t World::dropped() const {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < drop_reason_count; ++i) sum += dropped(static_cast<DropReason>(i));
    return sum;
}

std::uint64_t World::counted(trace::Counter Counters::* counter) const {
    std::uint64_t sum = 0;
    for (const auto& host : hosts_) sum += (host->shard->counters().*counter).read();
    return sum;
}

std::uint64_t World::stored_messages() const {
    std::uint64_t sum = 0;
    for (const auto& host : hosts_) sum += host->shard->stored_message_count();
    return sum;
}

Session* World::session(std::string_view client_id, TenantId tenant) {
    const ShardId home = session_home(tenant, client_id, shard_count());
    return hosts_[home.value]->shard->sessions().find(tenant, client_id);
}

void World::begin_shutdown() {
    for (const auto& host : hosts_) {
        host->shard->begin_shutdown(now_);
        host->network->wake();
    }
}

bool World::finished() const {
    return std::all_of(hosts_.begin(), hosts_.end(),
                       [](const auto& host) { return host->shard->finished(); });
}

}  // namespace mitu::broker::testing
