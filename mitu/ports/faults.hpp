#pragma once
// Fault points that live in the code: `if (faults.fire(Fault::outbox_full))`. In production the
// answer is always no; in a simulated run each point is on or off by seed.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mitu/ports/network.hpp"

namespace mitu::ports {

enum class Fault : std::uint8_t {
    outbox_full,          // a session's queue says that it is full
    message_store_full,   // the shard has no memory for one more message
    lane_full,            // a lane to another shard says that it has no room
    mail_late,            // what another shard has just put into its lane is not seen yet
    write_short,          // the network takes only the first byte of what it is given
    admission_slow,       // an authentication answer takes long
    shard_stalls,         // its thread gets no time for a while, and the others go on
    session_memory_full,  // a session's memory says that its budget is spent
    session_breaks,       // the handling of a session fails in the middle (memory::ZoneFault)
};
inline constexpr std::size_t fault_count = static_cast<std::size_t>(Fault::session_breaks) + 1;

/// The enumerator's own name.
[[nodiscard]] constexpr std::string_view to_text(Fault fault) noexcept {
    switch (fault) {
        case Fault::outbox_full:
            return "outbox_full";
        case Fault::message_store_full:
            return "message_store_full";
        case Fault::lane_full:
            return "lane_full";
        case Fault::mail_late:
            return "mail_late";
        case Fault::write_short:
            return "write_short";
        case Fault::admission_slow:
            return "admission_slow";
        case Fault::shard_stalls:
            return "shard_stalls";
        case Fault::session_memory_full:
            return "session_memory_full";
        case Fault::session_breaks:
            return "session_breaks";
    }
    return "unknown";
}

/// A session that a fault has ended. It is named from outside: what it says itself is not believed.
struct BrokenSession {
    std::uint32_t tenant = 0;
    std::uint64_t name_hash = 0;  // hash_bytes(client id, tenant)
    ConnectionId connection{};    // that closes with it; none: there was none
    std::string_view fault;       // the memory::ZoneFault's own name
};

/// Threading  shard-local.
class Faults {
public:
    virtual ~Faults() = default;
    [[nodiscard]] virtual bool fire(Fault fault) noexcept = 0;
    /// False: none ever will, and nobody need ask.
    [[nodiscard]] virtual bool can_fire() const noexcept { return true; }
    /// What breaks when session_breaks has fired, for this client of this tenant. It need not
    /// return; it may throw, or touch what it must not.
    virtual void strike(std::uint32_t /*tenant*/, std::string_view /*client_id*/) {}
    /// A session has just broken, by whatever fault: from here on nobody finds it.
    virtual void broke(const BrokenSession& /*session*/) {}
    /// It is put away, before the end of the turn. `is_whole`: its memory was believed, and all
    /// that its end brings with it (the will, what other members are to have) follows now.
    virtual void buried(const BrokenSession& /*session*/, bool /*is_whole*/) {}
};

/// Production: nothing ever fires.
class NoFaults final : public Faults {
public:
    [[nodiscard]] bool fire(Fault /*fault*/) noexcept override { return false; }
    [[nodiscard]] bool can_fire() const noexcept override { return false; }
};

}  // namespace mitu::ports
