#pragma once
// Stage: where a scenario is played. A server, connections to it, and time.

#include <cstdint>
#include <optional>
#include <string>

#include "mitu/base/bytes.hpp"
#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "sim/scenario/scenario.hpp"

namespace mitu::sim::scenario {

/// How the bytes of one connection flow. Nobody is told when that changes.
enum class Flow : std::uint8_t {
    open,
    slow,  // the client reads nothing: what the server sends stays on its way
    cut,   // neither direction; what was sent on it arrives once it is open again
};

/// Lifetime   a connection's number is valid until close() or reset().
/// Threading  one thread.
class Stage {
public:
    using Connection = std::uint32_t;
    virtual ~Stage() = default;

    /// Errors  a sentence (or lines) that says what is wrong and what to do.
    [[nodiscard]] virtual std::optional<std::string> start_server(const ServerOptions& options) = 0;
    /// In good order. Errors: the server did not end well.
    [[nodiscard]] virtual std::optional<std::string> stop_server() = 0;
    /// Without a chance to say goodbye.
    virtual void kill_server() = 0;
    /// What the server has not synced is lost with it. Errors: this stage cannot do that.
    [[nodiscard]] virtual std::optional<std::string> lose_power() {
        return "this machine cannot lose its power";
    }
    /// The disk takes nothing new any more, or works again.
    [[nodiscard]] virtual std::optional<std::string> set_disk_full(bool /*is_full*/) {
        return "the disk of this machine cannot be filled";
    }

    [[nodiscard]] virtual Result<Connection, std::string> open() = 0;
    virtual void send(Connection connection, ByteView bytes) = 0;
    /// What came since the last call. While cut or slow: nothing.
    [[nodiscard]] virtual Bytes receive(Connection connection) = 0;
    /// The server has closed, and everything it sent before was received.
    [[nodiscard]] virtual bool is_closed(Connection connection) = 0;
    /// What was sent before still arrives.
    virtual void close(Connection connection) = 0;
    /// What was sent before may be lost.
    virtual void reset(Connection connection) = 0;
    virtual void set_flow(Connection connection, Flow flow) = 0;

    /// Returns once something may have been received or closed, or at `deadline`.
    virtual void wait(Instant deadline) = 0;
    [[nodiscard]] virtual Instant now() = 0;
    /// How much longer than promised a thing may take here, the machine being what it is.
    [[nodiscard]] virtual Duration patience() const = 0;
};

}  // namespace mitu::sim::scenario
