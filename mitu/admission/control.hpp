#pragma once
// Control: all that decides, beside the gate, who comes in and who gets how much. One for a server.

#include <atomic>
#include <cstdint>

#include "mitu/admission/ban_list.hpp"
#include "mitu/admission/fault_watch.hpp"
#include "mitu/admission/flapping.hpp"
#include "mitu/admission/memory_pressure.hpp"
#include "mitu/admission/quota_ledger.hpp"

namespace mitu::admission {

struct ControlOptions {
    ServerLimits server{};
    FlappingOptions flapping{};
    FaultWatchOptions faults{};
    MemoryOptions memory{};
    std::size_t bans_max = 1'000'000;
    std::size_t refused_attempts_max = 256;  // remembered by each shard
    /// How long a client that was refused for lack of room is asked to stay away (0x89, 0x97).
    Duration retry_after = Duration::seconds(30);
};

/// Lifetime   outlives the shards.
/// Threading  any thread, as its parts say.
struct Control {
    explicit Control(const ControlOptions& given = {})
        : options{given}, bans{given.bans_max}, memory{given.memory} {
        // Nothing is reserved yet: it cannot be refused.
        static_cast<void>(ledger.set_server(given.server));
    }

    const ControlOptions options;
    QuotaLedger ledger;
    BanList bans;
    MemoryPressure memory;
    std::atomic<std::uint32_t> client_connects_per_minute{0};  // of one client id; 0: no limit
};

}  // namespace mitu::admission
