#pragma once
// NodeStore: what the API does with the store of a running node.

#include <atomic>
#include <optional>
#include <string>
#include <thread>

#include "mitu/api/administration.hpp"
#include "mitu/base/mutex.hpp"
#include "mitu/node/durable_store.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::node {

/// A check reads all there is, which may take minutes: it has a thread of its own, and its last
/// result is kept. A backup is made by hard links, and waited for.
/// Lifetime   store and clock outlive it; its end ends a check that is under way.
/// Threading  any thread but a shard's.
class NodeStore final : public api::Store {
public:
    NodeStore(DurableStore& store, const ports::Clock& clock) : store_{store}, clock_{clock} {}
    ~NodeStore() override;
    NodeStore(const NodeStore&) = delete;
    NodeStore& operator=(const NodeStore&) = delete;

    [[nodiscard]] api::Answer<std::string> numbers() override;
    [[nodiscard]] api::Answer<std::string> start_check() override;
    [[nodiscard]] api::Answer<std::string> last_check() override;
    [[nodiscard]] api::Answer<std::string> back_up(const std::string& directory) override;

private:
    enum class State : std::uint8_t { none, running, done, failed };
    void check();
    [[nodiscard]] std::string state_json() const MITU_REQUIRES(mutex_);

    DurableStore& store_;
    const ports::Clock& clock_;
    std::atomic<bool> is_ending_{false};
    mutable Mutex mutex_;
    State state_ MITU_GUARDED_BY(mutex_) = State::none;
    std::optional<WallTime> started_at_ MITU_GUARDED_BY(mutex_);
    std::string outcome_ MITU_GUARDED_BY(mutex_);  // done: JSON; failed: a sentence
    std::thread thread_ MITU_GUARDED_BY(mutex_);   // tidy-allow(threads): it reads a disk
};

}  // namespace mitu::node
