#pragma once
// What the host of a shard asks of a real network beside the port, and how it chooses one.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/ports/clock.hpp"
#include "mitu/ports/network.hpp"
#include "mitu/runtime/connection_budget.hpp"
#include "mitu/runtime/network_counters.hpp"
#include "mitu/runtime/unique_fd.hpp"

namespace mitu::runtime {

struct NetworkLimits {
    std::size_t read_bytes_max = 65'536;        // per connection and poll
    std::size_t poll_bytes_max = 1'048'576;     // per poll: the size of the shared read buffer
    std::uint32_t connections_max = 1'000'000;  // of this shard, lingering ones included
    std::uint32_t accepts_max = 64;             // per listener and poll
    std::uint32_t lingering_max = 1'024;        // then the oldest goes
    std::size_t linger_bytes_max = 262'144;     // thrown away per closed connection
    Duration linger_time_max = Duration::seconds(1);
    Duration unsent_time_max = Duration::seconds(5);  // for what write() took and the peer does not
};

/// Beside it: epoll and io_uring.
class ServerNetwork : public ports::Network {
public:
    /// Closes the listeners; connections stay.
    virtual void stop_accepting() = 0;
    /// Puts `socket` in the place of a listener, which is closed; a closed `socket` leaves the
    /// place empty: nobody comes in there. After stop_accepting() nothing happens. Errors  false:
    /// it cannot be watched; the place is empty.
    virtual bool replace_listener(std::uint16_t index, UniqueFd socket) = 0;
    /// Threading  the counters may be read by any thread.
    [[nodiscard]] virtual const NetworkCounters& counters() const noexcept = 0;

    /// Closes a detached connection that nobody will attach, and frees its filters. Any thread.
    static void close_detached(const ports::DetachedConnection& connection) noexcept;
};

/// The kernel interface that a shard's network stands on.
enum class Io : std::uint8_t { epoll, io_uring };
[[nodiscard]] std::string_view to_text(Io io) noexcept;

struct ServerNetworkOptions {
    std::vector<UniqueFd> listeners;  // listener_index of an event is the place in it; a closed one
                                      // is a place for replace_listener()
    NetworkLimits limits{};
    ConnectionBudget* budget = nullptr;  // shared by the shards, outlives them
};

/// `clock` outlives the network. The network may be made on any thread and then belongs to the one
/// that polls it.
/// Errors  what the kernel refused, as a sentence.
[[nodiscard]] Result<std::unique_ptr<ServerNetwork>, std::string> make_server_network(
    Io io, const ports::Clock& clock, ServerNetworkOptions options);

/// Why io_uring cannot be used here, as a sentence; empty: it can.
[[nodiscard]] std::string io_uring_problem();

}  // namespace mitu::runtime
