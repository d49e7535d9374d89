#include "mitu/broker/testing/virtual_server.hpp"

#include <algorithm>

#include "mitu/broker/placement.hpp"

namespace mitu::broker::testing {

VirtualServer::VirtualServer(const VirtualServerOptions& options, Gate& gate, Prng& prng,
                             const ThingsOf& things_of)
    : options_{options}, mailroom_{options.shards, options.lanes} {
    if (options.admission) {
        admission_ = std::make_unique<admission::Control>(*options.admission);
        for (const auto& [tenant, limits] : options.tenants) {
            MITU_CHECK(admission_->ledger.set_tenant(tenant, limits));
        }
    }
    for (std::uint16_t i = 0; i < options.shards; ++i) {
        auto host = std::make_unique<Host>(prng);
        host->network = std::make_unique<VirtualNetwork>(transit_, host->faults, prng.split(),
                                                         options_.network);
        mailroom_.connect(ShardId{i}, host->network.get());
        hosts_.push_back(std::move(host));
    }
    for (std::uint16_t i = 0; i < options.shards; ++i) {
        Host& host = *hosts_[i];
        host.shard = std::make_unique<Shard>(
            ShardId{i}, options_.limits,
            ShardPorts{mailroom_, *host.network, host.entropy, host.faults, gate, things_of(i),
                       admission_.get(), options_.journal_of ? options_.journal_of(i) : nullptr});
    }
}

VirtualServer::~VirtualServer() = default;

bool VirtualServer::has_reason(std::uint16_t index, Instant now) const {
    const Host& host = *hosts_[index];
    if (host.shard->finished()) return false;
    if (host.stalled_until && now < *host.stalled_until) return false;
    return !host.is_waiting || host.deadline <= now || host.network->has_work();
}

void VirtualServer::step(std::uint16_t index, Instant now) {
    Host& host = *hosts_[index];
    host.stalled_until.reset();
    if (host.faults.fire(ports::Fault::shard_stalls)) {
        const auto spread = static_cast<std::uint64_t>(stall_time_max.count_ns());
        host.stalled_until =
            now + Duration::nanoseconds(1 + static_cast<std::int64_t>(host.prng.below(spread)));
        return;
    }
    // A turn and the decision to sleep are two steps, so that mail may come between them.
    if (!host.is_waiting) {
        host.deadline = host.shard->next_deadline();
        host.is_waiting = true;
        return;
    }
    host.network->poll(host.deadline, host.events);
    host.shard->turn(now, host.events);
    host.is_waiting = false;
}

Instant VirtualServer::next_deadline(Instant now) const noexcept {
    Instant next = Instant::never();
    for (const auto& host : hosts_) {
        if (host->shard->finished()) continue;
        // The reason may have gone while it stalled: a stall that is over says nothing.
        const bool is_stalled = host->stalled_until && *host->stalled_until > now;
        next = std::min(next, is_stalled ? *host->stalled_until : host->deadline);
    }
    return next;
}

void VirtualServer::begin_drain(const Shard::Drain& drain, Instant now) {
    for (const auto& host : hosts_) {
        host->shard->begin_drain(drain, now);
        host->network->wake();
    }
}

void VirtualServer::begin_shutdown(Instant now) {
    for (const auto& host : hosts_) {
        host->shard->begin_shutdown(now);
        host->network->wake();
    }
}

bool VirtualServer::finished() const {
    return std::all_of(hosts_.begin(), hosts_.end(),
                       [](const auto& host) { return host->shard->finished(); });
}

Session* VirtualServer::session(std::string_view client_id, TenantId tenant) {
    const ShardId home = session_home(tenant, client_id, shard_count());
    return hosts_[home.value]->shard->sessions().find(tenant, client_id);
}

std::uint64_t VirtualServer::dropped(DropReason reason) const {
    std::uint64_t sum = 0;
    for (const auto& host : hosts_) {
        sum += host->shard->counters().dropped[static_cast<std::size_t>(reason)].read();
    }
    return sum;
}

std::uint64_t VirtualServer::dropped() const {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < drop_reason_count; ++i) sum += dropped(static_cast<DropReason>(i));
    return sum;
}

std::uint64_t VirtualServer::counted(trace::Counter Counters::* counter) const {
    std::uint64_t sum = 0;
    for (const auto& host : hosts_) sum += (host->shard->counters().*counter).read();
    return sum;
}

std::uint64_t VirtualServer::stored_messages() const {
    std::uint64_t sum = 0;
    for (const auto& host : hosts_) sum += host->shard->stored_message_count();
    return sum;
}

}  // namespace mitu::broker::testing
