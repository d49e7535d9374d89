#include "mitu/node/metrics.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "mitu/runtime/process.hpp"

namespace mitu::node {
namespace {

// What a scrape has at most, however many there are.
constexpr std::size_t metrics_tenants_max = 200;
constexpr std::size_t metrics_groups_max = 1'000;

using Labels = std::vector<prometheus::ClientMetric::Label>;

/// Families in the order of their first value.
class Families {
public:
    void add(const std::string& name, bool is_gauge, double value, Labels labels) {
        const auto [it, is_new] = index_.try_emplace(name, families_.size());
        if (is_new) {
            prometheus::MetricFamily family;
            family.name = name;
            family.type =
                is_gauge ? prometheus::MetricType::Gauge : prometheus::MetricType::Counter;
            families_.push_back(std::move(family));
        }
        prometheus::ClientMetric metric;
        metric.label = std::move(labels);
        metric.gauge.value = value;
        metric.counter.value = value;
        families_[it->second].metric.push_back(std::move(metric));
    }
    /// Cumulative, as Prometheus wants them; `counts` has one more than `bounds_s`.
    void add_histogram(const std::string& name, std::span<const double> bounds_s,
                       std::span<const std::uint64_t> counts, double sum_s, Labels labels) {
        const auto [it, is_new] = index_.try_emplace(name, families_.size());
        if (is_new) {
            prometheus::MetricFamily family;
            family.name = name;
            family.type = prometheus::MetricType::Histogram;
            families_.push_back(std::move(family));
        }
        prometheus::ClientMetric metric;
        metric.label = std::move(labels);
        std::uint64_t count = 0;
        for (std::size_t i = 0; i < counts.size(); ++i) {
            count += counts[i];
            const bool is_last = i >= bounds_s.size();
            metric.histogram.bucket.push_back(
                {count, is_last ? std::numeric_limits<double>::infinity() : bounds_s[i]});
        }
        metric.histogram.sample_count = count;
        metric.histogram.sample_sum = sum_s;
        families_[it->second].metric.push_back(std::move(metric));
    }
    [[nodiscard]] std::string text() const {
        return prometheus::TextSerializer{}.Serialize(families_);
    }

private:
    std::vector<prometheus::MetricFamily> families_;
    std::map<std::string, std::size_t> index_;
};

void add_network(Families& families, const runtime::NetworkCounters& n, const std::string& shard) {
    const auto add = [&](const char* name, bool is_gauge, const trace::Counter& counter) {
        families.add(name, is_gauge, static_cast<double>(counter.read()), {{"shard", shard}});
    };
    add("mitu_network_connections", true, n.connections);
    add("mitu_network_accepted_total", false, n.accepted_total);
    add("mitu_network_refused_limit_total", false, n.refused_limit_total);
    add("mitu_network_refused_no_files_total", false, n.refused_no_files_total);
    add("mitu_network_accept_pauses_total", false, n.accept_pauses_total);
    add("mitu_network_reads_total", false, n.reads_total);
    add("mitu_network_writes_total", false, n.writes_total);
    add("mitu_network_writes_blocked_total", false, n.writes_blocked_total);
}

void add_fleet(Families& families, const fleet::Catalog& catalog,
               std::span<const fleet::ShardStatus* const> status, const MetricsScope& scope) {
    std::size_t rows = 0;
    for (std::uint32_t i = 0; i < catalog.groups().size() && rows < metrics_groups_max; ++i) {
        const fleet::Group& group = catalog.groups()[i];
        if (!scope.shows(group.tenant_name)) continue;
        ++rows;
        const auto numbers = fleet::sum_group(catalog, fleet::GroupIndex{i}, status);
        const auto add = [&](const char* name, std::uint64_t value) {
            families.add(name, true, static_cast<double>(value),
                         {{"tenant", group.tenant_name},
                          {"class", group.class_name},
                          {"policy", group.policy->name}});
        };
        add("mitu_fleet_devices", numbers.devices);
        add("mitu_fleet_unseen", numbers.unseen);
        add("mitu_fleet_online", numbers.online);
        add("mitu_fleet_heartbeat_missed", numbers.heartbeat_missed);
        add("mitu_fleet_drifted", numbers.drifted);
    }
}

void add_health(Families& families, const ShardHealth& health, const std::string& shard) {
    std::vector<double> bounds_s;
    std::vector<std::uint64_t> counts;
    for (const std::uint32_t ms : DelayHistogram::bounds_ms) bounds_s.push_back(ms / 1e3);
    for (const trace::Counter& count : health.delays->counts) counts.push_back(count.read());
    const auto seconds = [](const trace::Counter& ns) {
        return static_cast<double>(ns.read()) / 1e9;
    };
    families.add_histogram("mitu_event_loop_delay_seconds", bounds_s, counts,
                           seconds(health.delays->sum_ns), {{"shard", shard}});
    families.add("mitu_event_loop_delay_last_seconds", true, seconds(health.delays->last_ns),
                 {{"shard", shard}});
    families.add("mitu_event_loop_delay_max_seconds", true, seconds(health.delays->max_ns),
                 {{"shard", shard}});
    families.add("mitu_shard_stalls_total", false, static_cast<double>(health.stalls),
                 {{"shard", shard}});
}

/// Bounds that were met. Only those that were: most pairs never are.
void add_refusals(Families& families, const broker::Counters& counters, const std::string& shard) {
    for (std::size_t l = 0; l < admission::limit_count; ++l) {
        for (std::size_t s = 0; s < admission::scope_count; ++s) {
            const std::uint64_t count = counters.refused[l][s].read();
            if (count == 0) continue;
            families.add("mitu_refused_total", false, static_cast<double>(count),
                         {{"shard", shard},
                          {"limit", std::string{to_text(static_cast<admission::Limit>(l))}},
                          {"scope", std::string{to_text(static_cast<admission::Scope>(s))}}});
        }
    }
}

struct ShownTenant {
    std::uint64_t sessions;
    std::string name;
    const admission::TenantAccount* account;
};

/// Those whose rows may be shown, the ones with most sessions first.
std::vector<ShownTenant> tenants_shown(const fleet::Catalog& catalog,
                                       const admission::Control& control,
                                       const MetricsScope& scope) {
    std::vector<ShownTenant> shown;
    control.ledger.for_each_tenant([&](TenantId id, const admission::TenantAccount& account) {
        std::string name = id.value < catalog.tenants().size() ? catalog.tenants()[id.value].name
                                                               : std::to_string(id.value);
        if (!scope.shows(name)) return;
        shown.push_back({account.used(admission::Quota::sessions), std::move(name), &account});
    });
    std::ranges::sort(shown, [](const ShownTenant& a, const ShownTenant& b) {
        return a.sessions != b.sessions ? a.sessions > b.sessions : a.name < b.name;
    });
    return shown;
}

void add_tenants(Families& families, const fleet::Catalog& catalog,
                 const admission::Control& control, const MetricsScope& scope) {
    std::vector<ShownTenant> shown = tenants_shown(catalog, control, scope);
    // A scraper's memory is bounded, however many tenants there are.
    const std::size_t rows = std::min(shown.size(), metrics_tenants_max);
    if (scope.tenants == MetricsScope::Tenants::all) {
        families.add("mitu_tenants_not_shown", true, static_cast<double>(shown.size() - rows), {});
    }
    shown.erase(shown.begin() + static_cast<std::ptrdiff_t>(rows), shown.end());
    for (const auto& [sessions, tenant, known] : shown) {
        const admission::TenantAccount& account = *known;
        for (std::size_t q = 0; q < admission::quota_count; ++q) {
            const auto quota = static_cast<admission::Quota>(q);
            families.add(
                "mitu_tenant_used", true, static_cast<double>(account.used(quota)),
                {{"tenant", tenant}, {"quota", std::string{to_text(admission::limit_of(quota))}}});
        }
        for (std::size_t l = 0; l < admission::limit_count; ++l) {
            const auto limit = static_cast<admission::Limit>(l);
            if (account.refused(limit) == 0) continue;
            families.add("mitu_tenant_refused_total", false,
                         static_cast<double>(account.refused(limit)),
                         {{"tenant", tenant}, {"limit", std::string{to_text(limit)}}});
        }
        const admission::TenantTraffic traffic = account.traffic();
        const auto total = [&](const char* name, std::uint64_t value) {
            families.add(name, false, static_cast<double>(value), {{"tenant", tenant}});
        };
        total("mitu_tenant_messages_received_total", traffic.messages_received);
        total("mitu_tenant_messages_sent_total", traffic.messages_sent);
        total("mitu_tenant_messages_dropped_total", account.messages_dropped());
        total("mitu_tenant_bytes_received_total", traffic.bytes_received);
        total("mitu_tenant_bytes_sent_total", traffic.bytes_sent);
    }
}

void add_control(Families& families, const admission::Control& control) {
    families.add("mitu_bans", true, static_cast<double>(control.bans.snapshot()->size()), {});
    families.add("mitu_memory_shedding_steps", true, static_cast<double>(control.memory.steps_on()),
                 {});
}

void add_keys(Families& families, const KeyStatus& status) {
    const auto& [method, keys] = status;
    families.add("mitu_jwt_keys", true, static_cast<double>(keys.keys), {{"method", method}});
    if (keys.age) {
        families.add("mitu_jwt_keys_age_seconds", true, keys.age->as_seconds(),
                     {{"method", method}});
    }
    for (const auto& [result, count] :
         {std::pair{"fetched", keys.fetched_total}, std::pair{"failed", keys.failed_total}}) {
        families.add("mitu_jwt_key_fetches_total", false, static_cast<double>(count),
                     {{"method", method}, {"result", result}});
    }
}

/// What sessions broke of, and what outgrew its arena.
void add_memory(Families& families, const broker::Counters& counters, std::size_t shard_index) {
    const std::string shard = std::to_string(shard_index);
    for (std::size_t f = 0; f < memory::zone_fault_count; ++f) {
        families.add(
            "mitu_session_faults_total", false,
            static_cast<double>(counters.session_faults[f].read()),
            {{"shard", shard}, {"fault", std::string{to_text(static_cast<memory::ZoneFault>(f))}}});
    }
    if (counters.escapes == nullptr) return;
    counters.escapes->for_each([&](const memory::EscapeReport::Site& site) {
        std::string_view file = site.file != nullptr ? site.file : "other";
        if (const auto folder = file.rfind("mitu/"); folder != file.npos)
            file.remove_prefix(folder);
        const std::string where =
            std::string{file} + (site.file != nullptr ? ":" + std::to_string(site.line) : "");
        families.add("mitu_escaped_bytes_total", false, static_cast<double>(site.size_bytes),
                     {{"shard", shard}, {"site", where}});
    });
}

}  // namespace

std::string metrics_text(const fleet::Catalog& catalog,
                         std::span<const broker::Counters* const> counters,
                         std::span<const runtime::NetworkCounters* const> networks,
                         std::span<const fleet::ShardStatus* const> status, Instant now,
                         const admission::Control* control, std::span<const KeyStatus> keys,
                         std::span<const ShardHealth> health, const MetricsScope& scope) {
    Families families;
    if (scope.tenants == MetricsScope::Tenants::one) {
        if (control != nullptr) add_tenants(families, catalog, *control, scope);
        add_fleet(families, catalog, status, scope);
        return families.text();
    }
    families.add("mitu_uptime_seconds", true, static_cast<double>(now.since_start_ns()) / 1e9, {});
    families.add("mitu_resident_bytes", true, static_cast<double>(runtime::resident_bytes()), {});
    for (std::size_t i = 0; i < counters.size(); ++i) {
        const std::string shard = std::to_string(i);
        broker::for_each_counter(
            *counters[i], [&](const char* name, bool is_gauge, const trace::Counter& counter) {
                families.add(std::string{"mitu_"} + name, is_gauge,
                             static_cast<double>(counter.read()), {{"shard", shard}});
            });
        for (std::size_t r = 0; r < broker::drop_reason_count; ++r) {
            families.add("mitu_messages_dropped_total", false,
                         static_cast<double>(counters[i]->dropped[r].read()),
                         {{"shard", shard},
                          {"reason", std::string{to_text(static_cast<broker::DropReason>(r))}}});
        }
    }
    for (std::size_t i = 0; i < counters.size(); ++i) add_memory(families, *counters[i], i);
    for (std::size_t i = 0; i < counters.size(); ++i) {
        add_refusals(families, *counters[i], std::to_string(i));
    }
    if (control != nullptr) {
        add_tenants(families, catalog, *control, scope);
        add_control(families, *control);
    }
    for (std::size_t i = 0; i < networks.size(); ++i) {
        add_network(families, *networks[i], std::to_string(i));
    }
    for (std::size_t i = 0; i < health.size(); ++i) {
        add_health(families, health[i], std::to_string(i));
    }
    add_fleet(families, catalog, status, scope);
    for (const KeyStatus& one : keys) add_keys(families, one);
    return families.text();
}

}  // namespace mitu::node
