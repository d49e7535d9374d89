#include "mitu/node/durable_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "mitu/ports/trial.hpp"
#include "mitu/store/rocks_engine.hpp"
#include "mitu/store/service.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::node {

using trace::Level;
using trace::log;

namespace {

broker::Durability durability_of(config::Durability durability) noexcept {
    switch (durability) {
        case config::Durability::none:
            return broker::Durability::none;
        case config::Durability::async:
            return broker::Durability::async;
        case config::Durability::sync:
            return broker::Durability::sync;
    }
    return broker::Durability::sync;
}

std::vector<journal::TenantTerms> terms_of(const config::Config& config,
                                           const fleet::Catalog& catalog) {
    std::vector<journal::TenantTerms> terms;
    for (const fleet::Tenant& tenant : catalog.tenants()) {
        const auto own = std::ranges::find(config.tenants, tenant.name, &config::Tenant::name);
        const bool has_own = own != config.tenants.end() && own->durability;
        terms.push_back(
            {tenant.name, durability_of(has_own ? *own->durability : config.store.durability)});
    }
    return terms;
}

// What a start on a full disk has: for the lists of files that it writes, and then for what ends or
// is acknowledged. At most half of what is kept free anyway, so that making it fills nothing.
constexpr std::uint64_t reserve_bytes_max = 32ULL << 20;

std::uint64_t random_number() {
    std::uint64_t number = 0;
    const std::string bytes = runtime::random_bytes(sizeof number);
    std::memcpy(&number, bytes.data(), sizeof number);
    return number;
}

std::string say(const store::Error& error, const std::string& directory) {
    return fmt::format("the store in {}: {}: {}", directory, store::to_text(error.kind),
                       error.detail);
}

}  // namespace

Result<std::unique_ptr<DurableStore>, std::string> DurableStore::open(
    const config::Config& config, const fleet::Catalog& catalog, std::uint16_t shards,
    std::function<void(ShardId)> wake_shard) {
    auto terms = terms_of(config, catalog);
    const bool anybody = std::ranges::any_of(terms, [](const journal::TenantTerms& tenant) {
        return tenant.durability != broker::Durability::none;
    });
    if (!anybody) return std::unique_ptr<DurableStore>{};

    std::unique_ptr<DurableStore> made{new DurableStore};
    made->will_grace_ = config.store.will_grace;
    made->terms_.tenants = std::move(terms);
    store::DiskOptions disk;
    disk.directory = config.node.data + "/store";
    disk.block_cache_bytes = config.store.cache_bytes;
    disk.write_buffer_bytes = config.store.write_buffer_bytes;
    disk.open_files_max = static_cast<int>(config.store.open_files_max);
    disk.reserve_bytes = std::min(reserve_bytes_max, config.store.free_bytes_min / 2);
    const Instant begun = made->clock_.now();
    store::OpenReport report;
    ports::pass_trial(ports::TrialPoint::start_before_open);
    auto engine = store::RocksEngine::open(disk, report);
    ports::pass_trial(ports::TrialPoint::start_opened);
    for (const std::string& loss : report.losses) {
        log(Level::error, "store_loss", {{"directory", disk.directory}, {"text", loss}});
    }
    if (report.used_reserve) {
        log(Level::error, "store_reserve_used",
            {{"directory", disk.directory},
             {"bytes", disk.reserve_bytes},
             {"effect", "the disk is full: what is stored is served, nothing new is kept"}});
    }
    if (!engine) return std::unexpected(say(engine.error(), disk.directory));
    made->engine_ = *std::move(engine);
    made->directory_ = disk.directory;
    const bool has_lost = !report.losses.empty();
    if (const auto counted =
            journal::begin_run(*made->engine_, made->terms_, random_number(), has_lost);
        !counted) {
        return std::unexpected(say(counted.error(), disk.directory));
    }
    made->tell_losses();
    ports::pass_trial(ports::TrialPoint::start_generation_counted);
    store::Service::Options options;
    options.committer.shards = shards;
    options.committer.async_delay = config.store.async_delay;
    options.committer.free_bytes_min = config.store.free_bytes_min;
    made->service_ = std::make_unique<store::Service>(*made->engine_, made->clock_, options,
                                                      std::move(wake_shard));
    for (std::uint16_t i = 0; i < shards; ++i) {
        made->journals_.push_back(std::make_unique<journal::StoreJournal>(
            ShardId{i}, made->terms_, made->service_->committer(), made->service_->reader(),
            made->clock_));
    }
    log(Level::info, "store_opened",
        {{"directory", disk.directory},
         {"is_new", report.is_new},
         {"start", made->terms_.generation},
         {"losses", report.losses.size()},
         {"took_ms", (made->clock_.now() - begun).count_ms()}});
    return made;
}

/// What was put aside because it could not be read.
void DurableStore::tell_losses() {
    for (const std::string& loss : engine_->take_losses()) {
        log(Level::error, "store_loss", {{"text", loss}});
    }
}

std::optional<std::string> DurableStore::restore(std::span<broker::Shard* const> shards) {
    const Instant begun = clock_.now();
    auto report = journal::restore(*engine_, terms_, shards, clock_, {.will_grace = will_grace_});
    if (!report) return "the store: " + report.error().detail;
    tell_losses();
    if (report->sweep) service_->sweep(*std::move(report->sweep));
    ports::pass_trial(ports::TrialPoint::start_restored);
    log(Level::info, "store_restored",
        {{"sessions", report->sessions},
         {"subscriptions", report->subscriptions},
         {"retained", report->retained},
         {"wills", report->wills},
         {"expired", report->expired},
         {"left", report->left},
         {"took_ms", (clock_.now() - begun).count_ms()}});
    return std::nullopt;
}

void DurableStore::start() {
    service_->start();
    ports::pass_trial(ports::TrialPoint::start_store_serves);
}

void DurableStore::stop() { service_->stop(); }

bool DurableStore::accepts_growth() const noexcept {
    return service_->committer().accepts_growth();
}

void DurableStore::watch() {
    const bool accepts = accepts_growth();
    if (accepts == accepts_) return;
    accepts_ = accepts;
    if (accepts) {
        log(Level::info, "store_goes_on", {});
    } else {
        log(Level::error, "store_full",
            {{"effect", "nothing new is kept (0x97) until there is space again"}});
    }
}

DurableStore::~DurableStore() {
    if (service_) stop();
}

}  // namespace mitu::node
