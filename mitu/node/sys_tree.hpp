#pragma once
// SysTree: the values below `$SYS` for one tenant, and which of them have changed.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/time.hpp"

namespace mitu::node {

/// What is counted for one tenant, or for the whole server. Totals since the start unless a line
/// says otherwise.
struct SysFigures {
    std::uint64_t connected = 0;      // clients now
    std::uint64_t sessions = 0;       // now, with a connection or without
    std::uint64_t expired = 0;        // sessions whose time was up
    std::uint64_t connects = 0;       // CONNECTs that were accepted
    std::uint64_t subscriptions = 0;  // now
    std::uint64_t retained = 0;       // now
    std::uint64_t packets_received = 0;
    std::uint64_t packets_sent = 0;
    std::uint64_t publishes_received = 0;
    std::uint64_t publishes_sent = 0;
    std::uint64_t dropped = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_sent = 0;

    /// What only the server as a whole has.
    struct Server {
        std::uint64_t stored_messages = 0;  // now
        std::uint64_t stored_bytes = 0;     // now
        std::uint64_t resident_bytes = 0;   // now
        std::uint64_t sockets_opened = 0;
    };
    std::optional<Server> server{};

    SysFigures& operator+=(const SysFigures& other) noexcept;
};

/// One topic and its value, as mosquitto writes it.
struct SysValue {
    std::string topic;
    std::string payload;
};

/// Remembers what was said last, and the averages of one, five and fifteen minutes.
/// Threading  one thread at a time.
class SysTree {
public:
    explicit SysTree(std::string version) : version_{std::move(version)} {}

    /// The topics whose value differs from what was said last; an empty payload takes a value back,
    /// which happens to those of the server when they are not given any more. `elapsed`: since the
    /// last call; averages move by it.
    [[nodiscard]] std::vector<SysValue> update(const SysFigures& now, Instant uptime,
                                               Duration elapsed);
    /// Every topic that was ever said: to take them back.
    [[nodiscard]] std::vector<std::string> topics() const;

private:
    struct Load {
        std::uint64_t total = 0;
        std::array<double, 3> per_minute{};
    };
    std::string version_;
    std::map<std::string, std::string> said_;
    std::map<std::string, Load> loads_;
    std::uint64_t sessions_max_ = 0;
    std::uint64_t resident_max_ = 0;
};

}  // namespace mitu::node
