#pragma once
// A stage in the real world: the real mitud, real sockets, real time.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "apps/mitu-sim/server_process.hpp"
#include "mitu/runtime/unique_fd.hpp"
#include "sim/scenario/stage.hpp"

namespace mitu::sim_app {

/// A cut connection needs no proxy: to a server, a client that neither reads nor writes is one that
/// cannot be reached.
/// Threading  one thread; others may have stages of their own.
class TcpStage final : public sim::scenario::Stage {
public:
    /// `patience`: how much longer than promised things may take.
    TcpStage(std::string mitud, Duration patience);
    ~TcpStage() override;

    [[nodiscard]] std::optional<std::string> start_server(
        const sim::scenario::ServerOptions& options) override;
    [[nodiscard]] std::optional<std::string> stop_server() override;
    void kill_server() override;
    [[nodiscard]] Result<Connection, std::string> open() override;
    void send(Connection connection, ByteView bytes) override;
    [[nodiscard]] Bytes receive(Connection connection) override;
    [[nodiscard]] bool is_closed(Connection connection) override;
    void close(Connection connection) override;
    void reset(Connection connection) override;
    void set_flow(Connection connection, sim::scenario::Flow flow) override;
    void wait(Instant deadline) override;
    [[nodiscard]] Instant now() override;
    [[nodiscard]] Duration patience() const override { return patience_; }

private:
    struct Line {
        runtime::UniqueFd socket;
        sim::scenario::Flow flow = sim::scenario::Flow::open;
        Bytes unsent;
        Bytes received;
        bool has_ended = false;  // the server has closed, or it was lost
    };

    void flush(Line& line);
    void read(Line& line);
    void drop_leaving();

    ServerProcess server_;
    Duration patience_;
    std::int64_t start_ns_;
    std::map<Connection, Line> lines_;
    /// Closed by us, kept until the server has closed too: what it sent meanwhile would otherwise
    /// answer with a reset, which takes our last bytes with it.
    std::vector<Line> leaving_;
    Connection next_ = 1;
};

}  // namespace mitu::sim_app
