#pragma once
// ShardTraces: a client or a topic, followed on all shards, as lines of JSON.

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "mitu/broker/tracer.hpp"
#include "mitu/http/server.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::node {

class ShardHost;

/// Threading  begin(): any thread but a shard's.
/// Lifetime   hosts and clock outlive it, and every stream that it has given.
class ShardTraces {
public:
    /// At once; each costs the shards something for what it follows.
    static constexpr int traces_max = 4;

    ShardTraces(std::vector<ShardHost*> hosts, const ports::Clock& clock)
        : hosts_{std::move(hosts)}, clock_{clock} {}

    /// Null: there are traces_max already. Letting go of the stream ends the trace.
    [[nodiscard]] std::shared_ptr<http::BodyStream> begin(broker::TraceQuery query);

private:
    std::vector<ShardHost*> hosts_;
    const ports::Clock& clock_;
    std::atomic<std::uint64_t> next_id_{1};
    std::shared_ptr<std::atomic<int>> open_ = std::make_shared<std::atomic<int>>(0);
};

/// One event as one line, with its newline.
[[nodiscard]] std::string trace_line(const broker::TraceEvent& event, WallTime at);

}  // namespace mitu::node
