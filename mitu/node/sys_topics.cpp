#include "mitu/node/sys_topics.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "mitu/broker/placement.hpp"
#include "mitu/node/shard_host.hpp"
#include "mitu/runtime/process.hpp"

namespace mitu::node {
namespace {

SysFigures figures_of(const admission::TenantAccount& account) {
    using admission::Quota;
    const admission::TenantTraffic traffic = account.traffic();
    SysFigures figures;
    figures.connected = account.used(Quota::connections);
    figures.sessions = account.used(Quota::sessions);
    figures.subscriptions = account.used(Quota::subscriptions);
    figures.retained = account.used(Quota::retained_messages);
    figures.expired = account.sessions_expired();
    figures.connects = traffic.connects;
    figures.packets_received = traffic.packets_received;
    figures.packets_sent = traffic.packets_sent;
    figures.publishes_received = traffic.messages_received;
    figures.publishes_sent = traffic.messages_sent;
    figures.bytes_received = traffic.bytes_received;
    figures.bytes_sent = traffic.bytes_sent;
    figures.dropped = account.messages_dropped();
    return figures;
}

}  // namespace

SysTopics::SysTopics(std::shared_ptr<const fleet::Catalog> catalog, const ports::Clock& clock,
                     std::vector<ShardHost*> hosts, admission::Control& admission,
                     std::string version)
    : catalog_{std::move(catalog)},
      clock_{clock},
      hosts_{std::move(hosts)},
      admission_{admission},
      version_{std::move(version)},
      last_{clock.now()} {
    options_.enabled = false;
}

void SysTopics::configure(const config::SysTopics& options) {
    if (options_.enabled && !options.enabled) take_back();
    options_ = options;
}

void SysTopics::tick() {
    const Instant now = clock_.now();
    const Duration elapsed = now - last_;
    if (!options_.enabled || hosts_.empty() || elapsed < options_.interval) return;
    last_ = now;
    std::map<TenantId, SysFigures> figures;
    SysFigures all;
    admission_.ledger.for_each_tenant(
        [&](TenantId tenant, const admission::TenantAccount& account) {
            all += figures[tenant] = figures_of(account);
        });
    all.server = server_figures();
    // As soon as another tenant has had a client, what the server as a whole holds is nobody's to
    // see.
    const bool is_alone = std::ranges::all_of(figures, [](const auto& one) {
        return one.first == tenant_default ||
               (one.second.connects == 0 && one.second.sessions == 0);
    });
    const std::optional<TenantId> of_server =
        is_alone ? std::optional{tenant_default} : std::nullopt;
    if (of_server) figures[*of_server].sessions = std::max<std::uint64_t>(all.sessions, 1);
    std::vector<Message> messages;
    for (const auto& [tenant, own] : figures) {
        // Nobody is there who could read it.
        if (own.sessions == 0 && !trees_.contains(tenant)) continue;
        SysTree& tree = trees_.try_emplace(tenant, version_).first->second;
        const SysFigures& shown = tenant == of_server ? all : own;
        for (SysValue& value : tree.update(shown, now, elapsed)) {
            messages.push_back({tenant, std::move(value.topic), std::move(value.payload)});
        }
    }
    send(std::move(messages));
}

SysFigures::Server SysTopics::server_figures() const {
    SysFigures::Server server;
    for (const ShardHost* host : hosts_) {
        const broker::Counters& counters = host->counters();
        server.stored_messages += counters.stored_messages.read();
        server.stored_bytes += counters.stored_bytes.read();
        server.sockets_opened += counters.connections_opened_total.read();
    }
    server.resident_bytes = runtime::resident_bytes();
    return server;
}

void SysTopics::take_back() {
    std::vector<Message> messages;
    for (const auto& [tenant, tree] : trees_) {
        for (std::string& topic : tree.topics()) messages.push_back({tenant, std::move(topic), {}});
    }
    trees_.clear();
    send(std::move(messages));
}

/// To the home of each topic, some at a time, so that no shard is held up.
void SysTopics::send(std::vector<Message> messages) {
    constexpr std::size_t at_once = 256;
    std::vector<std::vector<Message>> by_shard(hosts_.size());
    const auto post = [&](std::size_t shard) {
        auto mine = std::make_shared<std::vector<Message>>(std::move(by_shard[shard]));
        by_shard[shard].clear();
        hosts_[shard]->post([mine](broker::Shard& home, Instant now) {
            for (Message& message : *mine) {
                // QoS 0: a value that is replaced soon is not worth a place in a queue.
                home.publish({.tenant = message.tenant,
                              .topic = std::move(message.topic),
                              .payload = std::move(message.payload),
                              .qos = mqtt::QoS::at_most_once,
                              .retain = true},
                             now);
            }
        });
    };
    const auto count = static_cast<std::uint16_t>(hosts_.size());
    for (Message& message : messages) {
        const ShardId home = broker::topic_home(message.tenant, message.topic, count);
        by_shard[home.value].push_back(std::move(message));
        if (by_shard[home.value].size() == at_once) post(home.value);
    }
    for (std::size_t shard = 0; shard < by_shard.size(); ++shard) {
        if (!by_shard[shard].empty()) post(shard);
    }
}

}  // namespace mitu::node
