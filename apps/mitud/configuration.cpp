#include "apps/mitud/configuration.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>

#include "mitu/fleet/files.hpp"
#include "mitu/fleet/templates.hpp"
#include "mitu/runtime/listener.hpp"
#include "mitu/yaml/emit.hpp"

namespace mitu::daemon {
namespace {

/// The tenants that policies declare: those compiled in, overlaid by those of a directory.
Result<std::vector<std::string>, yaml::Problems> tenants_of(const std::string& directory) {
    std::vector<fleet::LoadedFile> overlay;
    if (!directory.empty()) {
        auto loaded = fleet::load_template_directory(directory);
        if (!loaded) return std::unexpected(loaded.error());
        overlay = *std::move(loaded);
    }
    const auto templates =
        fleet::load_templates(fleet::embedded_templates(), fleet::sources(overlay));
    if (!templates) return std::unexpected(templates.error());
    std::vector<std::string> names;
    for (const fleet::Tenant& tenant : templates->tenants) names.push_back(tenant.name);
    return names;
}

std::vector<std::pair<std::string, std::string>> environment() {
    std::vector<std::pair<std::string, std::string>> variables;
    for (char** variable = ::environ; variable != nullptr && *variable != nullptr; ++variable) {
        const std::string_view text{*variable};
        const std::size_t equals = text.find('=');
        if (equals == std::string_view::npos) continue;
        variables.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    }
    return variables;
}

}  // namespace

void ConfigurationFlags::add(CLI::App& app, const std::string& name, const std::string& path,
                             const std::string& text) {
    app.add_option_function<std::string>(
        name,
        [this, name, path](const std::string& value) { given_.push_back({name, path, value}); },
        text);
}

ConfigurationFlags::ConfigurationFlags(CLI::App& app) {
    app.add_option("--config", file_,
                   "configuration, YAML (DATA/mitud.yaml, else /etc/mitu/mitud.yaml, if there); "
                   "\"\" for none");
    app.add_option("--listen", listen_,
                   "MQTT over TCP, tcp://HOST:PORT; may be repeated; in place of the listeners of "
                   "the configuration (tcp://127.0.0.1:1883)");
    add(app, "--http", "api.bind",
        "metrics, health and API, HOST:PORT; \"\" for none (127.0.0.1:9880)");
    add(app, "--http-certificate", "api.tls.certificate",
        "PEM file: HTTPS instead of HTTP; with --http-key");
    add(app, "--http-key", "api.tls.key", "PEM file with the private key");
    add(app, "--api-users", "api.users_file", "users and keys of the API (DATA/api_users.json)");
    add(app, "--audit-log", "api.audit_file", "who changed what over the API (DATA/audit.log)");
    add(app, "--data", "node.data", "directory of what the server keeps (mitu-data)");
    add(app, "--shards", "node.shards", "threads that serve clients; 0: one per core (0)");
    add(app, "--io", "node.io",
        "how the kernel is asked: epoll, io_uring (Linux 6.1), or auto: io_uring where the kernel "
        "allows it (epoll)");
    add(app, "--pin", "node.pin",
        "keep each shard on a processor: never, by_node (if there are several NUMA nodes) or "
        "always (by_node)");
    app.add_flag_callback(
        "--huge-pages", [this] { given_.push_back({"--huge-pages", "node.huge_pages", "true"}); },
        "ask the kernel for huge pages for messages");
    app.add_flag_callback(
        "--allow-anonymous",
        [this] {
            given_.push_back({"--allow-anonymous", "authentication.allow_anonymous", "always"});
        },
        "clients that are not registered may enter, as tenant `default`");
    add(app, "--registry", "registry.file",
        "devices: YAML or CSV (DATA/devices.csv, if it exists)");
    add(app, "--policies", "policies.directory",
        "directory of policies that overlay those compiled in");
    add(app, "--port-file", "node.port_file",
        "written once the server serves: {\"mqtt\":PORT,\"http\":PORT}");
    add(app, "--packet-bytes-max", "limits.packet_bytes_max",
        "largest packet that a client may send (1MiB)");
    add(app, "--durability", "store.durability",
        "what an acknowledgement means: none, async or sync (sync)");
    add(app, "--login-threads", "node.login_threads", "threads that check passwords (1)");
    add(app, "--log-level", "log.level", "debug, info, warn, error or off (info)");
    add(app, "--log-format", "log.format",
        "text (for people on a terminal, else logfmt) or json (text)");
}

/// In place of the configured ones: a plain listener for each --listen.
Result<std::optional<config::Override>, std::string> ConfigurationFlags::listeners() const {
    if (listen_.empty()) return std::nullopt;
    constexpr std::string_view scheme = "tcp://";
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const std::string& text : listen_) {
        const auto address = runtime::parse_listen_address(text);
        if (!address) return std::unexpected("mitud: --listen: " + address.error() + "\n");
        const std::string number = list.empty() ? "" : "_" + std::to_string(list.size() + 1);
        nlohmann::ordered_json item;
        item["name"] = "mqtt" + number;
        item["bind"] = address->to_text("tcp").substr(scheme.size());
        list.push_back(std::move(item));
    }
    return config::Override{"listeners", yaml::emit(list), "--listen"};
}

Result<config::FromFiles, std::string> ConfigurationFlags::load() const {
    config::FileSources sources;
    sources.file = file_;
    sources.environment = environment();
    sources.tenants = tenants_of;
    for (const Flag& flag : given_) sources.flags.push_back({flag.path, flag.value, flag.name});
    auto listen = listeners();
    if (!listen) return std::unexpected(listen.error());
    if (*listen) sources.flags.push_back(**std::move(listen));
    auto from = config::load_from_files(sources);
    if (!from) return std::unexpected(yaml::to_text(from.error()));
    return *std::move(from);
}

}  // namespace mitu::daemon
