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

Admitted ScriptedGate::admitted(const Login& login) const {
    Admitted admitted;
    if (const auto it = tenants.find(login.user_name.value_or("")); it != tenants.end()) {
        admitted.tenant = it->second;
    }
    admitted.client_id = login.client_id;
    admitted.profile = profile_of(login.client_id);
    admitted.valid_until = valid_until;
    return admitted;
}

Gate::Verdict ScriptedGate::judge(const AdmissionTicket& ticket, const Login& login) {
    if (const auto it = refused.find(login.client_id); it != refused.end()) return it->second;
    if (!is_late) return admitted(login);
    waiting.push_back({ticket, admitted(login)});
    return Pending{};
}

namespace {

class Knock final : public Exchange {
public:
    Knock(ScriptedGate& gate, const Login& login) : gate_{gate}, client_id_{login.client_id} {}
    [[nodiscard]] Step step(ByteView data) override {
        Login login;
        login.client_id = client_id_;
        return gate_.knock(login, data);
    }

private:
    ScriptedGate& gate_;
    std::string client_id_;
};

}  // namespace

Result<std::unique_ptr<Exchange>, Refusal> ScriptedGate::begin(const Login& login) {
    if (!knock || login.authentication_method != "knock") return Gate::begin(login);
    return std::make_unique<Knock>(*this, login);
}

// --- the world ---

World::World(const WorldOptions& options)
    : options_{options},
      prng_{options.seed},
      server_{{options.shards,
               options.limits,
               options.lanes,
               options.network,
               options.admission,
               {},
               options.journal_of},
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
    const bool is_background_next =
        options_.background && (ready_.empty() || (options_.draws_order && prng_.chance(0.2)));
    if (is_background_next && options_.background()) return true;
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
    Admission admission{waiting.ticket, refusal};
    if (admitted) admission.outcome = waiting.admitted;
    const std::uint16_t index = waiting.ticket.shard.value;
    server_.shard(index).on_admission(std::move(admission), now_);
    server_.network(index).wake();
    run();
}

}  // namespace mitu::broker::testing
