#include "mitu/node/durable_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "mitu/runtime/process.hpp"
#include "mitu/store/committer.hpp"
#include "mitu/store/housekeeping.hpp"
#include "mitu/store/reader.hpp"
#include "mitu/store/rocks_engine.hpp"
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

std::string say(const store::Error& error, const std::string& directory) {
    return fmt::format("the store in {}: {}: {}", directory, store::to_text(error.kind),
                       error.detail);
}

}  // namespace

void DurableStore::Bell::ring() {
    {
        const std::lock_guard lock{mutex_};
        is_rung_ = true;
    }
    rang_.notify_one();
}

void DurableStore::Bell::wait_until(Instant deadline, Instant now) {
    std::unique_lock lock{mutex_};
    const auto is_rung = [this] { return is_rung_; };
    if (deadline.is_never()) {
        rang_.wait(lock, is_rung);
    } else if (deadline > now) {
        rang_.wait_for(lock, std::chrono::nanoseconds{(deadline - now).count_ns()}, is_rung);
    }
    is_rung_ = false;
}

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
    const Instant begun = made->clock_.now();
    store::OpenReport report;
    auto engine = store::RocksEngine::open(disk, report);
    for (const std::string& loss : report.losses) {
        log(Level::error, "store_loss", {{"directory", disk.directory}, {"text", loss}});
    }
    if (!engine) return std::unexpected(say(engine.error(), disk.directory));
    made->engine_ = *std::move(engine);
    if (const auto counted = journal::begin_generation(*made->engine_, made->terms_); !counted) {
        return std::unexpected(say(counted.error(), disk.directory));
    }
    store::CommitterOptions options;
    options.shards = shards;
    options.async_delay = config.store.async_delay;
    options.free_bytes_min = config.store.free_bytes_min;
    DurableStore* const self = made.get();
    made->committer_ = std::make_unique<store::Committer>(
        *made->engine_, options, wake_shard, [self] { self->committer_bell_.ring(); });
    made->housekeeping_ =
        std::make_unique<store::Housekeeping>(*made->engine_, *made->committer_);
    made->reader_ = std::make_unique<store::Reader>(
        *made->engine_, made->committer_.get(), store::Reader::Options{.shards = shards},
        std::move(wake_shard), [self] { self->reader_bell_.ring(); });
    for (std::uint16_t i = 0; i < shards; ++i) {
        made->journals_.push_back(std::make_unique<journal::StoreJournal>(
            ShardId{i}, made->terms_, *made->committer_, *made->reader_, made->clock_));
    }
    log(Level::info, "store_opened",
        {{"directory", disk.directory},
         {"is_new", report.is_new},
         {"start", made->terms_.generation},
         {"losses", report.losses.size()},
         {"took_ms", (made->clock_.now() - begun).count_ms()}});
    return made;
}

std::optional<std::string> DurableStore::restore(std::span<broker::Shard* const> shards) {
    const Instant begun = clock_.now();
    const auto report =
        journal::restore(*engine_, terms_, shards, clock_, {.will_grace = will_grace_});
    if (!report) return "the store: " + report.error().detail;
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
    // tidy-allow(threads): they wait for the disk
    committer_thread_ = std::thread{[this] { run_committer(); }};
    reader_thread_ = std::thread{[this] { run_reader(); }};  // tidy-allow(threads): as above
}

void DurableStore::run_committer() {
    runtime::name_thread("store-writer");
    bool is_troubled = false;
    while (!is_stopping_.load(std::memory_order_relaxed)) {
        const auto step = committer_->step(clock_.now(), clock_.wall());
        reader_bell_.ring();  // questions that waited for a batch
        const bool has_trouble = committer_->trouble().has_value();
        if (has_trouble != is_troubled) {
            log(has_trouble ? Level::error : Level::info,
                has_trouble ? "store_stopped" : "store_goes_on",
                {{"reason", has_trouble ? committer_->trouble()->detail : std::string{}}});
            is_troubled = has_trouble;
        }
        if (step.has_more) continue;
        Instant deadline = step.deadline;
        if (!has_trouble) {
            if (const auto kept = housekeeping_->step(clock_.now(), clock_.wall())) {
                if (kept->has_more) deadline = clock_.now();
                deadline = std::min(deadline, kept->deadline);
            }
        }
        committer_bell_.wait_until(deadline, clock_.now());
    }
    committer_->finish(clock_.now(), clock_.wall());
}

void DurableStore::run_reader() {
    runtime::name_thread("store-reader");
    while (!is_stopping_.load(std::memory_order_relaxed)) {
        while (reader_->step(clock_.wall())) {
        }
        reader_bell_.wait_until(Instant::never(), clock_.now());
    }
}

void DurableStore::stop() {
    is_stopping_.store(true, std::memory_order_relaxed);
    committer_bell_.ring();
    reader_bell_.ring();
    if (committer_thread_.joinable()) committer_thread_.join();
    if (reader_thread_.joinable()) reader_thread_.join();
}

DurableStore::~DurableStore() { stop(); }

}  // namespace mitu::node
