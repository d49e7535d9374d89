// What a match costs in a large tree, and what a filter costs in memory: run with
// --benchmark_repetitions=9 and read the medians.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <malloc.h>

#include <string>
#include <vector>

#include "mitu/base/random.hpp"
#include "mitu/broker/subscription_index.hpp"

namespace mitu::broker {
namespace {

std::size_t heap_bytes() {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

/// `count` distinct filters with one subscriber each, as a fleet makes them: one per device.
struct Index {
    explicit Index(std::uint32_t count) {
        const std::size_t before = heap_bytes();
        for (std::uint32_t i = 0; i < count; ++i) {
            Subscriber subscriber;
            subscriber.session = {i % 1'000, 1, ShardId{}};
            subscriber.qos = mqtt::QoS::at_least_once;
            index.add(tenant_default, fmt::format("fleet/d{:07}/+/cmd", i), {}, subscriber);
        }
        bytes_per_filter = static_cast<double>(heap_bytes() - before) / count;
    }
    SubscriptionIndex index;
    double bytes_per_filter = 0;
};

/// One index per size, kept for all benchmarks that ask for it.
Index& index_of(std::uint32_t count) {
    static Index small{100'000};
    if (count == 100'000) return small;
    static Index large{1'000'000};
    return large;
}

/// Topics in an order that no cache foresees.
std::vector<std::string> topics_below(std::uint32_t first, std::uint32_t count) {
    Prng prng{count};
    std::vector<std::string> topics;
    for (int i = 0; i < 65'536; ++i) {
        topics.push_back(fmt::format("fleet/d{:07}/reboot/cmd", first + prng.below(count)));
    }
    return topics;
}

void match_all(benchmark::State& state, Index& filters, const std::vector<std::string>& topics,
               std::size_t expected) {
    Matches matches;
    std::size_t next = 0;
    std::size_t found = 0;
    for (auto _ : state) {
        filters.index.match(tenant_default, topics[next++ % topics.size()], SessionRef{}, matches);
        found += matches.recipients.size();
    }
    if (found != expected * static_cast<std::size_t>(state.iterations())) {
        state.SkipWithError("a match found something else than it should");
    }
    state.counters["bytes_per_filter"] = filters.bytes_per_filter;
}

void match_hits(benchmark::State& state) {
    const auto count = static_cast<std::uint32_t>(state.range(0));
    match_all(state, index_of(count), topics_below(0, count), 1);
}
BENCHMARK(match_hits)->Arg(100'000)->Arg(1'000'000);

/// The device is unknown: one level is found, the next one is not.
void match_misses(benchmark::State& state) {
    const auto count = static_cast<std::uint32_t>(state.range(0));
    match_all(state, index_of(count), topics_below(count, count), 0);
}
BENCHMARK(match_misses)->Arg(100'000)->Arg(1'000'000);

/// The device is known, the last level is not the filter's.
void match_misses_at_the_end(benchmark::State& state) {
    const auto count = static_cast<std::uint32_t>(state.range(0));
    auto topics = topics_below(0, count);
    for (auto& topic : topics) topic += "s";
    match_all(state, index_of(count), topics, 0);
}
BENCHMARK(match_misses_at_the_end)->Arg(100'000)->Arg(1'000'000);

void add_and_remove(benchmark::State& state) {
    const auto count = static_cast<std::uint32_t>(state.range(0));
    Index& filters = index_of(count);
    Subscriber subscriber;
    subscriber.session = {7, 1, ShardId{}};
    const auto topics = topics_below(count, count);
    std::size_t next = 0;
    for (auto _ : state) {
        const std::string& filter = topics[next++ % topics.size()];
        filters.index.add(tenant_default, filter, {}, subscriber);
        filters.index.remove(tenant_default, filter, {}, subscriber.session);
    }
}
BENCHMARK(add_and_remove)->Arg(100'000)->Arg(1'000'000);

}  // namespace
}  // namespace mitu::broker
