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
    : options_{options},
      prng_{options.seed},
      server_{{options.shards, options.limits, options.lanes, options.network},
              gate_,
              prng_,
              [&](std::uint16_t shard) {
                  return options.things.empty() ? nullptr : options.things[shard];
              }} {}

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
    door_ = static_cast<std::uint16_t>((door_ + 1) % shard_count());
    return options_.draws_order ? static_cast<std::uint16_t>(prng_.below(shard_count())) : door_;
}

bool World::step_somebody() {
    ready_.clear();
    for (std::uint16_t i = 0; i < shard_count(); ++i) {
        if (server_.has_reason(i, now_)) ready_.push_back(i);
    }
    for (std::size_t i = 0; i < clients_.size(); ++i) {
        if (clients_[i]->has_reason()) ready_.push_back(std::size_t{shard_count()} + i);
    }
    if (ready_.empty()) return false;
    const std::uint64_t drawn =
        options_.draws_order ? prng_.below(ready_.size()) : steps_ % ready_.size();
    ++steps_;
    const std::size_t chosen = ready_[static_cast<std::size_t>(drawn)];
    if (chosen < shard_count()) {
        server_.step(static_cast<std::uint16_t>(chosen), now_);
    } else {
        clients_[chosen - shard_count()]->react();
    }
    return true;
}

void World::run() {
    for (std::uint64_t steps = 0; step_somebody(); ++steps) {
        MITU_CHECK_MSG(steps < steps_max, "the world runs in circles");
    }
}

bool World::run_some(std::uint64_t steps) {
    while (steps != 0 && step_somebody()) --steps;
    return steps == 0;
}

void World::advance(Duration time) {
    const Instant end = now_ + time;
    for (;;) {
        run();
        const Instant next = server_.next_deadline(now_);
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
    const std::uint16_t index = waiting.ticket.shard.value;
    server_.shard(index).on_admission(admission, now_);
    server_.network(index).wake();
    run();
}

}  // namespace mitu::broker::testing
