#include "mitu/node/node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "mitu/config/diff.hpp"
#include "mitu/fleet/files.hpp"
#include "mitu/fleet/templates.hpp"
#include "mitu/http/server.hpp"
#include "mitu/node/authentication_from_config.hpp"
#include "mitu/node/doors.hpp"
#include "mitu/node/gatekeeper.hpp"
#include "mitu/node/http_api.hpp"
#include "mitu/node/quotas.hpp"
#include "mitu/node/shard_host.hpp"
#include "mitu/node/watchdog.hpp"
#include "mitu/runtime/account.hpp"
#include "mitu/runtime/listener.hpp"
#include "mitu/runtime/process.hpp"
#include "mitu/runtime/worker_pool.hpp"
#include "mitu/trace/log.hpp"
#include "mitu/transport/transport_network.hpp"

namespace mitu::node {

using trace::Level;
using trace::log;

namespace {

/// Files that are open beside MQTT connections: listeners, epoll, logs, HTTP.
constexpr std::uint64_t files_reserved = 48;

/// What a node without a configuration is told by its flags.
std::shared_ptr<const config::Config> plain_config(const NodeOptions& options) {
    auto config = std::make_shared<config::Config>();
    config->listeners.clear();
    for (const std::string& address : options.listen) {
        constexpr std::string_view scheme = "tcp://";
        config::Listener listener;
        listener.name = fmt::format("mqtt_{}", config->listeners.size() + 1);
        listener.bind = address.starts_with(scheme) ? address.substr(scheme.size()) : address;
        config->listeners.push_back(std::move(listener));
    }
    config->authentication.allow_anonymous =
        options.allow_anonymous ? config::Anonymous::always : config::Anonymous::never;
    return config;
}

identity::SecretKey random_key() {
    identity::SecretKey key;
    const std::string bytes = runtime::random_bytes(key.size());
    std::copy(bytes.begin(), bytes.end(), key.begin());
    return key;
}

}  // namespace

Result<std::shared_ptr<const fleet::Catalog>, std::string> load_catalog(
    const NodeOptions& options) {
    std::vector<fleet::LoadedFile> overlay;
    if (!options.policy_directory.empty()) {
        auto loaded = fleet::load_template_directory(options.policy_directory);
        if (!loaded) return std::unexpected(fleet::to_text(loaded.error()));
        overlay = std::move(*loaded);
    }
    const auto embedded = fleet::embedded_templates();
    auto templates = fleet::load_templates(embedded, fleet::sources(overlay));
    if (!templates) return std::unexpected(fleet::to_text(templates.error()));

    std::optional<fleet::LoadedFile> registry;
    if (!options.registry_file.empty()) {
        auto loaded = fleet::load_file(options.registry_file);
        if (!loaded) return std::unexpected(fleet::to_text(loaded.error()));
        registry = std::move(*loaded);
    }
    std::optional<fleet::SourceFile> source;
    if (registry) source = fleet::SourceFile{registry->name, registry->text};
    auto catalog = fleet::Catalog::build(*templates, source ? &*source : nullptr);
    if (!catalog) return std::unexpected(fleet::to_text(catalog.error()));
    return *catalog;
}

class Node::Impl {
public:
    Impl(const NodeOptions& options, std::shared_ptr<const fleet::Catalog> catalog)
        : options_{options},
          config_{options.config ? options.config : plain_config(options)},
          catalog_{std::move(catalog)} {}
    ~Impl() { stop(); }

    /// Errors  a sentence; what was started is stopped by the destructor.
    [[nodiscard]] std::optional<std::string> start();
    void stop();
    void drain();
    [[nodiscard]] NodePorts ports() const noexcept { return ports_; }
    [[nodiscard]] Result<std::vector<std::string>, std::string> reload(
        std::shared_ptr<const config::Config> config);

private:
    void keep_house();
    void renew_profiles();
    [[nodiscard]] std::optional<std::string> start_shards(std::uint16_t count);
    [[nodiscard]] std::vector<runtime::ShardPlace> place_shards(std::uint32_t count) const;
    [[nodiscard]] std::optional<std::string> open_doors(std::uint16_t count);
    [[nodiscard]] std::optional<std::string> open_http();
    [[nodiscard]] std::string api_name() const { return "api tcp://" + options_.http; }
    [[nodiscard]] std::string api_unix_name() const {
        return "api unix:" + options_.api.unix_socket;
    }
    [[nodiscard]] runtime::HeldSockets& held() noexcept {
        return options_.held_sockets != nullptr ? *options_.held_sockets : nothing_held_;
    }
    void hold(const std::string& name, int socket);
    [[nodiscard]] std::optional<std::string> start_http();
    [[nodiscard]] std::optional<std::string> write_port_file() const;

    NodeOptions options_;
    runtime::HeldSockets nothing_held_;
    std::shared_ptr<const config::Config> config_;
    std::shared_ptr<const fleet::Catalog> catalog_;
    runtime::SystemClock clock_;
    AuthenticationSources sources_{random_key()};
    std::optional<Doors> doors_;
    std::unique_ptr<admission::Control> admission_;
    std::unique_ptr<runtime::ConnectionBudget> budget_;
    std::unique_ptr<runtime::WorkerPool> logins_;
    std::unique_ptr<Gatekeeper> gate_;
    std::unique_ptr<broker::Mailroom> mailroom_;
    std::vector<std::unique_ptr<ShardHost>> hosts_;
    std::unique_ptr<Watchdog> watchdog_;
    std::unique_ptr<NodeApi> api_;
    std::unique_ptr<http::Server> http_;  // after what its handlers work with
    http::Server::UnixFile api_file_ = http::Server::UnixFile::goes;
    NodePorts ports_;
    std::mutex house_mutex_;  // reload(), and what happens each second
    std::condition_variable house_wakes_;
    bool house_ends_ = false;
    std::thread house_;  // tidy-allow(threads): looks at files once a second
};

std::optional<std::string> Node::Impl::start() {
    const auto files =
        runtime::raise_open_files_limit(options_.connections_wanted + files_reserved);
    if (!files.is_enough()) {
        log(Level::info, "open_files_limited",
            {{"limit", files.soft},
             {"wanted", files.wanted},
             {"remedy", "raise LimitNOFILE or `ulimit -n` for more connections"}});
    }
    const std::uint64_t connections_max = std::min<std::uint64_t>(
        files.soft > files_reserved ? files.soft - files_reserved : 1, options_.connections_wanted);
    budget_ =
        std::make_unique<runtime::ConnectionBudget>(static_cast<std::uint32_t>(connections_max));

    const auto count = options_.shards != 0 ? options_.shards
                                            : static_cast<std::uint16_t>(runtime::usable_cores());
    if (auto problem = open_doors(count)) return problem;
    if (auto problem = open_http()) return problem;
    if (options_.once_open) {
        if (auto problem = options_.once_open()) return problem;
    }

    GatekeeperOptions gate;
    gate.run_later = [this](std::function<void()> job) {
        return logins_->try_submit(std::move(job));
    };
    gate.answer = [this](broker::Admission admission) {
        hosts_[admission.ticket.shard.value]->post(std::move(admission));
    };
    gate.random = [](std::size_t count) { return runtime::random_bytes(count); };
    auto authentication = sources_.build(*config_, catalog_);
    if (!authentication) return authentication.error();
    gate_ = std::make_unique<Gatekeeper>(clock_, *std::move(authentication), std::move(gate));
    admission_ = make_admission(*config_);
    if (auto problem = apply_quotas(*admission_, *config_, *catalog_, clock_)) return *problem;
    logins_ =
        std::make_unique<runtime::WorkerPool>(options_.login_threads, options_.logins_waiting_max);
    if (auto problem = start_shards(count)) return problem;
    if (auto problem = start_http()) return problem;
    if (auto problem = write_port_file()) return problem;
    std::vector<ShardHost*> watched;
    for (const auto& host : hosts_) watched.push_back(host.get());
    watchdog_ = std::make_unique<Watchdog>(std::move(watched), clock_);
    house_ = std::thread{[this] { keep_house(); }};  // tidy-allow(threads): see house_
    log(Level::info, "serving",
        {{"mqtt_port", ports_.mqtt},
         {"http_port", ports_.http},
         {"shards", count},
         {"connections_max", connections_max},
         {"devices", catalog_->device_count()},
         {"policies", catalog_->policies().size()},
         {"anonymous", options_.allow_anonymous}});
    return std::nullopt;
}

std::optional<std::string> Node::Impl::open_doors(std::uint16_t count) {
    auto names = Doors::names(config_->listeners, count);
    names.insert(names.end(), {api_name(), api_unix_name()});
    held().forget_all_but(names);
    auto doors = Doors::open(config_->listeners, count, clock_.wall(), held());
    if (!doors) return doors.error();
    doors_ = *std::move(doors);
    for (const Door& door : doors_->doors()) {
        log(Level::info, "listening", {{"listener", door.name}, {"address", door.address}});
        if (ports_.mqtt == 0) ports_.mqtt = door.port;
    }
    return std::nullopt;
}

std::optional<std::string> Node::Impl::start_shards(std::uint16_t count) {
    if (options_.limits.message_heap.pool.huge_pages) {
        const std::string problem = runtime::huge_pages_problem();
        log(problem.empty() ? Level::info : Level::warn, "huge_pages",
            {{"granted", problem.empty()}, {"reason", problem}});
    }
    mailroom_ = std::make_unique<broker::Mailroom>(count);
    runtime::Io io = options_.io.value_or(runtime::Io::io_uring);
    if (io == runtime::Io::io_uring) {
        const std::string problem = runtime::io_uring_problem();
        if (!problem.empty() && options_.io) {
            return "--io is io_uring: " + problem + "; use epoll or auto";
        }
        if (!problem.empty()) io = runtime::Io::epoll;
        log(Level::info, "io_chosen", {{"io", runtime::to_text(io)}, {"problem", problem}});
    }
    for (std::uint16_t i = 0; i < count; ++i) {
        auto network =
            runtime::make_server_network(io, clock_, {doors_->take_sockets(i), {}, budget_.get()});
        if (!network) return network.error();
        if (doors_->has_filters()) {
            *network = std::make_unique<transport::TransportNetwork>(std::move(*network), clock_,
                                                                     doors_->transport());
        }
        hosts_.push_back(std::make_unique<ShardHost>(ShardId{i}, options_.limits, *mailroom_,
                                                     *gate_, catalog_, std::move(*network),
                                                     admission_.get()));
    }
    const auto places = place_shards(count);
    for (std::size_t i = 0; i < hosts_.size(); ++i) hosts_[i]->start(places[i]);
    return std::nullopt;
}

std::vector<runtime::ShardPlace> Node::Impl::place_shards(std::uint32_t count) const {
    std::vector<runtime::ShardPlace> anywhere(count);
    if (options_.pinning == Pinning::never) return anywhere;
    const auto topology = runtime::Topology::read();
    if (!topology) {
        log(Level::warn, "topology_unknown", {{"reason", topology.error()}});
        return anywhere;
    }
    log(Level::info, "topology",
        {{"nodes", topology->node_count()},
         {"cores", topology->core_count()},
         {"processors", topology->processor_count()}});
    const bool pins = options_.pinning == Pinning::always || topology->node_count() > 1;
    return pins ? topology->place(count) : anywhere;
}

std::optional<std::string> Node::Impl::open_http() {
    if (options_.http.empty()) return std::nullopt;
    const auto address = runtime::parse_listen_address("tcp://" + options_.http);
    if (!address) return "--http: " + address.error();
    http::ServerOptions server;
    server.host = address->host;
    server.port = address->port;
    server.tls = options_.api.tls;
    server.unix_path = options_.api.unix_socket;
    http_ = std::make_unique<http::Server>(server);
    http::ListeningSockets inherited;
    for (auto& one : held().take(api_name())) inherited.tcp = one.release();
    for (auto& one : held().take(api_unix_name())) inherited.unix_stream = one.release();
    const auto port = http_->open(inherited);
    if (!port) return "--http: " + port.error();
    ports_.http = *port;
    if (inherited.tcp < 0) hold(api_name(), http_->sockets().tcp);
    return std::nullopt;
}

void Node::Impl::hold(const std::string& name, int socket) {
    runtime::UniqueFd borrowed[]{runtime::UniqueFd{socket}};
    held().keep(name, borrowed);
    static_cast<void>(borrowed[0].release());
}

std::optional<std::string> Node::Impl::start_http() {
    if (!http_) return std::nullopt;
    std::vector<ShardHost*> hosts;
    hosts.reserve(hosts_.size());
    for (const auto& host : hosts_) hosts.push_back(host.get());
    const HttpApiContext context{catalog_, clock_, std::move(hosts), admission_.get()};
    auto api = NodeApi::create(options_.api, context);
    if (!api) return api.error();
    api_ = std::move(*api);
    add_watching(*http_, context);
    api_->add_to(*http_);
    const bool has_unix = http_->sockets().unix_stream >= 0;
    if (const auto port = http_->start(); !port) return "--http: " + port.error();
    if (const int socket = http_->sockets().unix_stream; socket >= 0 && !has_unix) {
        hold(api_unix_name(), socket);
    }
    return std::nullopt;
}

std::optional<std::string> Node::Impl::write_port_file() const {
    if (options_.port_file.empty()) return std::nullopt;
    const auto problem = fleet::replace_file(
        options_.port_file, fmt::format("{{\"mqtt\":{},\"http\":{}}}\n", ports_.mqtt, ports_.http),
        {.mode = 0644, .keep_mode = false});
    if (!problem) return std::nullopt;
    return fleet::to_text(*problem);
}

void Node::Impl::keep_house() {
    runtime::name_thread("house");
    std::unique_lock lock{house_mutex_};
    while (!house_wakes_.wait_for(lock, std::chrono::seconds{1}, [this] { return house_ends_; })) {
        doors_->refresh(clock_.wall());
        admission_->bans.expire(clock_.now());
        admission_->memory.update(runtime::resident_bytes());
    }
}

Result<std::vector<std::string>, std::string> Node::Impl::reload(
    std::shared_ptr<const config::Config> config) {
    const std::lock_guard lock{house_mutex_};
    doors_->reload(clock_.wall());
    if (http_) {
        if (const auto done = http_->reload_tls(); !done) {
            log(Level::error, "certificates_refused",
                {{"listener", "api"},
                 {"reason", done.error()},
                 {"user", runtime::own_name()},
                 {"effect", "the certificates loaded before stay in use"}});
        }
    }
    std::vector<std::string> later;
    bool keeps_listeners = true;
    for (const config::Change& change : config::diff(*config_, *config)) {
        if (change.path.starts_with("listeners")) keeps_listeners = false;
        if (!change.is_live || change.path.starts_with("listeners")) later.push_back(change.path);
    }
    if (!keeps_listeners) {
        // The open ones stay as they are; all else holds.
        auto mixed = std::make_shared<config::Config>(*config);
        mixed->listeners = config_->listeners;
        config = std::move(mixed);
    }
    auto authentication = sources_.build(*config, catalog_);
    if (!authentication) return std::unexpected(authentication.error());
    if (auto problem = apply_quotas(*admission_, *config, *catalog_, clock_)) {
        return std::unexpected(*problem);
    }
    gate_->replace(*std::move(authentication));
    config_ = std::move(config);
    renew_profiles();
    return later;
}

/// A few sessions at a time, so that no shard is held up.
void Node::Impl::renew_profiles() {
    constexpr std::uint32_t at_once = 1'000;
    for (const auto& host : hosts_) {
        auto step = std::make_shared<std::function<void(std::uint32_t)>>();
        *step = [gate = gate_.get(), host = host.get(), step](std::uint32_t first) {
            host->post([gate, step, first](broker::Shard& shard, Instant now) {
                const auto next = shard.renew_profiles(
                    first, at_once,
                    [gate](TenantId tenant, std::string_view client_id, const auto& profile) {
                        return gate->renewed(tenant, client_id, profile);
                    },
                    now);
                if (next) {
                    (*step)(*next);
                } else {
                    *step = nullptr;  // it holds itself
                }
            });
        };
        (*step)(0);
    }
}

void Node::Impl::drain() {
    // All are told within eight seconds, so that two are left for the slow ones.
    constexpr std::uint64_t clients_per_s_min = 2'000;
    constexpr std::uint64_t told_within_s = 8;
    constexpr Duration time_max = Duration::seconds(10);
    constexpr std::chrono::milliseconds period{5};
    const auto connections = [this] {
        std::uint64_t sum = 0;
        for (const auto& host : hosts_) sum += host->counters().connections.read();
        return sum;
    };
    const std::uint64_t count = connections();
    const std::uint64_t per_s = std::max(clients_per_s_min, count / told_within_s);
    log(Level::info, "draining", {{"connections", count}, {"clients_per_s", per_s}});
    // The next process serves its sockets; the file of the API's is where it was.
    api_file_ = http::Server::UnixFile::stays;
    broker::Shard::Drain drain;
    drain.clients_per_s = static_cast<std::uint32_t>(per_s / hosts_.size() + 1);
    for (const auto& host : hosts_) host->request_drain(drain);
    const Instant until = clock_.now() + time_max;
    {
        std::unique_lock lock{house_mutex_};
        while (connections() != 0 && clock_.now() < until) {
            house_wakes_.wait_for(lock, period, [this] { return house_ends_; });
        }
    }
    stop();
}

void Node::Impl::stop() {
    {
        const std::lock_guard lock{house_mutex_};
        house_ends_ = true;
    }
    house_wakes_.notify_all();
    if (house_.joinable()) house_.join();
    if (http_) http_->stop(api_file_);
    watchdog_.reset();
    for (const auto& host : hosts_) host->request_stop();
    for (const auto& host : hosts_) host->join();
    // Before the hosts, which their answers go to.
    if (logins_) logins_->stop();
    sources_.stop();
    hosts_.clear();
}

Result<std::unique_ptr<Node>, std::string> Node::create(
    const NodeOptions& options, std::shared_ptr<const fleet::Catalog> catalog) {
    auto impl = std::make_unique<Impl>(options, std::move(catalog));
    if (auto problem = impl->start()) return std::unexpected(*problem);
    return std::unique_ptr<Node>{new Node{std::move(impl)}};
}

Node::Node(std::unique_ptr<Impl> impl) : impl_{std::move(impl)} {}
Node::~Node() = default;
NodePorts Node::ports() const noexcept { return impl_->ports(); }
void Node::stop() { impl_->stop(); }
void Node::drain() { impl_->drain(); }
Result<std::vector<std::string>, std::string> Node::reload(
    std::shared_ptr<const config::Config> config) {
    return impl_->reload(std::move(config));
}

}  // namespace mitu::node
