// `mitud`, the server: reads options, starts a node, waits for a signal.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <string>

#include "mitu/node/node.hpp"
#include "mitu/runtime/clock.hpp"
#include "mitu/runtime/fault_signals.hpp"
#include "mitu/runtime/signals.hpp"
#include "mitu/trace/log.hpp"

namespace {

constexpr int exit_cannot_start = 2;

int complain(const std::string& text) {
    std::fprintf(stderr, "mitud: %s\n", text.c_str());
    return exit_cannot_start;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace mitu;

    node::NodeOptions options;
    std::string data_directory = "mitu-data";
    std::string messages_in = "batches";
    std::string io = "epoll";
    std::string pin = "by_node";
    std::string log_level = "info";
    std::string log_format = "text";
    bool check_config = false;

    CLI::App app{"mitud: the Mitu server: MQTT broker, devices and their policies", "mitud"};
    app.set_version_flag("--version", std::string{"mitud "} + MITU_VERSION);
    app.get_formatter()->column_width(36);
    app.add_option("--listen", options.listen, "MQTT over TCP, tcp://HOST:PORT; may be repeated")
        ->capture_default_str();
    app.add_option("--http", options.http, "metrics, health and API, HOST:PORT; \"\" for none")
        ->capture_default_str();
    std::string http_certificate;
    std::string http_key;
    app.add_option("--http-certificate", http_certificate,
                   "PEM file: HTTPS instead of HTTP; with --http-key");
    app.add_option("--http-key", http_key, "PEM file with the private key");
    app.add_option("--api-users", options.api.users_file,
                   "users and keys of the API (default: DATA/api_users.json)");
    app.add_option("--api-socket", options.api.unix_socket,
                   "Unix socket whose owner administers the server (default: DATA/api.sock)");
    app.add_option("--audit-log", options.api.audit_file,
                   "who changed what over the API (default: DATA/audit.log)");
    app.add_option("--data", data_directory, "directory of what the server keeps")
        ->capture_default_str();
    app.add_option("--shards", options.shards, "threads that serve clients; 0: one per core")
        ->check(CLI::Range(0, 256))
        ->capture_default_str();
    app.add_option("--io", io,
                   "how the kernel is asked: epoll, io_uring (Linux 6.1), or auto: io_uring where "
                   "the kernel allows it")
        ->check(CLI::IsMember({"epoll", "io_uring", "auto"}))
        ->capture_default_str();
    app.add_option("--pin", pin,
                   "keep each shard on a processor: never, by_node (if there are several NUMA "
                   "nodes) or always")
        ->check(CLI::IsMember({"never", "by_node", "always"}))
        ->capture_default_str();
    app.add_flag("--huge-pages", options.limits.message_heap.pool.huge_pages,
                 "ask the kernel for huge pages for messages");
    app.add_flag("--allow-anonymous", options.allow_anonymous,
                 "clients that are not registered may enter, as tenant `default`");
    app.add_option("--registry", options.registry_file,
                   "devices: YAML or CSV (default: DATA/devices.csv, if it exists)");
    app.add_option("--policies", options.policy_directory,
                   "directory of policies that overlay those compiled in");
    app.add_option("--port-file", options.port_file,
                   "written once the server serves: {\"mqtt\":PORT,\"http\":PORT}");
    app.add_option("--packet-bytes-max", options.limits.packet_bytes_max,
                   "largest packet that a client may send")
        ->check(CLI::Range(1'024u, 268'435'460u))
        ->capture_default_str();
    app.add_option("--messages-in", messages_in,
                   "where messages lie: batches, or malloc (one allocation for each and for each "
                   "reference to it, to compare)")
        ->check(CLI::IsMember({"batches", "malloc"}))
        ->capture_default_str();
    app.add_option("--login-threads", options.login_threads, "threads that check passwords")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    app.add_option("--log-level", log_level, "debug, info, warn, error or off")
        ->capture_default_str();
    app.add_option("--log-format", log_format,
                   "text (for people on a terminal, else logfmt) or json")
        ->capture_default_str();
    app.add_flag("--check-config", check_config,
                 "check policies and registry, print what is wrong, and end");
    CLI11_PARSE(app, argc, argv);
    if (pin == "never") options.pinning = node::Pinning::never;
    if (pin == "always") options.pinning = node::Pinning::always;
    if (io == "io_uring") options.io = runtime::Io::io_uring;
    if (io == "auto") options.io = std::nullopt;
    if (messages_in == "malloc") {
        options.limits.message_heap.allocation = memory::Allocation::malloc;
    }

    const runtime::SystemClock clock;
    trace::LogOptions log_options;
    log_options.clock = &clock;
    if (const auto level = trace::parse_level(log_level)) {
        log_options.level = *level;
    } else {
        return complain("--log-level is \"" + log_level + "\"; use debug, info, warn, error, off");
    }
    if (const auto format = trace::parse_log_format(log_format)) {
        log_options.format = *format;
    } else {
        return complain("--log-format is \"" + log_format + "\"; use text or json");
    }
    trace::configure_log(log_options);

    if (options.registry_file.empty()) {
        const std::string usual = data_directory + "/devices.csv";
        if (std::filesystem::exists(usual)) options.registry_file = usual;
    }
    const auto catalog = node::load_catalog(options);
    if (!catalog) {
        std::fputs(catalog.error().c_str(), stderr);
        return complain("the configuration has errors; nothing was started");
    }
    if (check_config) {
        std::printf("ok  %zu tenants, %zu policies, %u devices\n", (*catalog)->tenants().size(),
                    (*catalog)->policies().size(), (*catalog)->device_count());
        return 0;
    }
    std::error_code failed;
    std::filesystem::create_directories(data_directory, failed);
    if (failed) {
        return complain("--data " + data_directory + ": " + failed.message() +
                        "; name a directory that can be written");
    }

    if (http_certificate.empty() != http_key.empty()) {
        return complain("--http-certificate and --http-key belong together; give both or none");
    }
    if (!http_key.empty()) options.api.tls = http::TlsFiles{http_certificate, http_key};
    if (options.api.users_file.empty()) {
        options.api.users_file = data_directory + "/api_users.json";
    }
    if (options.api.audit_file.empty()) options.api.audit_file = data_directory + "/audit.log";
    if (options.api.unix_socket.empty() && !options.http.empty()) {
        constexpr std::size_t path_bytes_max = 107;  // what a Unix socket's name may have
        const std::string usual = data_directory + "/api.sock";
        if (usual.size() <= path_bytes_max) options.api.unix_socket = usual;
    }

    const runtime::SignalWaiter signals;  // before any thread, so that all hold them back
    runtime::install_fault_signals();
    auto node = node::Node::create(options, *catalog);
    if (!node) return complain(node.error());
    for (;;) {
        const runtime::Signal signal = signals.wait();
        if (signal != runtime::Signal::hangup) break;
        trace::log(trace::Level::warn, "hangup_ignored",
                   {{"remedy", "restart the server to load policies and registry anew"}});
    }
    trace::log(trace::Level::info, "stopping");
    (*node)->stop();
    trace::log(trace::Level::info, "stopped");
    trace::flush_log();
    return 0;
}
