#include "mitu/node/node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "mitu/fleet/files.hpp"
#include "mitu/fleet/templates.hpp"
#include "mitu/node/node_impl.hpp"
#include "mitu/node/quotas.hpp"
#include "mitu/runtime/listener.hpp"
#include "mitu/runtime/process.hpp"
#include "mitu/trace/log.hpp"
#include "mitu/transport/transport_network.hpp"

namespace mitu::node {

using trace::Level;
using trace::log;

namespace {

/// Files that are open beside MQTT connections: listeners, epoll, logs, HTTP.
constexpr std::uint64_t files_reserved = 48;

/// Connections beside those that are allowed: on their way in, or about to be told that they are
/// too many.
constexpr std::uint64_t entrance_places(std::uint64_t connections_max) noexcept {
    return std::clamp<std::uint64_t>(connections_max / 64, 64, 4'096);
}

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
    config->sys_topics.enabled = false;
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

Node::Impl::Impl(const NodeOptions& options, std::shared_ptr<const fleet::Catalog> catalog)
    : options_{options},
      config_{options.config ? options.config : plain_config(options)},
      started_with_{config_},
      catalog_{std::move(catalog)},
      sources_{clock_, random_key()} {
    if (options.files) {
        live_ = std::make_unique<LiveConfig>(*options.files, options.read_files, *this, clock_);
    }
}

std::optional<std::string> Node::Impl::start() {
    const auto files =
        runtime::raise_open_files_limit(options_.connections_wanted + files_reserved +
                                        entrance_places(options_.connections_wanted));
    if (!files.is_enough()) {
        log(Level::info, "open_files_limited",
            {{"limit", files.soft},
             {"wanted", files.wanted},
             {"remedy", "raise LimitNOFILE or `ulimit -n` for more connections"}});
    }
    // The ledger refuses at CONNECT what is beyond limits.connections_max, with a reason, and lets
    // who is in take its own place over. Behind it the acceptor closes without a word.
    const std::uint64_t connections_max = std::min<std::uint64_t>(
        files.soft > files_reserved ? files.soft - files_reserved : 1,
        options_.connections_wanted + entrance_places(options_.connections_wanted));
    budget_ =
        std::make_unique<runtime::ConnectionBudget>(static_cast<std::uint32_t>(connections_max));

    const auto count = options_.shards != 0 ? options_.shards
                                            : static_cast<std::uint16_t>(runtime::usable_cores());
    if (auto problem = open_doors(count)) return problem;
    if (auto problem = open_http()) return problem;
    if (auto problem = open_metrics()) return problem;
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
    sys_topics_ = std::make_unique<SysTopics>(catalog_, clock_, http_context().hosts, *admission_,
                                              fmt::format("mitud version {}", options_.version));
    sys_topics_->configure(config_->sys_topics);
    if (auto problem = start_http()) return problem;
    if (auto problem = start_metrics()) return problem;
    if (auto problem = write_port_file()) return problem;
    std::vector<ShardHost*> watched;
    for (const auto& host : hosts_) watched.push_back(host.get());
    watchdog_ = std::make_unique<Watchdog>(std::move(watched), clock_);
    house_ = std::thread{[this] { keep_house(); }};  // tidy-allow(threads): see house_
    log(Level::info, "serving",
        {{"mqtt_port", ports_.mqtt},
         {"http_port", ports_.http},
         {"shards", count},
         {"connections_max", std::min(connections_max, options_.connections_wanted)},
         {"devices", catalog_->device_count()},
         {"policies", catalog_->policies().size()},
         {"anonymous", options_.allow_anonymous}});
    return std::nullopt;
}

std::optional<std::string> Node::Impl::open_doors(std::uint16_t count) {
    auto names = Doors::names(config_->listeners, count);
    names.insert(names.end(), {api_name(), api_unix_name(), metrics_name()});
    held().forget_all_but(names);
    auto doors = Doors::open(config_->listeners, count, clock_.wall(), held());
    if (!doors) return doors.error();
    doors_ = *std::move(doors);
    for (const Door& door : doors_->doors()) {
        if (!door.problem.empty()) {
            log(Level::warn, "listener_off",
                {{"listener", door.name},
                 {"reason", door.problem},
                 {"effect", "it cannot be enabled before the next start"}});
        }
        if (!door.is_open) continue;
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
    auto store = DurableStore::open(*config_, *catalog_, count,
                                    [this](ShardId shard) { hosts_[shard.value]->wake(); });
    if (!store) return store.error();
    store_ = *std::move(store);
    for (std::uint16_t i = 0; i < count; ++i) {
        auto network =
            runtime::make_server_network(io, clock_, {doors_->take_sockets(i), {}, budget_.get()});
        if (!network) return network.error();
        std::unique_ptr<DoorAdmission> door;
        if (doors_->has_filters()) {
            door = std::make_unique<DoorAdmission>(*admission_,
                                                   door_listeners(config_->listeners, *catalog_));
            *network = std::make_unique<transport::TransportNetwork>(
                std::move(*network), clock_, doors_->transport(), door.get());
        }
        hosts_.push_back(std::make_unique<ShardHost>(
            ShardId{i}, options_.limits, *mailroom_, *gate_, catalog_, std::move(*network),
            admission_.get(), std::move(door), store_ ? store_->journal(i) : nullptr));
    }
    if (store_) {
        std::vector<broker::Shard*> shards;
        for (const auto& host : hosts_) shards.push_back(&host->shard());
        if (auto problem = store_->restore(shards)) return problem;
        store_->start();
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

/// On an address of their own: whoever reaches it sees all.
std::optional<std::string> Node::Impl::open_metrics() {
    if (!config_->metrics.enabled || config_->metrics.bind.empty()) return std::nullopt;
    const auto address = runtime::parse_listen_address("tcp://" + config_->metrics.bind);
    if (!address) return "metrics.bind: " + address.error();
    http::ServerOptions server;
    server.host = address->host;
    server.port = address->port;
    server.connections_max = 32;
    server.pool_threads = 1;
    metrics_http_ = std::make_unique<http::Server>(server);
    http::ListeningSockets inherited;
    for (auto& one : held().take(metrics_name())) inherited.tcp = one.release();
    const auto port = metrics_http_->open(inherited);
    if (!port) return "metrics.bind: " + port.error();
    if (inherited.tcp < 0) hold(metrics_name(), metrics_http_->sockets().tcp);
    log(Level::info, "metrics_served", {{"host", address->host}, {"port", *port}});
    return std::nullopt;
}

HttpApiContext Node::Impl::http_context() {
    std::vector<ShardHost*> hosts;
    hosts.reserve(hosts_.size());
    for (const auto& host : hosts_) hosts.push_back(host.get());
    return {catalog_,
            clock_,
            std::move(hosts),
            admission_.get(),
            live_.get(),
            this,
            [this] { return sources_.key_status(); },
            store_.get()};
}

std::optional<std::string> Node::Impl::start_http() {
    if (!http_) return std::nullopt;
    const HttpApiContext context = http_context();
    if (options_.api.tls) {
        api_certificate_.emplace(
            std::vector{options_.api.tls->certificate_file, options_.api.tls->key_file});
    }
    auto api = NodeApi::create(options_.api, context);
    if (!api) return api.error();
    api_ = std::move(*api);
    add_watching(*http_, context);
    api_->add_to(*http_);
    if (config_->metrics.enabled && config_->metrics.bind.empty()) {
        add_metrics(*http_, context, [api = api_.get()](const http::Request& request) {
            return api->metrics_scope(request);
        });
    }
    const bool has_unix = http_->sockets().unix_stream >= 0;
    if (const auto port = http_->start(); !port) return "--http: " + port.error();
    if (const int socket = http_->sockets().unix_stream; socket >= 0 && !has_unix) {
        hold(api_unix_name(), socket);
    }
    return std::nullopt;
}

std::optional<std::string> Node::Impl::start_metrics() {
    if (!metrics_http_) return std::nullopt;
    const HttpApiContext context = http_context();
    add_watching(*metrics_http_, context);
    add_metrics(*metrics_http_, context, [](const http::Request&) { return MetricsScope{}; });
    if (const auto port = metrics_http_->start(); !port) return "metrics.bind: " + port.error();
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
        sources_.tick();
        if (api_certificate_ && api_certificate_->look()) renew_api_certificate();
        admission_->bans.expire(clock_.now());
        if (store_) store_->watch();
        admission_->memory.update(runtime::resident_bytes());
        sys_topics_->tick();
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
    // Streams that are open ask the hosts to the end.
    if (http_) http_->stop(api_file_);
    http_.reset();
    metrics_http_.reset();
    watchdog_.reset();
    for (const auto& host : hosts_) host->request_stop();
    for (const auto& host : hosts_) host->join();
    if (store_) store_->stop();
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
Result<Reloaded, std::string> Node::reload() { return impl_->reload(); }

}  // namespace mitu::node
