#pragma once
// Who decides about a connection before anything is spent on it.

#include <cstdint>
#include <string_view>

#include "mitu/base/time.hpp"
#include "mitu/ports/peer_facts.hpp"

namespace mitu::transport {

/// Bans and rates live behind this. Calls come from the shard's own thread, in the middle of a
/// poll: they answer at once.
/// Threading  shard-local: each shard has its own.
class Doorkeeper {
public:
    virtual ~Doorkeeper() = default;

    /// Whether the connection may go on: asked once, when the true address is known (after a PROXY
    /// header) and before TLS. False: it is closed without a word.
    [[nodiscard]] virtual bool admits(const ports::PeerAddress& peer, std::uint16_t listener_index,
                                      Instant now) = 0;

    /// Handshakes wait in one queue per group, and the groups take turns: a tenant, for one.
    /// `server_name` is what the ClientHello says, so that anybody can claim it: answer with one
    /// of a bounded set, and `otherwise` for names that nobody has.
    [[nodiscard]] virtual std::uint32_t group_of(std::uint16_t listener_index,
                                                 std::string_view server_name,
                                                 std::uint32_t otherwise) = 0;

    /// One that was admitted, with something in front of MQTT, is on its way in no longer: it is
    /// open, or gone. Once for each.
    virtual void on_arrived(std::uint16_t listener_index, bool is_open) = 0;
};

}  // namespace mitu::transport
