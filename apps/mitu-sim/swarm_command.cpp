// `mitu-sim swarm`: many seeds, and what they have covered.

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/mitu-sim/commands.hpp"
#include "apps/mitu-sim/finding.hpp"
#include "apps/mitu-sim/isolated_run.hpp"

namespace mitu::sim_app {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// What the broker can say, by packet; a storm that never makes it say so leaves that untested.
constexpr const char* reasons_that_can_be[] = {
    "connack.success",
    "connack.bad_authentication_method",
    "connack.bad_user_name_or_password",
    "connack.client_identifier_not_valid",
    "connack.malformed_packet",
    "connack.not_authorized",
    "connack.packet_too_large",
    "connack.protocol_error",
    "connack.quota_exceeded",
    "connack.server_unavailable",
    "connack.unsupported_protocol_version",
    "puback.success",
    "puback.no_matching_subscribers",
    "puback.not_authorized",
    "puback.quota_exceeded",
    "pubrec.success",
    "pubrec.no_matching_subscribers",
    "pubrec.not_authorized",
    "pubrec.quota_exceeded",
    "pubcomp.success",
    "pubcomp.packet_identifier_not_found",
    "suback.success",
    "suback.granted_qos_1",
    "suback.granted_qos_2",
    "suback.not_authorized",
    "suback.quota_exceeded",
    "suback.topic_filter_invalid",
    "suback.unspecified_error",
    "unsuback.success",
    "unsuback.no_subscription_existed",
    "disconnect.administrative_action",
    "disconnect.keep_alive_timeout",
    "disconnect.malformed_packet",
    "disconnect.packet_too_large",
    "disconnect.protocol_error",
    "disconnect.receive_maximum_exceeded",
    "disconnect.server_shutting_down",
    "disconnect.session_taken_over",
    "disconnect.topic_alias_invalid",
};

struct SwarmOptions {
    std::uint64_t seeds = 1'000;
    std::uint64_t first = 1;
    unsigned jobs = 2;
    unsigned twice_every = 50;
    unsigned findings_max = 1;
    std::string expect;
    bool no_shrink = false;
    bool traces = false;
    bool json = false;
};

struct Totals {
    std::uint64_t seeds = 0;
    std::uint64_t compared = 0;
    Duration simulated;
    std::uint64_t messages = 0;
    std::uint64_t actions = 0;
    std::uint64_t steps = 0;
    std::map<ports::Fault, std::uint64_t> faults;
    std::map<std::string, std::uint64_t> reasons;
    std::map<std::string, std::uint64_t> drops;
    std::uint64_t with_store = 0;
    sim::MachineCounts machine;

    void add(const sim::RunResult& result) {
        ++seeds;
        simulated = simulated + result.simulated;
        messages += result.messages;
        actions += result.actions;
        steps += result.steps;
        for (const auto& [fault, times] : result.faults_fired) faults[fault] += times;
        for (const auto& [reason, times] : result.reasons) reasons[reason] += times;
        for (const auto& [reason, times] : result.drops) drops[reason] += times;
        if (result.machine) add(*result.machine);
    }
    void add(const sim::MachineCounts& one) {
        ++with_store;
        machine.starts += one.starts;
        machine.failed_starts += one.failed_starts;
        machine.kills += one.kills;
        machine.power_losses += one.power_losses;
        machine.inside_a_commit += one.inside_a_commit;
        machine.disk_failures += one.disk_failures;
        machine.restored_sessions += one.restored_sessions;
    }
};

class Swarm {
public:
    explicit Swarm(const SwarmOptions& options) : options_{options} {}

    ExitCode run() {
        const auto began = SteadyClock::now();
        std::vector<std::unique_ptr<Worker>> workers;
        workers.reserve(options_.jobs);
        for (unsigned i = 0; i < options_.jobs; ++i) workers.push_back(std::make_unique<Worker>());
        std::vector<pollfd> polls(workers.size());
        for (;;) {
            bool is_any_busy = false;
            for (std::size_t i = 0; i < workers.size(); ++i) {
                if (!workers[i]->is_busy() && may_go_on()) {
                    const std::uint64_t seed = options_.first + next_++;
                    const bool twice =
                        options_.twice_every != 0 && seed % options_.twice_every == 0;
                    if (twice) ++totals_.compared;
                    workers[i]->begin(seed, twice);
                }
                is_any_busy |= workers[i]->is_busy();
                polls[i] = {workers[i]->answers_fd(),
                            static_cast<short>(workers[i]->is_busy() ? POLLIN : 0), 0};
            }
            if (!is_any_busy) break;
            if (::poll(polls.data(), polls.size(), -1) < 0) continue;
            for (std::size_t i = 0; i < workers.size(); ++i) {
                if ((polls[i].revents & (POLLIN | POLLHUP)) == 0 || !workers[i]->is_busy()) {
                    continue;
                }
                if (auto answer = workers[i]->take_answer()) on_result(std::move(*answer));
            }
            elapsed_s_ = std::chrono::duration<double>(SteadyClock::now() - began).count();
            show_progress();
        }
        if (shows_progress_) fmt::print(stderr, "\r\x1b[K");
        return conclude();
    }

private:
    [[nodiscard]] bool may_go_on() const {
        return next_ < options_.seeds && findings_.size() < options_.findings_max;
    }

    void on_result(IsolatedResult isolated) {
        totals_.add(isolated.result);
        if (options_.traces) traces_[isolated.result.seed] = isolated.result.trace_hash;
        if (isolated.failed()) findings_.push_back(std::move(isolated));
    }

    void show_progress() {
        if (!shows_progress_ || elapsed_s_ < next_progress_s_) return;
        next_progress_s_ = elapsed_s_ + 0.2;
        fmt::print(stderr, "\r{} of {} seeds, {:.0f} a second, {:.1f} hours simulated  ",
                   totals_.seeds, options_.seeds, static_cast<double>(totals_.seeds) / elapsed_s_,
                   totals_.simulated.as_seconds() / 3'600);
    }

    ExitCode conclude() {
        for (const auto& [seed, hash] : traces_) fmt::print("{} {:016x}\n", seed, hash);
        if (!options_.traces) options_.json ? print_json() : print_totals();
        std::sort(findings_.begin(), findings_.end(),
                  [](const auto& a, const auto& b) { return a.result.seed < b.result.seed; });
        bool is_expected = false;
        for (const auto& finding : findings_) {
            sim::RunOptions run;
            run.seed = finding.result.seed;
            const bool is_named = !options_.expect.empty() && breaks(finding, options_.expect);
            is_expected |= is_named;
            if (!options_.json) show_finding(run, finding, !options_.no_shrink && !is_named);
        }
        if (options_.expect.empty()) return findings_.empty() ? ExitCode::ok : ExitCode::failed;
        if (!options_.json && !is_expected) {
            fmt::print("no seed broke {}, as was expected\n", options_.expect);
        }
        return is_expected ? ExitCode::ok : ExitCode::failed;
    }

    static bool breaks(const IsolatedResult& finding, const std::string& promise) {
        if (!finding.crash.empty()) return promise == "no_crash";
        return std::any_of(finding.result.violations.begin(), finding.result.violations.end(),
                           [&](const auto& violation) { return violation.promise == promise; });
    }

    void print_totals() const {
        fmt::print(
            "{} seeds, {} findings; {:.1f} s, {:.0f} seeds a second, {:.1f} hours simulated\n",
            totals_.seeds, findings_.size(), elapsed_s_,
            static_cast<double>(totals_.seeds) / elapsed_s_,
            totals_.simulated.as_seconds() / 3'600);
        fmt::print("{} actions, {} messages, {} steps; {} seeds ran twice with the same trace\n",
                   totals_.actions, totals_.messages, totals_.steps, totals_.compared);
        std::string line;
        std::size_t fired = 0;
        for (std::size_t i = 0; i < ports::fault_count; ++i) {
            const auto fault = static_cast<ports::Fault>(i);
            const auto it = totals_.faults.find(fault);
            fired += it != totals_.faults.end() ? 1 : 0;
            line += fmt::format(" {} {}", ports::to_text(fault),
                                it == totals_.faults.end() ? 0 : it->second);
        }
        fmt::print("fault points, {} of {} fired:{}\n", fired, ports::fault_count, line);
        const auto print = [](const char* what, const std::map<std::string, std::uint64_t>& all) {
            std::string text;
            for (const auto& [name, times] : all) text += fmt::format(" {} {}", name, times);
            fmt::print("{}, {}:{}\n", what, all.size(), text);
        };
        print("reason codes sent", totals_.reasons);
        std::string never;
        for (const char* reason : reasons_that_can_be) {
            if (!totals_.reasons.contains(reason)) never += fmt::format(" {}", reason);
        }
        if (!never.empty()) fmt::print("reason codes never sent:{}\n", never);
        print("drops counted", totals_.drops);
        const sim::MachineCounts& m = totals_.machine;
        fmt::print(
            "{} seeds with a store: {} starts, {} kills, {} losses of power, {} of both within a "
            "commit, {} failures of the disk, {} starts that it did not let, {} sessions that went "
            "on\n",
            totals_.with_store, m.starts, m.kills, m.power_losses, m.inside_a_commit,
            m.disk_failures, m.failed_starts, m.restored_sessions);
        std::fflush(stdout);
    }

    void print_json() const {
        nlohmann::json faults = nlohmann::json::object();
        for (std::size_t i = 0; i < ports::fault_count; ++i) {
            const auto fault = static_cast<ports::Fault>(i);
            const auto it = totals_.faults.find(fault);
            faults[std::string{ports::to_text(fault)}] =
                it == totals_.faults.end() ? 0 : it->second;
        }
        nlohmann::json findings = nlohmann::json::array();
        for (const auto& finding : findings_) {
            findings.push_back({{"seed", finding.result.seed}, {"promise", finding.promise()}});
        }
        fmt::print("{}\n", nlohmann::json{{"seeds", totals_.seeds},
                                          {"seconds", elapsed_s_},
                                          {"simulated_s", totals_.simulated.as_seconds()},
                                          {"actions", totals_.actions},
                                          {"messages", totals_.messages},
                                          {"steps", totals_.steps},
                                          {"compared", totals_.compared},
                                          {"faults", faults},
                                          {"reasons", totals_.reasons},
                                          {"drops", totals_.drops},
                                          {"machine", machine()},
                                          {"findings", findings}}
                               .dump());
    }

    [[nodiscard]] nlohmann::json machine() const {
        const sim::MachineCounts& m = totals_.machine;
        return {{"seeds", totals_.with_store},      {"starts", m.starts},
                {"failed_starts", m.failed_starts}, {"kills", m.kills},
                {"power_losses", m.power_losses},   {"inside_a_commit", m.inside_a_commit},
                {"disk_failures", m.disk_failures}, {"restored_sessions", m.restored_sessions}};
    }

    const SwarmOptions& options_;
    Totals totals_;
    std::vector<IsolatedResult> findings_;
    std::map<std::uint64_t, std::uint64_t> traces_;
    std::uint64_t next_ = 0;
    double elapsed_s_ = 0;
    double next_progress_s_ = 0;
    bool shows_progress_ = ::isatty(STDERR_FILENO) == 1;
};

}  // namespace

void add_swarm_command(CLI::App& app, ExitCode& exit_code) {
    const auto options = std::make_shared<SwarmOptions>();
    CLI::App& command =
        *app.add_subcommand("swarm", "many seeds: storm, heal, check, and what that has covered");
    command.add_option("--seeds", options->seeds, "how many (1000)");
    command.add_option("--first", options->first, "the first of them (1)");
    command.add_option("--jobs", options->jobs, "processes at once (2)")->check(CLI::Range(1, 64));
    command.add_option("--twice-every", options->twice_every,
                       "seeds divisible by this run twice, and their traces are compared (50; "
                       "0: none)");
    command.add_option("--findings", options->findings_max, "stop after so many (1)")
        ->check(CLI::PositiveNumber);
    command.add_option("--expect", options->expect,
                       "succeed only if this promise is broken (for planted bugs)");
    command.add_flag("--no-shrink", options->no_shrink, "do not look for smaller runs");
    command.add_flag("--traces", options->traces,
                     "print each seed with the hash of its trace, to compare two builds");
    command.add_flag("--json", options->json, "one object, for programs");
    command.callback([options, &exit_code] { exit_code = Swarm{*options}.run(); });
}

}  // namespace mitu::sim_app
