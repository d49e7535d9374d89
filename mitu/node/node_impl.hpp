#pragma once
// Node::Impl: what a node is made of. node.cpp starts and stops it; node_changes.cpp is what
// changes while it runs. Inside mitu/node only.

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "mitu/http/server.hpp"
#include "mitu/node/authentication_from_config.hpp"
#include "mitu/node/doors.hpp"
#include "mitu/node/durable_store.hpp"
#include "mitu/node/file_watch.hpp"
#include "mitu/node/gatekeeper.hpp"
#include "mitu/node/http_api.hpp"
#include "mitu/node/live_config.hpp"
#include "mitu/node/node.hpp"
#include "mitu/node/shard_host.hpp"
#include "mitu/node/sys_topics.hpp"
#include "mitu/node/watchdog.hpp"
#include "mitu/runtime/clock.hpp"
#include "mitu/runtime/held_sockets.hpp"
#include "mitu/runtime/worker_pool.hpp"

namespace mitu::node {

class Node::Impl final : public Running {
public:
    Impl(const NodeOptions& options, std::shared_ptr<const fleet::Catalog> catalog);
    ~Impl() override { stop(); }

    /// Errors  a sentence; what was started is stopped by the destructor.
    [[nodiscard]] std::optional<std::string> start();
    void stop();
    void drain();
    [[nodiscard]] NodePorts ports() const noexcept { return ports_; }
    [[nodiscard]] Result<Reloaded, std::string> reload();

    [[nodiscard]] std::optional<std::string> take_bans(const config::Config& next) override;
    [[nodiscard]] std::optional<std::string> take_users(const config::Config& next) override;
    [[nodiscard]] std::optional<std::string> take_listener(const std::string& name,
                                                           bool enabled) override;
    [[nodiscard]] Result<Applied, std::string> take_all(const config::Config& next) override;
    [[nodiscard]] std::vector<api::ListenerInfo> listeners() override;

private:
    /// A step of a walk over the sessions of a shard: where to go on; nullopt: done.
    using Step = std::function<std::optional<std::uint32_t>(broker::Shard&, std::uint32_t first,
                                                            Instant now)>;
    void walk_sessions(const Step& step);
    void renew_profiles();
    void dismiss_banned();
    void dismiss_users_that_changed(const config::Config& before, const config::Config& after);
    void keep_house();
    void renew_api_certificate();
    [[nodiscard]] std::optional<std::string> start_shards(std::uint16_t count);
    [[nodiscard]] std::vector<runtime::ShardPlace> place_shards(std::uint32_t count) const;
    [[nodiscard]] std::optional<std::string> open_doors(std::uint16_t count);
    [[nodiscard]] std::optional<std::string> open_http();
    [[nodiscard]] std::optional<std::string> open_metrics();
    [[nodiscard]] std::string api_name() const { return "api tcp://" + options_.http; }
    [[nodiscard]] std::string api_unix_name() const {
        return "api unix:" + options_.api.unix_socket;
    }
    [[nodiscard]] std::string metrics_name() const {
        return "metrics tcp://" + config_->metrics.bind;
    }
    [[nodiscard]] runtime::HeldSockets& held() noexcept {
        return options_.held_sockets != nullptr ? *options_.held_sockets : nothing_held_;
    }
    void hold(const std::string& name, int socket);
    [[nodiscard]] HttpApiContext http_context();
    [[nodiscard]] std::optional<std::string> start_http();
    [[nodiscard]] std::optional<std::string> start_metrics();
    [[nodiscard]] std::optional<std::string> write_port_file() const;

    NodeOptions options_;
    runtime::HeldSockets nothing_held_;
    std::shared_ptr<const config::Config> config_;              // what runs
    const std::shared_ptr<const config::Config> started_with_;  // what does not change live is so
    std::shared_ptr<const fleet::Catalog> catalog_;
    runtime::SystemClock clock_;
    std::unique_ptr<LiveConfig> live_;  // null: the configuration comes from nowhere
    AuthenticationSources sources_;
    std::optional<Doors> doors_;
    std::unique_ptr<admission::Control> admission_;
    std::unique_ptr<runtime::ConnectionBudget> budget_;
    std::unique_ptr<runtime::WorkerPool> logins_;
    std::unique_ptr<Gatekeeper> gate_;
    std::unique_ptr<broker::Mailroom> mailroom_;
    std::unique_ptr<DurableStore> store_;  // before the shards that have its journals
    std::vector<std::unique_ptr<ShardHost>> hosts_;
    std::unique_ptr<Watchdog> watchdog_;
    std::unique_ptr<NodeApi> api_;
    std::unique_ptr<http::Server> http_;  // after what its handlers work with
    http::Server::UnixFile api_file_ = http::Server::UnixFile::goes;
    std::unique_ptr<http::Server> metrics_http_;
    std::unique_ptr<SysTopics> sys_topics_;  // house thread, or under house_mutex_
    NodePorts ports_;
    std::optional<FileWatch> api_certificate_;
    std::mutex house_mutex_;  // what changes while it runs, and what happens each second
    std::condition_variable house_wakes_;
    bool house_ends_ = false;
    std::thread house_;  // tidy-allow(threads): looks at files once a second
};

}  // namespace mitu::node
