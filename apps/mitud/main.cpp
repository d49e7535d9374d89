// `mitud`, the server. First a supervisor, which starts itself once more as the worker: that one
// reads the configuration, starts a node, and waits for a signal.

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

#include "apps/mitud/configuration.hpp"
#include "apps/mitud/privileges.hpp"
#include "apps/mitud/trial.hpp"
#include "mitu/api/administration.hpp"
#include "mitu/node/node.hpp"
#include "mitu/node/options_from_config.hpp"
#include "mitu/runtime/account.hpp"
#include "mitu/runtime/clock.hpp"
#include "mitu/runtime/fault_signals.hpp"
#include "mitu/runtime/process.hpp"
#include "mitu/runtime/service_manager.hpp"
#include "mitu/runtime/signals.hpp"
#include "mitu/runtime/thread_trace.hpp"
#include "mitu/supervisor/supervisor.hpp"
#include "mitu/supervisor/worker_link.hpp"
#include "mitu/trace/log.hpp"

namespace {

using mitu::supervisor::exit_cannot_start;

int complain(const std::string& text) {
    std::fprintf(stderr, "mitud: %s\n", text.c_str());
    return exit_cannot_start;
}

/// What is wrong, and that nothing was started.
int refuse(const std::string& problems) {
    std::fputs(problems.c_str(), stderr);
    return complain("the configuration has errors; nothing was started");
}

/// The process beside the one that serves.
int supervise(int argc, char** argv) {
    mitu::supervisor::SupervisorOptions options;
    std::error_code failed;
    options.program = std::filesystem::read_symlink("/proc/self/exe", failed).string();
    if (failed) {
        return complain("/proc/self/exe: " + failed.message() +
                        "; mount /proc, or use --no-supervisor");
    }
    options.arguments.assign(argv + 1, argv + argc);
    options.version = MITU_VERSION;
    return mitu::supervisor::Supervisor{std::move(options)}.run();
}

/// What the world is told of this process: by way of its supervisor, or by itself.
class Announcer {
public:
    explicit Announcer(mitu::supervisor::WorkerLink* link) : link_{link} {}
    void ready(const std::string& status) const {
        link_ != nullptr ? link_->say_ready(status) : mitu::runtime::notify_ready(status);
    }
    void reloading() const {
        link_ != nullptr ? link_->say_reloading() : mitu::runtime::notify_reloading();
    }
    void stopping() const {
        link_ != nullptr ? link_->say_stopping() : mitu::runtime::notify_stopping();
    }

private:
    mitu::supervisor::WorkerLink* link_;  // null: no supervisor
};

std::string_view level_name(const mitu::config::Log& log) {
    static constexpr std::string_view names[]{"debug", "info", "warn", "error", "off"};
    return names[static_cast<std::size_t>(log.level)];
}

/// What the API knows of upgrades: the supervisor makes them.
class SupervisedUpgrades final : public mitu::api::Upgrades {
public:
    explicit SupervisedUpgrades(mitu::supervisor::WorkerLink& link) : link_{link} {}
    mitu::api::Answer<mitu::api::UpgradeState> state() override {
        return mitu::api::UpgradeState{static_cast<std::uint64_t>(::getpid()), MITU_VERSION,
                                       link_.upgrade_problem()};
    }
    mitu::api::Answer<mitu::api::UpgradeState> begin() override {
        link_.ask_for_upgrade();
        return mitu::api::UpgradeState{static_cast<std::uint64_t>(::getpid()), MITU_VERSION, {}};
    }

private:
    mitu::supervisor::WorkerLink& link_;
};

void configure_log(const mitu::config::Log& log, const mitu::ports::Clock& clock) {
    using namespace mitu;
    trace::LogOptions options;
    options.clock = &clock;
    options.level = trace::parse_level(level_name(log)).value_or(trace::Level::info);
    // "text" is for people on a terminal, else logfmt.
    const std::string_view format = log.format == config::LogFormat::json ? "json" : "text";
    options.format = trace::parse_log_format(format).value_or(trace::LogFormat::logfmt);
    trace::configure_log(options);
}

std::string list_of(const std::vector<std::string>& keys) {
    std::string names;
    for (const std::string& key : keys) names += (names.empty() ? "" : ", ") + key;
    return names;
}

/// SIGHUP: what is wrong is logged, and the server goes on as it was.
void reload(mitu::node::Node& node) {
    using namespace mitu;
    const auto done = node.reload();
    if (!done) {
        trace::log(trace::Level::error, "config_refused",
                   {{"problems", done.error()}, {"effect", "the server goes on as it was"}});
        return;
    }
    trace::log(trace::Level::info, "config_reloaded",
               {{"revision", done->revision},
                {"applied", list_of(done->applied.live)},
                {"on_restart", list_of(done->applied.on_restart)}});
}

}  // namespace

int main(int argc, char** argv) {
    using namespace mitu;

    std::string messages_in = "batches";
    bool check_config = false;
    CLI::App app{"mitud: the Mitu server: MQTT broker, devices and their policies", "mitud"};
    app.set_version_flag("--version", std::string{"mitud "} + MITU_VERSION);
    app.get_formatter()->column_width(36);
    std::string api_socket;
    const daemon::ConfigurationFlags flags{app};
    app.add_option("--api-socket", api_socket,
                   "Unix socket whose owner administers the server (DATA/api.sock)");
    app.add_option("--messages-in", messages_in,
                   "where messages lie: batches, or malloc (one allocation for each and for each "
                   "reference to it, to compare)")
        ->check(CLI::IsMember({"batches", "malloc"}))
        ->capture_default_str();
    app.add_flag("--check-config", check_config,
                 "check configuration, policies and registry, print what is wrong, and end");
    bool no_supervisor = false;
    app.add_flag("--no-supervisor", no_supervisor,
                 "one process, which nobody starts again when it dies");
    CLI11_PARSE(app, argc, argv);

    auto worker = supervisor::WorkerLink::from_environment();
    if (!worker) return complain(worker.error());
    supervisor::WorkerLink* const link = *worker ? &**worker : nullptr;
    if (daemon::lists_trial_points()) return 0;
    if (link == nullptr && !no_supervisor && !check_config) return supervise(argc, argv);
    runtime::map_large_blocks();
    if (link != nullptr) runtime::name_thread("mitud");  // it was started as /proc/self/exe
    const Announcer announce{link};

    const auto from = flags.load();
    if (!from) return refuse(from.error());
    const config::Config& config = from->loaded.config;
    node::NodeOptions options = node::options_from_config(config);
    options.version = MITU_VERSION;
    if (messages_in == "malloc") {
        options.limits.message_heap.allocation = memory::Allocation::malloc;
    }

    const runtime::SystemClock clock;
    configure_log(config.log, clock);
    if (const auto problem = daemon::begin_trial()) return complain(*problem);
    std::optional<SupervisedUpgrades> upgrades;
    if (link != nullptr) {
        link->say_log(level_name(config.log),
                      config.log.format == config::LogFormat::json ? "json" : "text");
        options.held_sockets = &link->sockets();
        options.api.upgrades = &upgrades.emplace(*link);
    }
    if (options.registry_file.empty()) {
        const std::string usual = config.node.data + "/devices.csv";
        if (std::filesystem::exists(usual)) options.registry_file = usual;
    }
    const auto catalog = node::load_catalog(options);
    if (!catalog) return refuse(catalog.error());
    if (check_config) {
        std::printf("ok  %zu tenants, %zu policies, %u devices\n", (*catalog)->tenants().size(),
                    (*catalog)->policies().size(), (*catalog)->device_count());
        return 0;
    }
    const auto privileges = daemon::Privileges::plan(config.node);
    if (!privileges) return complain(privileges.error());
    // What it writes is not for others, unless a mode says so.
    ::umask(::umask(S_IRWXG | S_IRWXO) | S_IWGRP | S_IRWXO);
    if (!config.node.core_dumps) runtime::forbid_core_dumps();
    if (const auto problem = privileges->make_data_directory(config.node.data)) {
        return complain(*problem);
    }
    for (const yaml::Problem& notice : from->loaded.notices) {
        trace::log(trace::Level::warn, "config_notice", {{"text", yaml::to_text(notice)}});
    }
    trace::log(
        trace::Level::info, "config_loaded",
        {{"file", from->file.empty() ? "none" : from->file}, {"revision", from->loaded.revision}});

    if (options.api.users_file.empty()) {
        options.api.users_file = config.node.data + "/api_users.json";
    }
    if (options.api.audit_file.empty()) options.api.audit_file = config.node.data + "/audit.log";
    options.api.unix_socket = api_socket;
    if (api_socket.empty() && !options.http.empty()) {
        constexpr std::size_t path_bytes_max = 107;  // what a Unix socket's name may have
        const std::string usual = config.node.data + "/api.sock";
        if (usual.size() <= path_bytes_max) options.api.unix_socket = usual;
    }

    // The data directory belongs to the user that it becomes, who could lead root astray there; so
    // root writes nothing into it.
    options.once_open = [&]() -> std::optional<std::string> {
        if (auto problem = privileges->give_up(*from)) return problem;
        // Another user's process is another to the kernel.
        if (link != nullptr && !link->end_with_supervisor()) return "the supervisor has ended";
        if (link != nullptr && !link->wait_for_turn()) return "the upgrade was given up";
        if (const auto problem = config::stamp_managed(*from)) {
            // It serves all the same; the next start counts the same revision again.
            trace::log(trace::Level::warn, "config_not_stamped",
                       {{"reason", yaml::to_text(*problem)}});
        }
        return std::nullopt;
    };

    options.files = std::make_shared<config::FromFiles>(*from);
    options.read_files = [&flags] { return flags.load(); };
    const runtime::SignalWaiter signals;  // before any thread, so that all hold them back
    runtime::install_fault_signals();
    runtime::install_thread_trace();
    auto node = node::Node::create(options, *catalog);
    if (!node) return complain(node.error());
    const std::string status = fmt::format("serving; MQTT on port {}", (*node)->ports().mqtt);
    announce.ready(status);
    runtime::Signal signal{};
    while ((signal = signals.wait()) != runtime::Signal::terminate &&
           signal != runtime::Signal::interrupt) {
        if (signal == runtime::Signal::upgrade && link != nullptr) break;
        if (signal == runtime::Signal::upgrade) {
            trace::log(
                trace::Level::warn, "upgrade_refused",
                {{"reason", "there is no supervisor: the server runs with --no-supervisor"}});
            continue;
        }
        announce.reloading();
        reload(**node);
        announce.ready(status);
    }
    announce.stopping();
    trace::log(trace::Level::info, "stopping");
    signal == runtime::Signal::upgrade ? (*node)->drain() : (*node)->stop();
    trace::log(trace::Level::info, "stopped");
    trace::flush_log();
    return 0;
}
