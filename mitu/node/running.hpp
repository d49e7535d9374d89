#pragma once
// Running: what the administration may do to a node while it serves. Node is one; tests have
// another.

#include <optional>
#include <string>
#include <vector>

#include "mitu/api/administration.hpp"
#include "mitu/base/result.hpp"
#include "mitu/config/config.hpp"

namespace mitu::node {

/// What a reload did, by key.
struct Applied {
    std::vector<std::string> live;        // hold now
    std::vector<std::string> on_restart;  // differ from what the node was started with
};

/// Each takes one part of `next` and leaves the rest of what runs as it is.
/// Errors     a sentence; what runs stays as it was.
/// Threading  any thread but a shard's; one call at a time (LiveConfig sees to it).
class Running {
public:
    virtual ~Running() = default;
    /// Whoever is banned now and is here is disconnected (0x8A).
    [[nodiscard]] virtual std::optional<std::string> take_bans(const config::Config& next) = 0;
    /// Whose user is gone, is off or has another password is disconnected (0x87).
    [[nodiscard]] virtual std::optional<std::string> take_users(const config::Config& next) = 0;
    /// A listener that goes off closes its sockets; who came in by it stays.
    [[nodiscard]] virtual std::optional<std::string> take_listener(const std::string& name,
                                                                   bool enabled) = 0;
    /// Everything that can change while clients are here; files that it names are read anew.
    [[nodiscard]] virtual Result<Applied, std::string> take_all(const config::Config& next) = 0;
    [[nodiscard]] virtual std::vector<api::ListenerInfo> listeners() = 0;
};

}  // namespace mitu::node
