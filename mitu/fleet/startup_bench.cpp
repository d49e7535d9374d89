// Start-up with 1,000 policy templates: embedded, and the same from a directory.
// Results: docs/decisions/0003-embedded-policies.md.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "embedded/fleet_bench_templates.hpp"
#include "mitu/base/check.hpp"
#include "mitu/fleet/files.hpp"
#include "mitu/fleet/templates.hpp"

namespace mitu::fleet {
namespace {

constexpr std::size_t template_count = 1'000;
const std::string directory = MITU_BENCH_TEMPLATES;

std::vector<SourceFile> read_embedded() {
    const EmbeddedDirectory& files = embedded::fleet_bench_templates();
    std::vector<SourceFile> result;
    result.reserve(files.file_count());
    for (std::size_t i = 0; i < files.file_count(); ++i) {
        result.push_back({std::string{files.path_at(i)}, files.data_at(i)});
    }
    MITU_CHECK(result.size() == template_count);
    return result;
}

std::vector<LoadedFile> read_directory() {
    auto files = load_template_directory(directory);
    MITU_CHECK(files && files->size() == template_count);
    return *std::move(files);
}

/// Makes the next reads come from the disk: after a reboot, or on a node that just mounted them.
void drop_cached_pages() {
    for (const auto& entry : std::filesystem::directory_iterator{directory}) {
        const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
        MITU_CHECK(file >= 0);
        ::fdatasync(file);
        MITU_CHECK(::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0);
        ::close(file);
    }
}

void load(std::span<const SourceFile> files) {
    const auto templates = load_templates(files);
    MITU_CHECK(templates && templates->policies.size() == template_count);
}

/// Every byte is touched, as parsing would.
void touch(std::string_view text) {
    unsigned sum = 0;
    for (std::size_t i = 0; i < text.size(); i += 64) sum += static_cast<unsigned char>(text[i]);
    benchmark::DoNotOptimize(sum);
}

template <class Work>
void time_cold(benchmark::State& state, Work work) {
    for ([[maybe_unused]] auto _ : state) {
        drop_cached_pages();
        const auto start = std::chrono::steady_clock::now();  // tidy-allow(clocks): it measures
        work();
        const auto end = std::chrono::steady_clock::now();  // tidy-allow(clocks): it measures
        const std::chrono::duration<double> taken = end - start;
        state.SetIterationTime(taken.count());
    }
}

void read_1000_embedded(benchmark::State& state) {
    for ([[maybe_unused]] auto _ : state) {
        for (const SourceFile& file : read_embedded()) touch(file.text);
    }
}
void read_1000_from_directory_cached(benchmark::State& state) {
    for ([[maybe_unused]] auto _ : state) {
        for (const LoadedFile& file : read_directory()) touch(file.text);
    }
}
void read_1000_from_directory_uncached(benchmark::State& state) {
    time_cold(state, [] {
        for (const LoadedFile& file : read_directory()) touch(file.text);
    });
}
void start_1000_embedded(benchmark::State& state) {
    for ([[maybe_unused]] auto _ : state) load(read_embedded());
}
void start_1000_from_directory_cached(benchmark::State& state) {
    for ([[maybe_unused]] auto _ : state) {
        const auto files = read_directory();
        load(sources(files));
    }
}
void start_1000_from_directory_uncached(benchmark::State& state) {
    time_cold(state, [] {
        const auto files = read_directory();
        load(sources(files));
    });
}
void start_with_the_compiled_in_templates(benchmark::State& state) {
    for ([[maybe_unused]] auto _ : state)
        MITU_CHECK(load_templates(embedded_templates()).has_value());
}

BENCHMARK(read_1000_embedded)->Unit(benchmark::kMillisecond);
BENCHMARK(read_1000_from_directory_cached)->Unit(benchmark::kMillisecond);
BENCHMARK(read_1000_from_directory_uncached)->Unit(benchmark::kMillisecond)->UseManualTime();
BENCHMARK(start_1000_embedded)->Unit(benchmark::kMillisecond);
BENCHMARK(start_1000_from_directory_cached)->Unit(benchmark::kMillisecond);
BENCHMARK(start_1000_from_directory_uncached)->Unit(benchmark::kMillisecond)->UseManualTime();
BENCHMARK(start_with_the_compiled_in_templates)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace mitu::fleet
