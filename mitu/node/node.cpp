#include "mitu/node/node.hpp"

#include <fmt/format.h>

#include <fstream>

#include "mitu/fleet/files.hpp"
#include "mitu/fleet/templates.hpp"
#include "mitu/http/server.hpp"
#include "mitu/node/fleet_gate.hpp"
#include "mitu/node/http_api.hpp"
#include "mitu/node/shard_host.hpp"
#include "mitu/runtime/listener.hpp"
#include "mitu/runtime/process.hpp"
#include "mitu/runtime/worker_pool.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::node {

using trace::Level;
using trace::log;

namespace {

/// Files that are open beside MQTT connections: listeners, epoll, logs, HTTP.
constexpr std::uint64_t files_reserved = 48;

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
        : options_{options}, catalog_{std::move(catalog)} {}
    ~Impl() { stop(); }

    /// Errors  a sentence; what was started is stopped by the destructor.
    [[nodiscard]] std::optional<std::string> start();
    void stop();
    [[nodiscard]] NodePorts ports() const noexcept { return ports_; }

private:
    [[nodiscard]] std::optional<std::string> start_shards(std::uint16_t count);
    [[nodiscard]] std::vector<runtime::ShardPlace> place_shards(std::uint32_t count) const;
    [[nodiscard]] std::optional<std::string> start_http();
    [[nodiscard]] std::optional<std::string> write_port_file() const;

    NodeOptions options_;
    std::shared_ptr<const fleet::Catalog> catalog_;
    runtime::SystemClock clock_;
    std::unique_ptr<runtime::ConnectionBudget> budget_;
    std::unique_ptr<runtime::WorkerPool> logins_;
    std::unique_ptr<FleetGate> gate_;
    std::unique_ptr<broker::Mailroom> mailroom_;
    std::vector<std::unique_ptr<ShardHost>> hosts_;
    std::unique_ptr<NodeApi> api_;
    std::unique_ptr<http::Server> http_;  // after what its handlers work with
    NodePorts ports_;
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

    FleetGateOptions gate;
    gate.allow_anonymous = options_.allow_anonymous;
    gate.run_later = [this](std::function<void()> job) {
        return logins_->try_submit(std::move(job));
    };
    gate.answer = [this](broker::Admission admission) {
        hosts_[admission.ticket.shard.value]->post(std::move(admission));
    };
    gate_ = std::make_unique<FleetGate>(catalog_, std::move(gate));
    logins_ =
        std::make_unique<runtime::WorkerPool>(options_.login_threads, options_.logins_waiting_max);

    const auto count = options_.shards != 0 ? options_.shards
                                            : static_cast<std::uint16_t>(runtime::usable_cores());
    if (auto problem = start_shards(count)) return problem;
    if (auto problem = start_http()) return problem;
    if (auto problem = write_port_file()) return problem;
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

std::optional<std::string> Node::Impl::start_shards(std::uint16_t count) {
    std::vector<std::vector<runtime::UniqueFd>> sockets(count);
    for (const std::string& text : options_.listen) {
        const auto address = runtime::parse_listen_address(text);
        if (!address) return "--listen: " + address.error();
        auto listeners = runtime::listen_on(*address, count);
        if (!listeners) return "--listen: " + listeners.error();
        for (std::size_t i = 0; i < count; ++i) {
            sockets[i].push_back(std::move(listeners->sockets[i]));
        }
        if (ports_.mqtt == 0) ports_.mqtt = listeners->port;
    }
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
            runtime::make_server_network(io, clock_, {std::move(sockets[i]), {}, budget_.get()});
        if (!network) return network.error();
        hosts_.push_back(std::make_unique<ShardHost>(ShardId{i}, options_.limits, *mailroom_,
                                                     *gate_, catalog_, std::move(*network)));
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

std::optional<std::string> Node::Impl::start_http() {
    if (options_.http.empty()) return std::nullopt;
    const auto address = runtime::parse_listen_address("tcp://" + options_.http);
    if (!address) return "--http: " + address.error();
    http::ServerOptions server;
    server.host = address->host;
    server.port = address->port;
    server.tls = options_.api.tls;
    server.unix_path = options_.api.unix_socket;
    http_ = std::make_unique<http::Server>(server);
    std::vector<ShardHost*> hosts;
    hosts.reserve(hosts_.size());
    for (const auto& host : hosts_) hosts.push_back(host.get());
    const HttpApiContext context{catalog_, clock_, std::move(hosts)};
    auto api = NodeApi::create(options_.api, context);
    if (!api) return api.error();
    api_ = std::move(*api);
    add_watching(*http_, context);
    api_->add_to(*http_);
    const auto port = http_->start();
    if (!port) return "--http: " + port.error();
    ports_.http = *port;
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

void Node::Impl::stop() {
    if (http_) http_->stop();
    for (const auto& host : hosts_) host->request_stop();
    for (const auto& host : hosts_) host->join();
    if (logins_) logins_->stop();  // before the hosts, which its jobs would answer
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

}  // namespace mitu::node
