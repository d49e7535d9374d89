// `mitud`, the server: reads its configuration, starts a node, waits for a signal.

#include <fmt/format.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <string>

#include "apps/mitud/configuration.hpp"
#include "apps/mitud/privileges.hpp"
#include "apps/mitud/trial.hpp"
#include "mitu/node/node.hpp"
#include "mitu/node/options_from_config.hpp"
#include "mitu/runtime/account.hpp"
#include "mitu/runtime/clock.hpp"
#include "mitu/runtime/fault_signals.hpp"
#include "mitu/runtime/service_manager.hpp"
#include "mitu/runtime/signals.hpp"
#include "mitu/trace/log.hpp"

namespace {

constexpr int exit_cannot_start = 2;

int complain(const std::string& text) {
    std::fprintf(stderr, "mitud: %s\n", text.c_str());
    return exit_cannot_start;
}

/// What is wrong, and that nothing was started.
int refuse(const std::string& problems) {
    std::fputs(problems.c_str(), stderr);
    return complain("the configuration has errors; nothing was started");
}

void configure_log(const mitu::config::Log& log, const mitu::ports::Clock& clock) {
    using namespace mitu;
    static constexpr trace::Level levels[]{trace::Level::debug, trace::Level::info,
                                           trace::Level::warn, trace::Level::error,
                                           trace::Level::off};
    trace::LogOptions options;
    options.clock = &clock;
    options.level = levels[static_cast<std::size_t>(log.level)];
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
    CLI11_PARSE(app, argc, argv);

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
    if (const auto status = daemon::begin_trial()) return *status;
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
    auto node = node::Node::create(options, *catalog);
    if (!node) return complain(node.error());
    const std::string status = fmt::format("serving; MQTT on port {}", (*node)->ports().mqtt);
    runtime::notify_ready(status);
    for (;;) {
        const runtime::Signal signal = signals.wait();
        if (signal != runtime::Signal::hangup) break;
        runtime::notify_reloading();
        reload(**node);
        runtime::notify_ready(status);
    }
    runtime::notify_stopping();
    trace::log(trace::Level::info, "stopping");
    (*node)->stop();
    trace::log(trace::Level::info, "stopped");
    trace::flush_log();
    return 0;
}
