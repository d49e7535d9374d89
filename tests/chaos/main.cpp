// mitu-chaos: breaks sessions under load, inside fault zones and outside, and prints what became of
// it. A shard of the real broker on a virtual network; real signals, real exceptions.

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "mitu/base/check.hpp"
#include "mitu/memory/poison.hpp"
#include "mitu/runtime/fault_signals.hpp"
#include "mitu/trace/log.hpp"
#include "tests/chaos/fleet.hpp"
#include "tests/chaos/strikes.hpp"

namespace {

using namespace mitu;
using namespace mitu::chaos;
using broker::Counters;
using broker::testing::World;
using broker::testing::WorldOptions;
using ports::Fault;

constexpr std::uint16_t shards = 3;
constexpr std::size_t pairs = 24;

// Under a sanitizer the moment may be inside of its own work.
#if defined(MITU_HAS_ASAN) || defined(MITU_HAS_TSAN)
constexpr bool has_random_instructions = false;
#else
constexpr bool has_random_instructions = true;
#endif

double us_of(
    clockid_t clock) {  // tidy-allow(clocks): how long a recovery takes is what is measured
    timespec t{};
    clock_gettime(clock, &t);
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
}
double now_us() { return us_of(CLOCK_MONOTONIC); }
double cpu_us() { return us_of(CLOCK_THREAD_CPUTIME_ID); }

/// A line of the matrix.
struct Row {
    std::string fault;
    std::string where;
    std::uint64_t injected = 0;
    std::uint64_t contained = 0;
    std::uint64_t stopped = 0;
    std::uint64_t messages_heard = 0;
    std::uint64_t losses = 0;
    bool is_pool_reusable = true;
    bool is_expected = true;
    std::vector<double> left_us{};      // from the fault until the zone was left
    std::vector<double> left_cpu_us{};  // of that the thread's own: what others took is not in it
    std::vector<double> buried_us{};  // until the end of the turn in which the session was put away
};

double quantile(std::vector<double> values, double q) {
    if (values.empty()) return 0;
    const auto at = static_cast<std::size_t>(q * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at),
                     values.end());
    return values[at];
}

std::uint64_t broken_count(World& world) {
    std::uint64_t count = 0;
    for (std::uint16_t i = 0; i < world.shard_count(); ++i) {
        for (const auto& counter : world.shard(i).counters().session_faults)
            count += counter.read();
    }
    return count;
}

// --- what the log and the signal handler see ---

volatile double struck_at_us = 0;  // of the fault that is under way; 0: none
volatile double struck_at_cpu_us = 0;
Row* watched = nullptr;
volatile std::sig_atomic_t is_armed = 0;
volatile std::uint8_t* guard = nullptr;

void watch_log() {
    trace::LogOptions options;
    options.level = trace::Level::warn;
    options.write_line = [](trace::Level, std::string_view line) {
        if (line.find("session_broke") == std::string_view::npos || struck_at_us == 0) return;
        if (watched == nullptr) return;
        watched->left_us.push_back(now_us() - struck_at_us);
        watched->left_cpu_us.push_back(cpu_us() - struck_at_cpu_us);
    };
    trace::configure_log(std::move(options));
}

void note_strike() {
    struck_at_cpu_us = cpu_us();
    struck_at_us = now_us();
}

/// Strikes if the moment is inside a zone: at whatever instruction it is.
void on_alarm(int /*signal*/) {
    if (is_armed == 0 || !memory::is_in_fault_zone()) return;
    is_armed = 0;
    note_strike();
    *guard = 1;
}

/// An alarm every so often, while it lives.
class Alarm {
public:
    explicit Alarm(long every_us) {
        struct sigaction action{};
        action.sa_handler = on_alarm;
        action.sa_flags = SA_NODEFER;  // a zone is left by a jump
        MITU_CHECK(sigaction(SIGRTMIN, &action, nullptr) == 0);
        sigevent event{};
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = SIGRTMIN;
        MITU_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0);
        itimerspec period{};
        period.it_value.tv_nsec = period.it_interval.tv_nsec = every_us * 1'000;
        MITU_CHECK(timer_settime(timer_, 0, &period, nullptr) == 0);
    }
    ~Alarm() {
        timer_delete(timer_);
        std::signal(SIGRTMIN, SIG_IGN);
    }
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;

private:
    timer_t timer_{};
};

// --- inside a zone ---

/// Talks until so many strikes have fallen, then looks at what is left.
template <class Arm>
void rounds(World& world, Row& row, std::uint64_t strikes, Arm arm) {
    Fleet fleet{world, pairs};
    watched = &row;
    std::uint64_t broken = broken_count(world);
    for (std::uint64_t idle = 0; row.injected < strikes && idle < 10'000; ++idle) {
        fleet.make_ready();
        arm();
        fleet.talk([&] {
            const std::uint64_t count = broken_count(world);
            if (count == broken) return;
            row.buried_us.push_back(now_us() - struck_at_us);
            row.contained += count - broken;
            broken = count;
            struck_at_us = 0;
            idle = 0;
        });
        world.advance(Duration::milliseconds(300));
    }
    is_armed = 0;
    watched = nullptr;
    for (std::uint16_t i = 0; i < shards; ++i) world.faults(i).probability.clear();
    fleet.leave();
    world.advance(Duration::seconds(70));
    row.messages_heard = fleet.heard_total();
    row.losses = fleet.losses().size();
    for (std::size_t i = 0; i < std::min<std::size_t>(fleet.losses().size(), 5); ++i) {
        fmt::print(stderr, "mitu-chaos: {}, {}: {}\n", row.fault, row.where, fleet.losses()[i]);
    }
    std::size_t indexed = 0;
    for (std::uint16_t i = 0; i < shards; ++i) {
        indexed += world.shard(i).indexed_subscription_count();
    }
    row.is_pool_reusable =
        world.stored_messages() == 0 && world.counted(&Counters::session_held_bytes) == 0 &&
        world.counted(&Counters::sessions) == 0 && world.counted(&Counters::clients) == 0 &&
        world.counted(&Counters::subscriptions) == 0 && indexed == 0;
    row.is_expected = row.is_pool_reusable && row.losses == 0 && row.injected == strikes &&
                      row.contained == row.injected;
}

Row strike_at_points(Striker& striker, Strike strike, std::uint64_t strikes, Prng& prng) {
    Row row{.fault = std::string{to_text(strike)}, .where = "zone, at a point"};
    World world{WorldOptions{.seed = prng.next(), .shards = shards, .draws_order = true}};
    for (std::uint16_t i = 0; i < shards; ++i) {
        world.faults(i).on_strike = [&](auto, auto) {
            for (std::uint16_t k = 0; k < shards; ++k) world.faults(k).probability.clear();
            ++row.injected;
            note_strike();
            striker.strike(strike);
        };
    }
    rounds(world, row, strikes, [&] {
        const std::uint64_t spared = prng.below(1'500);
        for (std::uint16_t i = 0; i < shards; ++i) {
            world.faults(i).spared[Fault::session_breaks] = spared;
            world.faults(i).probability[Fault::session_breaks] = 1.0;
        }
    });
    return row;
}

Row strike_at_instructions(std::uint64_t strikes, Prng& prng) {
    Row row{.fault = "guard page", .where = "zone, any instruction"};
    World world{WorldOptions{.seed = prng.next(), .shards = shards, .draws_order = true}};
    const Alarm alarm{97};
    rounds(world, row, strikes, [&] {
        if (is_armed == 0 && row.contained == row.injected) {
            ++row.injected;
            is_armed = 1;
        }
    });
    // The last alarm may not have found a zone any more.
    if (row.contained + 1 == row.injected && struck_at_us == 0) --row.injected;
    row.is_expected = row.is_pool_reusable && row.losses == 0 && row.contained == row.injected;
    return row;
}

// --- anywhere else ---

enum class Fate : std::uint8_t { stopped, survived, was_not_struck };

/// Runs body(has_struck) in a process of its own, which must not survive its strike.
template <class Body>
Fate fate_of(Body body) {
    static auto* const has_struck = static_cast<volatile int*>(
        mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    *has_struck = 0;
    std::fflush(nullptr);
    const pid_t child = fork();
    MITU_CHECK(child >= 0);
    if (child == 0) {
        const rlimit no_core{0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        std::freopen("/dev/null", "w", stderr);
        body(has_struck);
        _exit(0);
    }
    int status = 0;
    MITU_CHECK(waitpid(child, &status, 0) == child);
    if (*has_struck == 0) return Fate::was_not_struck;
    // A sanitizer exits with a status of its own.
    const bool is_stopped = WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) != 0);
    return is_stopped ? Fate::stopped : Fate::survived;
}

/// What the processes do that are to be struck.
void talk_a_while(World& world) {
    Fleet fleet{world, 6};
    for (int i = 0; i < 30; ++i) {
        fleet.make_ready();
        fleet.talk([] {});
    }
}

void add(Row& row, Fate fate) {
    if (fate == Fate::was_not_struck) return;
    ++row.injected;
    row.stopped += fate == Fate::stopped ? 1 : 0;
}

Row strike_outside(Striker& striker, Strike strike, std::uint64_t strikes, Prng& prng) {
    Row row{.fault = std::string{to_text(strike)}, .where = "outside, at a point"};
    constexpr std::array points{Fault::lane_full, Fault::mail_late, Fault::write_short,
                                Fault::message_store_full};
    for (std::uint64_t tries = 0; row.injected < strikes && tries < 10 * strikes; ++tries) {
        const std::uint64_t seed = prng.next();
        const Fault point = points[prng.below(points.size())];
        const std::uint64_t spared = prng.below(200);
        const Fate fate = fate_of([&](volatile int* has_struck) {
            World world{WorldOptions{.seed = seed, .shards = shards, .draws_order = true}};
            for (std::uint16_t i = 0; i < shards; ++i) {
                world.faults(i).spared[point] = spared;
                world.faults(i).probability[point] = 1.0;
                world.faults(i).on_fire = [&](Fault) {
                    MITU_CHECK(!memory::is_in_fault_zone());
                    *has_struck = 1;
                    striker.strike(strike);
                };
            }
            talk_a_while(world);
        });
        add(row, fate);
    }
    row.is_expected = row.stopped == strikes;
    return row;
}

/// Inside a zone, but the fault is not the session's: a broken invariant, or a write to what others
/// share.
Row strike_shared(Striker& striker, bool is_invariant, std::uint64_t strikes, Prng& prng) {
    Row row{.fault = is_invariant ? "broken invariant" : "guard page",
            .where = is_invariant ? "zone, at a point" : "zone, paused"};
    for (std::uint64_t tries = 0; row.injected < strikes && tries < 10 * strikes; ++tries) {
        const std::uint64_t seed = prng.next();
        const std::uint64_t spared = prng.below(300);
        const Fate fate = fate_of([&](volatile int* has_struck) {
            World world{WorldOptions{.seed = seed, .shards = shards, .draws_order = true}};
            for (std::uint16_t i = 0; i < shards; ++i) {
                world.faults(i).spared[Fault::session_breaks] = spared;
                world.faults(i).probability[Fault::session_breaks] = 1.0;
                world.faults(i).on_strike = [&](auto, auto) {
                    *has_struck = 1;
                    MITU_CHECK(!is_invariant);
                    const memory::ZonePause pause;
                    striker.strike(Strike::guard_page);
                };
            }
            talk_a_while(world);
        });
        add(row, fate);
    }
    row.is_expected = row.stopped == strikes;
    return row;
}

// --- what is printed ---

void print(const std::vector<Row>& rows) {
    constexpr const char* line =
        "{:<17} {:<22} {:>8} {:>9} {:>7} {:>6}  {:<8} {:>15} {:>9} {:>15}{}\n";
    fmt::print(fmt::runtime(line), "fault", "where", "injected", "contained", "stopped", "losses",
               "pool", "zone left, us", "CPU, us", "put away, us", "");
    fmt::print(fmt::runtime(line), "", "", "", "", "", "", "", "p50 / p99", "p99", "p50 / p99", "");
    for (const Row& row : rows) {
        const bool has_times = !row.left_us.empty();
        const auto times = [&](const std::vector<double>& us) {
            return has_times ? fmt::format("{:.1f} / {:.1f}", quantile(us, 0.5), quantile(us, 0.99))
                             : std::string{"-"};
        };
        fmt::print(fmt::runtime(line), row.fault, row.where, row.injected, row.contained,
                   row.stopped, row.losses,
                   row.stopped != 0       ? "-"
                   : row.is_pool_reusable ? "reusable"
                                          : "LEAKS",
                   times(row.left_us),
                   has_times ? fmt::format("{:.1f}", quantile(row.left_cpu_us, 0.99)) : "-",
                   times(row.buried_us), row.is_expected ? "" : "  UNEXPECTED");
    }
}

nlohmann::json to_json(const Row& row) {
    return {{"fault", row.fault},
            {"where", row.where},
            {"injected", row.injected},
            {"contained", row.contained},
            {"stopped", row.stopped},
            {"messages_heard", row.messages_heard},
            {"losses", row.losses},
            {"pool_reusable", row.is_pool_reusable},
            {"as_expected", row.is_expected},
            {"zone_left_p50_us", quantile(row.left_us, 0.5)},
            {"zone_left_p99_us", quantile(row.left_us, 0.99)},
            {"zone_left_cpu_p99_us", quantile(row.left_cpu_us, 0.99)},
            {"put_away_p50_us", quantile(row.buried_us, 0.5)},
            {"put_away_p99_us", quantile(row.buried_us, 0.99)}};
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t inside = 300;
    std::uint64_t outside = 30;
    std::uint64_t seed = 1;
    bool as_json = false;
    CLI::App app{"mitu-chaos: breaks sessions under load, and prints what became of it"};
    app.add_option("--inside", inside, "strikes of each kind inside fault zones (300)");
    app.add_option("--outside", outside, "of each kind outside, each in a process of its own (30)");
    app.add_option("--seed", seed, "what is drawn (1)");
    app.add_flag("--json", as_json, "one object, for programs");
    CLI11_PARSE(app, argc, argv);

    runtime::install_fault_signals();
    const runtime::FaultStack stack;
    watch_log();
    Striker striker;
    guard = striker.guard();
    Prng prng{seed};
    std::vector<Row> rows;
    const auto say = [&] {
        const Row& row = rows.back();
        fmt::print(stderr, "mitu-chaos: {}, {}: {} of {} {}\n", row.fault, row.where,
                   row.contained + row.stopped, row.injected,
                   row.stopped != 0 ? "stopped" : "contained");
    };
    for (std::size_t i = 0; i < strike_count; ++i) {
        rows.push_back(strike_at_points(striker, static_cast<Strike>(i), inside, prng));
        say();
    }
    if (has_random_instructions) {
        rows.push_back(strike_at_instructions(inside, prng));
        say();
    }
    for (std::size_t i = 0; i < strike_count; ++i) {
        rows.push_back(strike_outside(striker, static_cast<Strike>(i), outside, prng));
        say();
    }
    for (const bool is_invariant : {true, false}) {
        rows.push_back(strike_shared(striker, is_invariant, outside, prng));
        say();
    }
    if (as_json) {
        nlohmann::json all = nlohmann::json::array();
        for (const Row& row : rows) all.push_back(to_json(row));
        fmt::print("{}\n", nlohmann::json{{"seed", seed}, {"rows", all}}.dump());
    } else {
        print(rows);
    }
    const bool is_well =
        std::all_of(rows.begin(), rows.end(), [](const Row& row) { return row.is_expected; });
    return is_well ? 0 : 1;
}
