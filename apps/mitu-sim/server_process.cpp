#include "apps/mitu-sim/server_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>
#include <thread>
#include <vector>

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX wants it said

namespace mitu::sim_app {
namespace {

using Clock = std::chrono::steady_clock;

/// Sanitizers and busy machines are slow; who is quick never waits for it.
constexpr auto patience = std::chrono::seconds{30};
constexpr auto pause = std::chrono::milliseconds{2};
constexpr std::size_t log_bytes_shown = 4'000;

std::optional<std::string> write_file(const std::string& path, const std::string& text) {
    std::ofstream file{path, std::ios::binary};
    file << text;
    file.close();
    if (file) return std::nullopt;
    return fmt::format("{} cannot be written; is the disk full?", path);
}

const char* durability_name(broker::Durability durability) noexcept {
    switch (durability) {
        case broker::Durability::none:
            return "none";
        case broker::Durability::async:
            return "async";
        case broker::Durability::sync:
            return "sync";
    }
    return "none";
}

std::string error_text() { return std::generic_category().message(errno); }

std::string read_file(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

}  // namespace

ServerProcess::~ServerProcess() {
    kill();
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

std::string ServerProcess::log_tail() const {
    const std::string log = read_file(folder_ + "/log");
    return log.size() > log_bytes_shown ? log.substr(log.size() - log_bytes_shown) : log;
}

std::optional<std::string> ServerProcess::prepare(const sim::scenario::ServerOptions& options) {
    if (folder_.empty()) {
        std::string name = (std::filesystem::temp_directory_path() / "mitu-sim-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) {
            return fmt::format("{}: {}; set TMPDIR to a folder that can be written", name,
                               error_text());
        }
        folder_ = name;
    }
    std::error_code failed;
    std::filesystem::create_directories(folder_ + "/policies", failed);
    std::filesystem::remove(folder_ + "/ports.json", failed);
    if (!options.policies.empty()) {
        if (auto problem = write_file(folder_ + "/policies/policy.yaml", options.policies)) {
            return problem;
        }
    }
    return options.registry.empty() ? std::nullopt
                                    : write_file(folder_ + "/registry.csv", options.registry);
}

std::optional<std::string> ServerProcess::start(const sim::scenario::ServerOptions& options) {
    if (is_running()) return "the server runs already";
    if (auto problem = prepare(options)) return problem;
    std::vector<std::string> words{mitud_,
                                   "--listen",
                                   "tcp://127.0.0.1:0",
                                   "--http",
                                   "",
                                   "--data",
                                   folder_ + "/data",
                                   "--port-file",
                                   folder_ + "/ports.json",
                                   "--shards",
                                   fmt::format("{}", options.shards),
                                   "--durability",
                                   durability_name(options.durability),
                                   "--log-level",
                                   "warn",
                                   "--no-supervisor"};
    const auto add = [&](std::string option, std::string value) {
        words.push_back(std::move(option));
        words.push_back(std::move(value));
    };
    if (options.allow_anonymous) words.emplace_back("--allow-anonymous");
    if (options.packet_bytes_max != 0) {
        add("--packet-bytes-max", fmt::format("{}", options.packet_bytes_max));
    }
    if (!options.policies.empty()) add("--policies", folder_ + "/policies");
    if (!options.registry.empty()) add("--registry", folder_ + "/registry.csv");
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const std::string log_path = folder_ + "/log";
    const int log = ::open(log_path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (log < 0) return fmt::format("{}: {}", log_path, error_text());
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
        // Nothing outlives a run that is itself killed.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(127);
        ::dup2(log, 1);
        ::dup2(log, 2);
        ::execve(arguments[0], arguments.data(), environ);
        ::_exit(127);
    }
    ::close(log);
    if (pid_ < 0) {
        pid_ = 0;
        return fmt::format("no process can be started: {}", error_text());
    }
    return await_port();
}

std::optional<std::string> ServerProcess::await_port() {
    const auto deadline = Clock::now() + patience;
    for (;;) {
        const auto ports =
            nlohmann::json::parse(read_file(folder_ + "/ports.json"), nullptr, false);
        if (ports.is_object() && ports.contains("mqtt")) {
            port_ = ports["mqtt"].get<std::uint16_t>();
            return std::nullopt;
        }
        if (auto end = collect()) {
            return fmt::format("{} {}\n{}", mitud_, *end, log_tail());
        }
        if (Clock::now() > deadline) {
            kill();
            return fmt::format("{} serves nobody after {} s\n{}", mitud_, patience.count(),
                               log_tail());
        }
        std::this_thread::sleep_for(pause);
    }
}

std::optional<std::string> ServerProcess::collect() {
    int status = 0;
    const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
    if (ended == 0) return std::nullopt;
    pid_ = 0;
    if (WIFSIGNALED(status)) {
        return fmt::format("was ended by signal {} ({})", WTERMSIG(status),
                           strsignal(WTERMSIG(status)));  // NOLINT(concurrency-mt-unsafe)
    }
    const int code = WEXITSTATUS(status);
    return code == 127 ? "cannot be run; name the server with --mitud"
                       : fmt::format("ended with status {}", code);
}

std::optional<std::string> ServerProcess::stop(const std::function<void()>& meanwhile) {
    if (!is_running()) return std::nullopt;
    const pid_t pid = pid_;
    ::kill(pid, SIGTERM);
    const auto deadline = Clock::now() + patience;
    for (;;) {
        if (const auto end = collect()) {
            if (*end == "ended with status 0") return std::nullopt;
            return fmt::format("the server {}\n{}", *end, log_tail());
        }
        if (Clock::now() > deadline) {
            kill();
            return fmt::format("the server does not end within {} s of SIGTERM", patience.count());
        }
        meanwhile();
        std::this_thread::sleep_for(pause);
    }
}

void ServerProcess::kill() {
    if (!is_running()) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
}

}  // namespace mitu::sim_app
