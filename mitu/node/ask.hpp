#pragma once
// Asking a shard something from another thread, and waiting for the answer.

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>

#include "mitu/node/shard_host.hpp"

namespace mitu::node {

/// How long one shard may take.
inline constexpr Duration answer_time_max = Duration::seconds(1);

/// Asks one shard on its own thread. nullopt: it did not answer in time; it may do so later, so
/// what the question works with has to be its own.
/// Threading  any thread but a shard's.
template <class Answer>
std::optional<Answer> ask(ShardHost& host,
                          std::function<Answer(broker::Shard&, Instant)> question) {
    auto promise = std::make_shared<std::promise<Answer>>();
    auto future = promise->get_future();
    host.post([promise, question = std::move(question)](broker::Shard& shard, Instant now) {
        promise->set_value(question(shard, now));
    });
    const std::chrono::nanoseconds patience{answer_time_max.count_ns()};
    if (future.wait_for(patience) != std::future_status::ready) return std::nullopt;
    return future.get();
}

}  // namespace mitu::node
