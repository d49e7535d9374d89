#pragma once
// The answer of GET /api/v1/overview, and what `mitu top` makes of two of them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"

namespace mitu::cli {

/// Of the server, or of one shard.
struct OverviewNumbers {
    double connections = 0;
    double sessions = 0;
    double messages_received_total = 0;
    double messages_sent_total = 0;
    double bytes_received_total = 0;
    double bytes_sent_total = 0;
    double messages_dropped_total = 0;
    double subscriptions = 0;
    double retained = 0;
    double resident_bytes = 0;
};

struct Overview {
    Instant taken_at;
    double uptime_s = 0;
    OverviewNumbers server;
    std::vector<OverviewNumbers> shards;
};

[[nodiscard]] Result<Overview, std::string> read_overview(std::string_view json, Instant taken_at);

/// Rates come from the difference to `before`; without one, and after a restart of the server, they
/// are averages since the server's start.
[[nodiscard]] std::string overview_text(const Overview& now, const std::optional<Overview>& before);
[[nodiscard]] std::string overview_json(const Overview& now, const std::optional<Overview>& before);

}  // namespace mitu::cli
