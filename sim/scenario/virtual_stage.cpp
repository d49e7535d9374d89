#include "sim/scenario/virtual_stage.hpp"

#include <algorithm>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/fleet/templates.hpp"

namespace mitu::sim::scenario {
namespace {

using broker::testing::VirtualServer;
using broker::testing::VirtualServerOptions;
using broker::testing::VirtualSocket;

constexpr std::size_t window_bytes_slow = 4u << 10;
constexpr std::uint64_t steps_max = 50'000'000;

/// What mitud does with its policies and registry, from texts instead of files.
Result<std::shared_ptr<const fleet::Catalog>, std::string> make_catalog(
    const ServerOptions& options) {
    std::vector<fleet::SourceFile> overlay;
    if (!options.policies.empty()) overlay.push_back({"policy", options.policies});
    const auto templates = fleet::load_templates(fleet::embedded_templates(), overlay);
    if (!templates) return std::unexpected(fleet::to_text(templates.error()));
    const fleet::SourceFile registry{"registry.csv", options.registry};
    auto catalog =
        fleet::Catalog::build(*templates, options.registry.empty() ? nullptr : &registry);
    if (!catalog) return std::unexpected(fleet::to_text(catalog.error()));
    return *catalog;
}

}  // namespace

/// What one mitud is made of (mitu/node/node.cpp), in one thread.
struct VirtualStage::Server {
    Server(const ServerOptions& options, std::shared_ptr<const fleet::Catalog> with,
           const VirtualStage& stage, Prng& prng)
        : catalog{std::move(with)},
          gate{stage.clock_,
               node::make_registry_authentication(catalog, options.allow_anonymous
                                                               ? identity::AnonymousRule::always
                                                               : identity::AnonymousRule::never),
               gate_options()} {
        VirtualServerOptions server;
        server.shards = options.shards;
        if (options.packet_bytes_max != 0) {
            server.limits.packet_bytes_max = options.packet_bytes_max;
        }
        server.network.chops = stage.options_.chops;
        if (auto* const store = stage.store_.get()) {
            server.journal_of = [store](std::uint16_t shard) { return store->journal(shard); };
        }
        for (std::uint16_t i = 0; i < options.shards; ++i) {
            status.push_back(std::make_unique<fleet::ShardStatus>(catalog->groups().size()));
            things.push_back(
                std::make_unique<node::FleetThings>(catalog, stage.clock_, *status[i]));
        }
        shards.emplace(server, gate, prng, [this](std::uint16_t i) { return things[i].get(); });
    }

    node::GatekeeperOptions gate_options() {
        node::GatekeeperOptions gate_with;
        gate_with.run_later = [this](std::function<void()> job) {
            jobs.push_back(std::move(job));
            return true;
        };
        gate_with.answer = [this](broker::Admission admission) {
            admissions.push_back(std::move(admission));
        };
        return gate_with;
    }

    std::shared_ptr<const fleet::Catalog> catalog;
    std::deque<std::function<void()>> jobs;
    std::deque<broker::Admission> admissions;
    node::Gatekeeper gate;
    std::vector<std::unique_ptr<fleet::ShardStatus>> status;
    std::vector<std::unique_ptr<node::FleetThings>> things;
    std::optional<VirtualServer> shards;
};

VirtualStage::VirtualStage(const VirtualStageOptions& options)
    : options_{options}, prng_{options.seed} {
    clock_.at = Instant::from_ns(1'000'000'000);  // zero is an instant in the past
}

VirtualStage::~VirtualStage() = default;

// --- the server ---

std::optional<std::string> VirtualStage::start_server(const ServerOptions& options) {
    if (server_) return "the server runs already";
    auto catalog = make_catalog(options);
    if (!catalog) return catalog.error();
    if (auto problem = open_store(options, **catalog)) return problem;
    server_ = std::make_unique<Server>(options, std::move(*catalog), *this, prng_);
    return restore_store();
}

std::optional<std::string> VirtualStage::open_store(const ServerOptions& options,
                                                    const fleet::Catalog& catalog) {
    if (options.durability == broker::Durability::none) return std::nullopt;
    if (!store_) {
        journal::testing::VirtualStoreOptions of_store;
        of_store.seed = options_.seed;
        of_store.shards = options.shards;
        of_store.will_grace = Duration::seconds(5);  // as the stage over TCP has it
        for (const auto& tenant : catalog.tenants()) {
            of_store.tenants.push_back({tenant.name, options.durability});
        }
        store_ = std::make_unique<journal::testing::VirtualStore>(std::move(of_store), clock_);
    }
    const auto begun = store_->begin_process([this](ShardId shard) {
        if (server_) server_->shards->network(shard.value).wake();
    });
    if (!begun) return begun.error();
    return std::nullopt;
}

std::optional<std::string> VirtualStage::restore_store() {
    if (!store_) return std::nullopt;
    std::vector<broker::Shard*> shards;
    for (std::uint16_t i = 0; i < server_->shards->shard_count(); ++i) {
        shards.push_back(&server_->shards->shard(i));
    }
    const auto restored = store_->restore(shards);
    if (restored) return std::nullopt;
    lose_server();
    return restored.error().detail;
}

void VirtualStage::lose_server() {
    server_.reset();
    if (store_) store_->end_process();
}

std::optional<std::string> VirtualStage::stop_server() {
    if (!server_) return std::nullopt;
    settle();
    server_->shards->begin_shutdown(clock_.at);
    settle();
    while (!server_->shards->finished()) {
        Instant next = server_->shards->next_deadline(clock_.at);
        if (store_) next = std::min(next, store_->next_deadline());
        if (next.is_never()) return "the server does not end: it waits for nothing";
        clock_.at = std::max(clock_.at, next);
        settle();
    }
    if (store_) store_->finish();
    lose_server();
    return std::nullopt;
}

void VirtualStage::kill_server() {
    if (!server_) return;
    settle();
    lose_server();
    for (auto& [number, line] : lines_) line.socket->closed_by_broker = true;
}

std::optional<std::string> VirtualStage::lose_power() {
    if (!server_) return "the server does not run";
    kill_server();
    store_->lose_power();
    return std::nullopt;
}

std::optional<std::string> VirtualStage::set_disk_full(bool is_full) {
    settle();
    store::VirtualDisk& disk = store_->disk();
    disk.set_capacity(is_full ? disk.used_bytes() : ~std::uint64_t{0});
    // The server looks at it once a second.
    for (const Instant end = clock_.at + Duration::seconds(3); clock_.at < end;) {
        clock_.at = std::min(end, clock_.at + Duration::milliseconds(100));
        settle();
    }
    return std::nullopt;
}

bool VirtualStage::step() {
    if (!server_) return false;
    if (!server_->jobs.empty()) {
        const auto job = std::move(server_->jobs.front());
        server_->jobs.pop_front();
        job();
        return true;
    }
    VirtualServer& shards = *server_->shards;
    if (!server_->admissions.empty()) {
        auto admission = std::move(server_->admissions.front());
        server_->admissions.pop_front();
        const std::uint16_t index = admission.ticket.shard.value;
        shards.shard(index).on_admission(std::move(admission), clock_.at);
        shards.network(index).wake();
        return true;
    }
    ready_.clear();
    for (std::uint16_t i = 0; i < shards.shard_count(); ++i) {
        if (shards.has_reason(i, clock_.at)) ready_.push_back(i);
    }
    if (ready_.empty()) return store_ && store_->step(&prng_);
    shards.step(ready_[static_cast<std::size_t>(prng_.below(ready_.size()))], clock_.at);
    return true;
}

void VirtualStage::settle() {
    for (std::uint64_t steps = 0; step(); ++steps) {
        MITU_CHECK_MSG(steps < steps_max, "the world runs in circles");
    }
}

// --- connections ---

Result<Stage::Connection, std::string> VirtualStage::open() {
    if (!server_) return std::unexpected("the server does not run");
    Line line;
    line.socket = std::make_shared<VirtualSocket>();
    const auto door = static_cast<std::uint16_t>(prng_.below(server_->shards->shard_count()));
    server_->shards->network(door).accept(line.socket);
    lines_.emplace(next_, std::move(line));
    return next_++;
}

void VirtualStage::send(Connection connection, ByteView bytes) {
    Line& line = lines_.at(connection);
    if (line.socket->closed_by_broker) return;
    Bytes& pipe = line.flow == Flow::cut ? line.held : line.socket->to_broker;
    pipe.insert(pipe.end(), bytes.begin(), bytes.end());
}

Bytes VirtualStage::receive(Connection connection) {
    Line& line = lines_.at(connection);
    if (line.flow != Flow::open) return {};
    return std::exchange(line.socket->to_client, {});
}

bool VirtualStage::is_closed(Connection connection) {
    const Line& line = lines_.at(connection);
    return line.flow == Flow::open && line.socket->closed_by_broker &&
           line.socket->to_client.empty();
}

void VirtualStage::close(Connection connection) {
    lines_.at(connection).socket->closed_by_client = true;
    lines_.erase(connection);
    settle();
}

void VirtualStage::reset(Connection connection) {
    VirtualSocket& socket = *lines_.at(connection).socket;
    socket.reset_by_client = socket.closed_by_client = true;
    lines_.erase(connection);
    settle();
}

void VirtualStage::set_flow(Connection connection, Flow flow) {
    settle();  // what was sent before is there
    Line& line = lines_.at(connection);
    line.flow = flow;
    line.socket->window_bytes =
        flow == Flow::slow ? window_bytes_slow : VirtualSocket{}.window_bytes;
    if (flow == Flow::cut) return;
    Bytes& pipe = line.socket->to_broker;
    pipe.insert(pipe.end(), line.held.begin(), line.held.end());
    line.held.clear();
}

// --- time ---

bool VirtualStage::has_news() const {
    return std::any_of(lines_.begin(), lines_.end(), [](const auto& entry) {
        const Line& line = entry.second;
        return line.flow == Flow::open &&
               (!line.socket->to_client.empty() || line.socket->closed_by_broker);
    });
}

void VirtualStage::wait(Instant deadline) {
    for (;;) {
        settle();
        if (has_news()) return;
        Instant next = server_ ? server_->shards->next_deadline(clock_.at) : Instant::never();
        if (server_ && store_) next = std::min(next, store_->next_deadline());
        if (next > deadline) break;
        clock_.at = std::max(clock_.at, next);
    }
    clock_.at = std::max(clock_.at, deadline);
    settle();
}

}  // namespace mitu::sim::scenario
