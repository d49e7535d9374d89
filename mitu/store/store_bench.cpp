// What the store costs on this machine's disk. MITU_STORE_BENCH_DIR says where;
// MITU_STORE_BENCH_MESSAGES how many are stored, beside a million, before one session resumes (10
// million for the numbers in the documents: some minutes, and some 3 GB of disk).

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "mitu/base/random.hpp"
#include "mitu/store/committer.hpp"
#include "mitu/store/housekeeping.hpp"
#include "mitu/store/reader.hpp"
#include "mitu/store/rocks_engine.hpp"

namespace {

using namespace mitu;
using namespace mitu::store;

std::string from_environment(const char* name, const std::string& otherwise) {
    const char* const value = std::getenv(name);  // tidy-allow(environment): where and how much
    return value != nullptr ? value : otherwise;
}

class Place {
public:
    Place() {
        std::filesystem::remove_all(directory_);
        DiskOptions options;
        options.directory = directory_;
        OpenReport report;
        auto opened = RocksEngine::open(options, report);
        if (opened) engine_ = std::move(*opened);
    }
    ~Place() {
        engine_.reset();
        std::filesystem::remove_all(directory_);
    }
    RocksEngine& engine() { return *engine_; }
    std::uint64_t bytes() const {
        std::uint64_t bytes = 0;
        for (const auto& each : std::filesystem::recursive_directory_iterator(directory_)) {
            if (each.is_regular_file()) bytes += each.file_size();
        }
        return bytes;
    }

    static std::string parent() {
        return from_environment("MITU_STORE_BENCH_DIR", std::filesystem::temp_directory_path());
    }

private:
    std::string directory_ = parent() + "/mitu-store-bench";
    std::unique_ptr<RocksEngine> engine_;
};

QueueEntry entry_of(ByteView payload) {
    QueueEntry entry{.qos = 1};
    entry.body.topic = "fleet/site-north/device-000001/command";
    entry.body.payload = payload;
    return entry;
}

/// Another one each time, so that no compression makes it smaller than it is.
void fill(Bytes& payload, Prng& random) {
    for (std::uint8_t& byte : payload) byte = static_cast<std::uint8_t>(random.next());
}

/// Queues of many sessions: as many messages in queues of 100 as in queues of 1,000, in turns, so
/// that one of either kind lies between others wherever it is.
class Queues {
public:
    static constexpr std::uint64_t sizes[]{100, 1'000};
    static constexpr std::uint64_t round = 10 * sizes[0] + sizes[1];  // messages
    static constexpr std::uint64_t sessions_of_round = 11;            // the last is the longer one

    explicit Queues(std::uint64_t messages) : rounds_{messages / round} {
        Bytes payload(100);
        Prng random{1};
        Batch batch;
        for (std::uint64_t session = 0; session < rounds_ * sessions_of_round; ++session) {
            for (Position i = 0; i < size_of(session); ++i) {
                fill(payload, random);
                batch.enqueue(SessionId{session + 1}, i, entry_of(payload));
            }
            if (batch.size_bytes() < 1'000'000) continue;
            (void)place_.engine().write(batch.bytes(), false);
            batch.clear();
        }
        (void)place_.engine().write(batch.bytes(), true);
        (void)place_.engine().compact();
    }

    std::uint64_t messages() const noexcept { return rounds_ * round; }
    std::uint64_t bytes() const { return place_.bytes(); }
    Place& place() noexcept { return place_; }
    /// Some session with so many messages, another one each time.
    SessionId another(std::uint64_t messages) noexcept {
        turn_ = (turn_ + 48'271) % rounds_;
        const std::uint64_t last = sessions_of_round - 1;
        return SessionId{turn_ * sessions_of_round + (messages == sizes[1] ? last : turn_ % last) +
                         1};
    }

private:
    static std::uint64_t size_of(std::uint64_t session) noexcept {
        return sizes[session % sessions_of_round == sessions_of_round - 1 ? 1 : 0];
    }

    std::uint64_t rounds_;
    std::uint64_t turn_ = 0;
    Place place_;
};

/// One session comes back and reads its queue, of so many messages, beside all the others'.
void resume(benchmark::State& state) {
    static std::unique_ptr<Queues> queues;  // of the last number: filling takes longer than reading
    const auto stored = static_cast<std::uint64_t>(state.range(0));
    const auto matching = static_cast<std::uint64_t>(state.range(1));
    if (!queues || queues->messages() / Queues::round != stored / Queues::round) {
        queues.reset();
        constexpr std::uint64_t bytes_of_message_max = 1'000;  // with what a compaction takes
        if (std::filesystem::space(Place::parent()).available < stored * bytes_of_message_max) {
            state.SkipWithError("too little space; MITU_STORE_BENCH_DIR says where");
            return;
        }
        queues = std::make_unique<Queues>(stored);
    }
    std::size_t rows = 0;
    for (auto _ : state) {
        const SessionId session = queues->another(matching);
        for (auto ranges = resumption_of(session); !ranges.empty();) {
            const Chunk chunk = read(queues->place().engine(), {.ranges = std::move(ranges)}, {});
            rows += chunk.size();
            ranges = chunk.rest;
        }
    }
    const auto iterations = static_cast<double>(state.iterations());
    state.counters["rows"] = static_cast<double>(rows) / iterations;
    state.counters["per_message"] = benchmark::Counter(
        static_cast<double>(matching),
        benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
    state.counters["bytes_on_disk"] = static_cast<double>(queues->bytes());
    if (static_cast<std::int64_t>(state.range(2)) != 0) queues.reset();
}

/// 1,000,000 messages and what MITU_STORE_BENCH_MESSAGES says; the last of all clears up.
void sizes_of_resume(benchmark::internal::Benchmark* benchmark) {
    constexpr std::int64_t always = 1'000'000;
    const std::int64_t asked_for =
        std::stoll(from_environment("MITU_STORE_BENCH_MESSAGES", std::to_string(always)));
    benchmark->ArgNames({"stored", "matching", "last"});
    for (const std::int64_t stored : {always, asked_for}) {
        benchmark->Args({stored, 100, 0});
        benchmark->Args({stored, 1'000, stored == asked_for ? 1 : 0});
        if (stored == asked_for) break;
    }
}

/// One turn of each shard, with 25 messages each, then one group.
void commit_groups(benchmark::State& state) {
    const auto durability = static_cast<Durability>(state.range(0));
    const auto shards = static_cast<std::uint16_t>(state.range(1));
    Place place;
    CommitterOptions options;
    options.shards = shards;
    Committer committer{place.engine(), options};
    const Bytes payload(100, 'x');
    Batch batch;
    std::vector<CommitReport> reports;
    Position position = 0;
    std::uint64_t messages = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (auto _ : state) {
        for (std::uint16_t shard = 0; shard < shards; ++shard) {
            for (int i = 0; i < 25; ++i) {
                batch.enqueue(SessionId{shard + 1U}, ++position, entry_of(payload));
            }
            batch.require(durability);
            (void)committer.submit(ShardId{shard}, batch);
            messages += 25;
        }
        const auto now = Instant::from_ns(
            std::chrono::nanoseconds{std::chrono::steady_clock::now() - begin}.count());
        while (committer.step(now, {}).has_more) {
        }
        for (std::uint16_t shard = 0; shard < shards; ++shard) {
            committer.poll(ShardId{shard}, reports);
        }
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(messages));
    state.counters["fsyncs_per_message"] =
        static_cast<double>(committer.counters().syncs.read()) / static_cast<double>(messages);
}

/// The disk itself: 5 KB at the end of a file, and fdatasync.
void bare_fsync(benchmark::State& state) {
    const std::string path =
        from_environment("MITU_STORE_BENCH_DIR", std::filesystem::temp_directory_path()) +
        "/mitu-store-bench-file";
    const int file = ::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    const Bytes bytes(5'000, 'x');
    for (auto _ : state) {
        if (::write(file, bytes.data(), bytes.size()) < 0 || ::fdatasync(file) != 0) {
            state.SkipWithError("the disk refuses");
            break;
        }
    }
    ::close(file);
    std::filesystem::remove(path);
}

/// Queues that fill and empty for a while: bytes on disk for each byte that lives.
void churn(benchmark::State& state) {
    Bytes payload(200);
    Prng random{1};
    double factor = 0;
    for (auto _ : state) {
        Place place;
        Batch batch;
        constexpr Position live = 50'000;
        std::uint64_t live_bytes = 0;
        for (Position i = 0; i < 10 * live; ++i) {
            const std::uint64_t before = batch.size_bytes();
            fill(payload, random);
            batch.enqueue(SessionId{1 + i % 1'000}, i, entry_of(payload));
            if (i < live) live_bytes += batch.size_bytes() - before;
            if (i >= live) batch.dequeue(SessionId{1 + (i - live) % 1'000}, i - live);
            if (batch.size_bytes() < 100'000) continue;
            (void)place.engine().write(batch.bytes(), false);
            batch.clear();
        }
        (void)place.engine().write(batch.bytes(), true);
        factor = static_cast<double>(place.bytes()) / static_cast<double>(live_bytes);
    }
    state.counters["disk_bytes_per_live_byte"] = factor;
}

BENCHMARK(resume)->Apply(sizes_of_resume)->Iterations(2'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(bare_fsync)->Unit(benchmark::kMicrosecond);
BENCHMARK(commit_groups)
    ->ArgNames({"durability", "shards"})
    ->ArgsProduct({{0, 1, 2}, {1, 2, 4}})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(churn)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
