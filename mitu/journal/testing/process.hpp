#pragma once
// One process after the other over one store: real shards, the real journal, committer and reader
// over an engine in memory, all in one thread.

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"
#include "mitu/journal/restore.hpp"
#include "mitu/store/housekeeping.hpp"
#include "mitu/store/memory_engine.hpp"

namespace mitu::journal::testing {

using broker::Durability;
using broker::testing::World;
using broker::testing::WorldOptions;

/// The wall runs with the world; it goes on over restarts.
class WorldClock final : public ports::Clock {
public:
    [[nodiscard]] Instant now() const noexcept override {
        return world != nullptr ? world->now() : Instant::from_ns(1'000'000'000);
    }
    [[nodiscard]] WallTime wall() const noexcept override {
        return WallTime{base_ms + now().since_start_ns() / 1'000'000};
    }
    World* world = nullptr;
    std::int64_t base_ms = 1'700'000'000'000;
};

/// Its reads of one family fail as long as they are to.
class FragileEngine final : public store::MemoryEngine {
public:
    [[nodiscard]] std::unique_ptr<store::Rows> scan(store::Family family, ByteView from,
                                                    ByteView to) override {
        if (fails_on == family) return std::make_unique<NoRows>();
        return MemoryEngine::scan(family, from, to);
    }
    std::optional<store::Family> fails_on{};

private:
    class NoRows final : public store::Rows {
    public:
        [[nodiscard]] bool next() override { return false; }
        [[nodiscard]] ByteView key() const override { return {}; }
        [[nodiscard]] ByteView value() const override { return {}; }
        [[nodiscard]] std::optional<store::Error> error() const override {
            return store::Error{store::ErrorKind::io_failed, "the disk does not answer"};
        }
    };
};

/// One process: what it has in memory ends with it.
class Process {
public:
    Process(store::Engine& engine, WorldClock& clock, WorldOptions options, Durability durability,
            std::uint64_t bytes_in_flight_max,
            std::uint64_t group_bytes_max = store::CommitterOptions{}.group_bytes_max)
        : clock_{clock} {
        clock_.world = nullptr;
        terms_.tenants = {{"default", durability}, {"other", durability}};
        EXPECT_TRUE(begin_run(engine, terms_, 1));
        const std::uint16_t shards = options.shards;
        committer_ = std::make_unique<store::Committer>(
            engine,
            store::CommitterOptions{.shards = shards,
                                    .bytes_in_flight_max = bytes_in_flight_max,
                                    .group_bytes_max = group_bytes_max},
            [this](ShardId shard) { world_->network(shard.value).wake(); });
        reader_ = std::make_unique<store::Reader>(
            engine, committer_.get(), store::Reader::Options{.shards = shards},
            [this](ShardId shard) { world_->network(shard.value).wake(); });
        house_ = std::make_unique<store::Housekeeping>(engine, *committer_);
        for (std::uint16_t i = 0; i < shards; ++i) {
            journals_.push_back(
                std::make_unique<StoreJournal>(ShardId{i}, terms_, *committer_, *reader_, clock_));
        }
        options.journal_of = [this](std::uint16_t shard) { return journals_[shard].get(); };
        options.background = [this] { return step(); };
        world_ = std::make_unique<World>(options);
        clock_.world = world_.get();
        std::vector<broker::Shard*> all;
        for (std::uint16_t i = 0; i < shards; ++i) all.push_back(&world_->shard(i));
        const auto restored = restore(engine, terms_, all, clock_);
        EXPECT_TRUE(restored);
        if (restored) report = *restored;
        if (report.sweep) house_->sweep(*report.sweep);
    }
    ~Process() {
        clock_.base_ms += clock_.now().since_start_ns() / 1'000'000 - 1'000;
        clock_.world = nullptr;
    }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    [[nodiscard]] World& world() { return *world_; }
    /// Nothing is written from now on.
    void stop_disk() { is_disk_stopped_ = true; }
    void start_disk() { is_disk_stopped_ = false; }
    /// So many groups more are written, and then nothing.
    void stop_disk_after(std::uint64_t groups) {
        groups_max_ = committer_->counters().groups.read() + groups;
    }
    [[nodiscard]] bool has_stopped() const noexcept { return is_disk_stopped_; }
    /// What nobody needs any more is cleared away.
    void keep_house() {
        for (bool has_more = true; has_more;) {
            const auto kept = house_->step(clock_.now(), clock_.wall());
            ASSERT_TRUE(kept);
            has_more = kept->has_more;
        }
    }
    RestoreReport report;

private:
    bool step() {
        if (is_disk_stopped_) return false;
        if (committer_->counters().groups.read() >= groups_max_) {
            is_disk_stopped_ = true;
            return false;
        }
        const std::uint64_t batches = committer_->counters().batches.read();
        committer_->step(clock_.now(), clock_.wall());
        const bool has_read = reader_->step(clock_.wall());
        return has_read || committer_->counters().batches.read() != batches;
    }

    WorldClock& clock_;
    JournalTerms terms_;
    std::unique_ptr<store::Committer> committer_;
    std::unique_ptr<store::Reader> reader_;
    std::unique_ptr<store::Housekeeping> house_;
    std::vector<std::unique_ptr<StoreJournal>> journals_;
    std::unique_ptr<World> world_;
    bool is_disk_stopped_ = false;
    std::uint64_t groups_max_ = ~std::uint64_t{0};
};

class ProcessTest : public ::testing::TestWithParam<std::uint16_t> {
protected:
    /// Ends the process, if there is one, and begins another.
    World& start() {
        process.reset();
        process = std::make_unique<Process>(engine, clock, options(), durability,
                                            bytes_in_flight_max, group_bytes_max);
        return process->world();
    }
    [[nodiscard]] WorldOptions options() const {
        WorldOptions made{.seed = seed, .shards = GetParam(), .draws_order = seed != 7};
        made.limits.queue_ahead_messages = 8;
        adjust(made);
        return made;
    }
    static broker::testing::ConnectOptions lasting(bool clean_start = false) {
        broker::testing::ConnectOptions wanted;
        wanted.clean_start = clean_start;
        wanted.session_expiry_s = 3'600;
        return wanted;
    }
    [[nodiscard]] std::uint64_t rows(store::Family family) {
        std::uint64_t count = 0;
        const auto all = engine.scan(family, {}, {});
        while (all->next()) ++count;
        return count;
    }

    std::uint64_t seed = 7;  // another: the order is drawn
    std::uint64_t group_bytes_max = store::CommitterOptions{}.group_bytes_max;
    FragileEngine engine;
    std::function<void(WorldOptions&)> adjust = [](WorldOptions&) {};  // of the next processes
    WorldClock clock;
    Durability durability = Durability::sync;
    std::uint64_t bytes_in_flight_max = 8U << 20;
    std::unique_ptr<Process> process;
};

}  // namespace mitu::journal::testing
