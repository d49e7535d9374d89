// `mitu-sim scenario`: plays scenario files, several at once.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "apps/mitu-sim/commands.hpp"
#include "apps/mitu-sim/tcp_stage.hpp"
#include "mitu/fleet/files.hpp"
#include "sim/scenario/runner.hpp"
#include "sim/scenario/virtual_stage.hpp"

namespace mitu::sim_app {
namespace {

namespace fs = std::filesystem;
using sim::scenario::Outcome;
using sim::scenario::Scenario;

constexpr std::string_view ending = ".scn";
constexpr std::size_t trace_lines_shown = 25;
constexpr std::size_t trace_lines_all = 1'000'000;

struct ScenarioOptions {
    std::vector<std::string> paths;
    std::string over = "virtual";
    std::string mitud;
    unsigned jobs = 1;
    double patience_s = 10;
    std::uint64_t seed = 1;
    std::uint64_t seeds = 1;
    bool verbose = false;
    bool json = false;
};

/// The files that `path` names: itself, or those below it, in the order of their names.
/// Errors  a sentence.
std::optional<std::string> find_files(const std::string& path, std::vector<std::string>& files) {
    std::error_code failed;
    if (!fs::is_directory(path, failed)) {
        if (fs::exists(path, failed)) {
            files.push_back(path);
            return std::nullopt;
        }
        return fmt::format("{} is not there; name a {} file or a folder of them", path, ending);
    }
    std::set<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator{path, failed}) {
        if (entry.path().extension() == ending) found.insert(entry.path().string());
    }
    if (found.empty()) return fmt::format("{} has no {} file; name another folder", path, ending);
    files.insert(files.end(), found.begin(), found.end());
    return std::nullopt;
}

/// Errors  all that is wrong, one a line.
Result<std::vector<Scenario>, std::string> load(const ScenarioOptions& options) {
    std::vector<std::string> files;
    std::string problems;
    for (const std::string& path : options.paths) {
        if (const auto problem = find_files(path, files)) problems += *problem + '\n';
    }
    std::vector<Scenario> scenarios;
    for (const std::string& file : files) {
        const auto loaded = fleet::load_file(file);
        if (!loaded) {
            problems += fleet::to_text(loaded.error()) + '\n';
            continue;
        }
        auto scenario = sim::scenario::parse_scenario(file, loaded->text);
        if (scenario) {
            scenarios.push_back(std::move(*scenario));
        } else {
            problems += fleet::to_text(scenario.error());
            if (!problems.ends_with('\n')) problems += '\n';
        }
    }
    if (!problems.empty()) return std::unexpected(problems);
    return scenarios;
}

/// Plays all scenarios on a few threads and prints what became of them, in their order.
class Performance {
public:
    Performance(const ScenarioOptions& options, const std::vector<Scenario>& scenarios)
        : options_{options}, scenarios_{scenarios}, results_(scenarios.size()) {}

    /// Returns how many failed.
    std::size_t run();

private:
    struct Result {
        std::unique_ptr<Outcome> outcome;  // null: not played yet
        std::uint64_t seed = 0;
    };

    void work();
    Result play(const Scenario& scenario) const;
    void print_ready();
    void print(const Scenario& scenario, const Result& result) const;
    [[nodiscard]] std::string repeat_command(const Scenario& scenario, std::uint64_t seed) const;

    const ScenarioOptions& options_;
    const std::vector<Scenario>& scenarios_;
    std::atomic<std::size_t> next_{0};
    std::mutex mutex_;  // of all below
    std::vector<Result> results_;
    std::size_t printed_ = 0;
};

Performance::Result Performance::play(const Scenario& scenario) const {
    Result result;
    if (options_.over == "tcp") {
        TcpStage stage{options_.mitud, Duration::from_seconds(options_.patience_s)};
        result.outcome = std::make_unique<Outcome>(sim::scenario::run_scenario(scenario, stage));
        return result;
    }
    for (std::uint64_t i = 0; i < options_.seeds; ++i) {
        result.seed = options_.seed + i;
        sim::scenario::VirtualStageOptions virtual_options;
        virtual_options.seed = result.seed;
        virtual_options.chops = result.seed % 2 == 0;
        sim::scenario::VirtualStage stage{virtual_options};
        result.outcome = std::make_unique<Outcome>(sim::scenario::run_scenario(scenario, stage));
        if (!result.outcome->passed) break;
    }
    return result;
}

void Performance::work() {
    for (;;) {
        const std::size_t index = next_.fetch_add(1);
        if (index >= scenarios_.size()) return;
        Result result = play(scenarios_[index]);
        const std::lock_guard lock{mutex_};
        results_[index] = std::move(result);
        print_ready();
    }
}

void Performance::print_ready() {
    while (printed_ < results_.size() && results_[printed_].outcome) {
        print(scenarios_[printed_], results_[printed_]);
        ++printed_;
    }
}

std::string Performance::repeat_command(const Scenario& scenario, std::uint64_t seed) const {
    std::string command = "mitu-sim scenario --verbose";
    if (options_.over == "tcp") {
        command += " --over=tcp --mitud=" + options_.mitud;
    } else if (seed != 1) {
        command += fmt::format(" --seed={}", seed);
    }
    return command + ' ' + scenario.file;
}

void Performance::print(const Scenario& scenario, const Result& result) const {
    const Outcome& outcome = *result.outcome;
    const double took_s = outcome.took.as_seconds();
    if (options_.json) {
        nlohmann::ordered_json line{{"scenario", scenario.name},
                                    {"file", scenario.file},
                                    {"over", options_.over},
                                    {"passed", outcome.passed},
                                    {"took_s", took_s}};
        if (!outcome.passed) {
            line["line"] = outcome.line;
            line["problem"] = outcome.problem;
        }
        if (options_.verbose || !outcome.passed) line["trace"] = outcome.trace;
        // A payload in it may be no UTF-8.
        fmt::print("{}\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
        std::fflush(stdout);
        return;
    }
    fmt::print("{}  {:<60} {:6.2f}s\n", outcome.passed ? "ok  " : "FAIL", scenario.name, took_s);
    if (!outcome.passed) {
        fmt::print("{}  again: {}\n",
                   sim::scenario::report(scenario, outcome,
                                         options_.verbose ? trace_lines_all : trace_lines_shown),
                   repeat_command(scenario, result.seed));
    } else if (options_.verbose) {
        for (const std::string& line : outcome.trace) fmt::print("  {}\n", line);
    }
    std::fflush(stdout);
}

std::size_t Performance::run() {
    std::vector<std::thread> threads;
    const auto jobs = std::min<std::size_t>(options_.jobs, scenarios_.size());
    threads.reserve(jobs);
    for (std::size_t i = 0; i < jobs; ++i) threads.emplace_back([this] { work(); });
    for (std::thread& thread : threads) thread.join();
    return static_cast<std::size_t>(
        std::count_if(results_.begin(), results_.end(),
                      [](const Result& result) { return !result.outcome->passed; }));
}

ExitCode run(ScenarioOptions options) {
    if (options.over == "tcp" && options.mitud.empty()) {
        // Beside this program, where a build has it.
        std::error_code failed;
        options.mitud =
            (fs::read_symlink("/proc/self/exe", failed).parent_path() / "mitud").string();
    }
    auto scenarios = load(options);
    if (!scenarios) {
        fmt::print(stderr, "{}", scenarios.error());
        return ExitCode::usage;
    }
    if (options.over == "tcp") {
        std::erase_if(*scenarios, [](const Scenario& one) { return one.needs_virtual_machine; });
    }
    const auto start = std::chrono::steady_clock::now();
    const std::size_t failed = Performance{options, *scenarios}.run();
    const double took_s =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (options.json) {
        const nlohmann::ordered_json summary{{"scenarios", scenarios->size()},
                                             {"failed", failed},
                                             {"over", options.over},
                                             {"took_s", took_s}};
        fmt::print("{}\n", summary.dump());
    } else {
        fmt::print("{} scenarios over {}: {} kept, {} broken, in {:.1f} s\n", scenarios->size(),
                   options.over, scenarios->size() - failed, failed, took_s);
    }
    return failed == 0 ? ExitCode::ok : ExitCode::failed;
}

}  // namespace

void add_scenario_command(CLI::App& app, ExitCode& exit_code) {
    auto* const command = app.add_subcommand(
        "scenario", "play scenario files in the virtual world, or against the real server");
    const auto options = std::make_shared<ScenarioOptions>();
    command->add_option("FILE", options->paths, "scenario files, or folders of *.scn")->required();
    command->add_option("--over", options->over, "virtual (no time passes) or tcp (a real mitud)")
        ->check(CLI::IsMember({"virtual", "tcp"}))
        ->capture_default_str();
    command->add_option("--mitud", options->mitud, "the server (default: beside this program)");
    command->add_option("--jobs", options->jobs, "scenarios at once; over TCP most is waiting")
        ->check(CLI::Range(1u, 64u))
        ->capture_default_str();
    command
        ->add_option("--patience", options->patience_s,
                     "seconds that a real server may take longer than promised")
        ->check(CLI::Range(0.0, 600.0))
        ->capture_default_str();
    command->add_option("--seed", options->seed, "virtual: who is next, and where streams are cut")
        ->capture_default_str();
    command->add_option("--seeds", options->seeds, "virtual: play each with so many seeds")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000}))
        ->capture_default_str();
    command->add_flag("--verbose", options->verbose, "every packet, with its time");
    command->add_flag("--json", options->json, "one object a scenario, and one in the end");
    command->footer(R"(
Examples:
  mitu-sim scenario tests/scenarios
  mitu-sim scenario --over=tcp --jobs=8 tests/scenarios
  mitu-sim scenario --verbose tests/scenarios/a_delayed_will_waits_for_its_delay.scn

The language: sim/scenario/README.md.
)");
    command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace mitu::sim_app
