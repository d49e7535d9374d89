#include "apps/mitu-sim/isolated_run.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <system_error>

namespace mitu::sim_app {
namespace {

using nlohmann::json;

constexpr const char* same_trace = "same_seed_same_trace";

[[noreturn]] void fail(const char* what) {
    throw std::system_error{errno, std::generic_category(), what};
}

json encode_machine(const sim::RunResult& result) {
    if (!result.machine) return nullptr;
    const sim::MachineCounts& m = *result.machine;
    return {m.starts,        m.failed_starts,    m.kills, m.power_losses, m.inside_a_commit,
            m.disk_failures, m.restored_sessions};
}

std::optional<sim::MachineCounts> decode_machine(const json& list) {
    if (list.is_null()) return std::nullopt;
    return sim::MachineCounts{list[0], list[1], list[2], list[3], list[4], list[5], list[6]};
}

std::string encode(const sim::RunResult& result) {
    json violations = json::array();
    for (const auto& violation : result.violations) {
        violations.push_back({violation.promise, violation.what, violation.at.since_start_ns()});
    }
    json faults = json::array();
    for (const auto& [fault, times] : result.faults_fired) {
        faults.push_back({static_cast<int>(fault), times});
    }
    return json{{"seed", result.seed},
                {"violations", violations},
                {"hash", result.trace_hash},
                {"steps", result.steps},
                {"simulated_ns", result.simulated.count_ns()},
                {"actors", result.actors},
                {"actions", result.actions},
                {"messages", result.messages},
                {"faults", faults},
                {"reasons", result.reasons},
                {"machine", encode_machine(result)},
                {"drops", result.drops}}  // A peer's bytes may stand in a text.
               .dump(-1, ' ', false, json::error_handler_t::replace) +
           '\n';
}

sim::RunResult decode(const std::string& line) {
    const json object = json::parse(line);
    sim::RunResult result;
    result.seed = object["seed"];
    for (const auto& violation : object["violations"]) {
        result.violations.push_back(
            {violation[0], violation[1], Instant::from_ns(violation[2].get<std::int64_t>())});
    }
    result.trace_hash = object["hash"];
    result.steps = object["steps"];
    result.simulated = Duration::nanoseconds(object["simulated_ns"].get<std::int64_t>());
    result.actors = object["actors"];
    result.actions = object["actions"];
    result.messages = object["messages"];
    for (const auto& fault : object["faults"]) {
        result.faults_fired[static_cast<ports::Fault>(fault[0].get<int>())] = fault[1];
    }
    result.reasons = object["reasons"].get<std::map<std::string, std::uint64_t>>();
    result.drops = object["drops"].get<std::map<std::string, std::uint64_t>>();
    result.machine = decode_machine(object["machine"]);
    return result;
}

void write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;  // the other side is gone; it will be noticed where it reads
        text.remove_prefix(static_cast<std::size_t>(written));
    }
}

/// The last words of a child that crashed: a line or a few of what it said on stderr.
std::string last_words(int file) {
    std::string text(4'096, '\0');
    const off_t size = ::lseek(file, 0, SEEK_END);
    const off_t from = size > 4'096 ? size - 4'096 : 0;
    const ssize_t got = ::pread(file, text.data(), text.size(), from);
    text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

std::string describe_end(int status) {
    if (WIFSIGNALED(status)) {
        return fmt::format("stopped by signal {} ({})", WTERMSIG(status),
                           ::strsignal(WTERMSIG(status)));
    }
    return fmt::format("ended with exit code {}", WEXITSTATUS(status));
}

// No run takes as long, however slow the build and the machine: a world that stands still is a
// finding, not a swarm that never ends.
constexpr unsigned run_s_max = 300;

/// In a child: it ends with `parent`, whatever that one dies of.
void end_with(pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) std::_Exit(0);
}

sim::RunResult run_twice(const sim::RunOptions& options) {
    sim::RunResult first = sim::run(options);
    const sim::RunResult second = sim::run(options);
    if (first.trace_hash != second.trace_hash) {
        first.violations.push_back(
            {same_trace,
             fmt::format("{:016x} and {:016x}", first.trace_hash, second.trace_hash),
             {}});
    }
    return first;
}

}  // namespace

std::string IsolatedResult::promise() const {
    if (!crash.empty()) return "no_crash";
    return result.violations.empty() ? "" : result.violations.front().promise;
}

IsolatedResult run_isolated(const sim::RunOptions& options) {
    int answers[2];
    if (::pipe2(answers, O_CLOEXEC) != 0) fail("pipe");
    const int complaints = ::memfd_create("complaints", MFD_CLOEXEC);
    if (complaints < 0) fail("memfd_create");
    std::fflush(nullptr);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) fail("fork");
    if (pid == 0) {
        end_with(parent);
        ::alarm(run_s_max);
        ::dup2(complaints, STDERR_FILENO);
        write_all(answers[1], encode(sim::run(options)));
        std::_Exit(0);
    }
    ::close(answers[1]);
    std::string line;
    char buffer[65'536];
    for (;;) {
        const ssize_t got = ::read(answers[0], buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        line.append(buffer, static_cast<std::size_t>(got));
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    ::close(answers[0]);
    IsolatedResult isolated;
    isolated.result.seed = options.seed;
    if (line.ends_with('\n')) {
        isolated.result = decode(line);
    } else {
        isolated.crash = describe_end(status) + ": " + last_words(complaints);
    }
    ::close(complaints);
    return isolated;
}

// --- a worker ---

Worker::Worker() { start(); }
Worker::~Worker() { stop(); }

void Worker::start() {
    int orders[2];
    int answers[2];
    if (::pipe2(orders, O_CLOEXEC) != 0 || ::pipe2(answers, O_CLOEXEC) != 0) fail("pipe");
    complaints_ = ::memfd_create("complaints", MFD_CLOEXEC);
    if (complaints_ < 0) fail("memfd_create");
    std::fflush(nullptr);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) fail("fork");
    if (pid_ == 0) {
        end_with(parent);
        ::dup2(complaints_, STDERR_FILENO);
        ::close(orders[1]);
        ::close(answers[0]);
        struct {
            std::uint64_t seed;
            std::uint64_t twice;
        } order{};
        while (::read(orders[0], &order, sizeof order) == sizeof order) {
            sim::RunOptions options;
            options.seed = order.seed;
            ::alarm(run_s_max);
            write_all(answers[1],
                      encode(order.twice != 0 ? run_twice(options) : sim::run(options)));
        }
        std::_Exit(0);
    }
    ::close(orders[0]);
    ::close(answers[1]);
    orders_ = orders[1];
    answers_ = answers[0];
    input_.clear();
}

void Worker::stop() {
    if (pid_ < 0) return;
    ::close(orders_);
    ::close(answers_);
    ::close(complaints_);
    // Closing its orders is not enough: workers forked later hold the other end too.
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    is_busy_ = false;
}

void Worker::begin(std::uint64_t seed, bool twice) {
    const std::uint64_t order[2] = {seed, twice ? 1u : 0u};
    seed_ = seed;
    is_busy_ = true;
    write_all(orders_, {reinterpret_cast<const char*>(order), sizeof order});
}

std::optional<IsolatedResult> Worker::take_answer() {
    char buffer[65'536];
    const ssize_t got = ::read(answers_, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) return std::nullopt;
    IsolatedResult isolated;
    if (got > 0) {
        input_.append(buffer, static_cast<std::size_t>(got));
        if (!input_.ends_with('\n')) return std::nullopt;
        isolated.result = decode(input_);
        input_.clear();
        is_busy_ = false;
        return isolated;
    }
    // The child is gone: it crashed over this seed. Another one takes its place.
    isolated.result.seed = seed_;
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    isolated.crash = describe_end(status) + ": " + last_words(complaints_);
    ::close(orders_);
    ::close(answers_);
    ::close(complaints_);
    pid_ = -1;
    is_busy_ = false;
    start();
    return isolated;
}

}  // namespace mitu::sim_app
