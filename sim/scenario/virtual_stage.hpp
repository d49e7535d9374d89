#pragma once
// A stage in one thread and virtual time: the broker and the fleet's gate as mitud has them, on
// sockets in memory, without delays. Which shard is next is drawn from a seed.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "mitu/base/random.hpp"
#include "mitu/broker/testing/virtual_server.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/fleet/status.hpp"
#include "mitu/journal/testing/virtual_store.hpp"
#include "mitu/node/fleet_things.hpp"
#include "mitu/node/gatekeeper.hpp"
#include "mitu/node/testing.hpp"
#include "sim/scenario/stage.hpp"

namespace mitu::sim::scenario {

struct VirtualStageOptions {
    std::uint64_t seed = 1;
    bool chops = false;  // byte streams are cut and joined anywhere
};

class VirtualStage final : public Stage {
public:
    explicit VirtualStage(const VirtualStageOptions& options = {});
    ~VirtualStage() override;

    [[nodiscard]] std::optional<std::string> start_server(const ServerOptions& options) override;
    [[nodiscard]] std::optional<std::string> stop_server() override;
    void kill_server() override;
    [[nodiscard]] std::optional<std::string> lose_power() override;
    [[nodiscard]] std::optional<std::string> set_disk_full(bool is_full) override;
    [[nodiscard]] Result<Connection, std::string> open() override;
    void send(Connection connection, ByteView bytes) override;
    [[nodiscard]] Bytes receive(Connection connection) override;
    [[nodiscard]] bool is_closed(Connection connection) override;
    void close(Connection connection) override;
    void reset(Connection connection) override;
    void set_flow(Connection connection, Flow flow) override;
    void wait(Instant deadline) override;
    [[nodiscard]] Instant now() override { return clock_.at; }
    [[nodiscard]] Duration patience() const override { return {}; }

private:
    struct Line {
        std::shared_ptr<broker::testing::VirtualSocket> socket;
        Flow flow = Flow::open;
        Bytes held;  // sent while cut
    };
    struct Server;

    [[nodiscard]] std::optional<std::string> open_store(const ServerOptions& options,
                                                        const fleet::Catalog& catalog);
    [[nodiscard]] std::optional<std::string> restore_store();
    void lose_server();

    /// One step of a shard or a login; false: nobody has a reason.
    bool step();
    /// Until nobody has a reason, at the present time.
    void settle();
    /// Somebody has something to receive that the runner has not seen.
    [[nodiscard]] bool has_news() const;

    VirtualStageOptions options_;
    Prng prng_;
    node::StillClock clock_;
    std::unique_ptr<journal::testing::VirtualStore> store_;  // null: nothing is kept
    std::unique_ptr<Server> server_;
    std::map<Connection, Line> lines_;
    Connection next_ = 1;
    std::vector<std::uint16_t> ready_;
};

}  // namespace mitu::sim::scenario
