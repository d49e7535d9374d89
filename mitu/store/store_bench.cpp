// What the store costs on this machine's disk. MITU_STORE_BENCH_DIR says where;
// MITU_STORE_BENCH_MESSAGES how many are stored before one session resumes (10 million for the
// number in the documents).

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

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

private:
    std::string directory_ =
        from_environment("MITU_STORE_BENCH_DIR", std::filesystem::temp_directory_path()) +
        "/mitu-store-bench";
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

/// One session with 100 messages, between sessions with all the others.
void resume_100_of_many(benchmark::State& state) {
    const auto messages = static_cast<std::uint64_t>(
        std::stoull(from_environment("MITU_STORE_BENCH_MESSAGES", "1000000")));
    Place place;
    Bytes payload(100);
    Prng random{1};
    Batch batch;
    constexpr std::uint64_t each = 100;
    for (std::uint64_t session = 1; session <= messages / each; ++session) {
        for (Position i = 0; i < each; ++i) {
            fill(payload, random);
            batch.enqueue(SessionId{session}, i, entry_of(payload));
        }
        if (session % 50 != 0) continue;
        (void)place.engine().write(batch.bytes(), false);
        batch.clear();
    }
    (void)place.engine().compact();
    std::uint64_t session = 1;
    std::size_t rows = 0;
    for (auto _ : state) {
        session =
            (session * 48'271) % (messages / each) + 1;  // another one each time: nothing is warm
        const Chunk chunk = read(place.engine(), {.ranges = resumption_of(SessionId{session})}, {});
        rows += chunk.size();
    }
    state.counters["stored"] = static_cast<double>(messages);
    state.counters["rows"] = static_cast<double>(rows) / static_cast<double>(state.iterations());
    state.counters["bytes_on_disk"] = static_cast<double>(place.bytes());
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

BENCHMARK(resume_100_of_many)->Iterations(2'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(bare_fsync)->Unit(benchmark::kMicrosecond);
BENCHMARK(commit_groups)
    ->ArgNames({"durability", "shards"})
    ->ArgsProduct({{0, 1, 2}, {1, 2, 4}})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(churn)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
