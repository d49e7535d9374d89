#pragma once
// KeyFetcher: brings a KeySource its keys, and lets logins wait for them.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mitu/base/mutex.hpp"
#include "mitu/base/thread_annotations.hpp"
#include "mitu/identity/key_source.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::node {

/// Asks the issuer. `done` is called exactly once, from any thread, within a bounded time. The
/// server's goes over HTTP, the simulator's where it likes.
using FetchKeys =
    std::function<void(const identity::KeyRequest&, std::function<void(identity::KeyReply)> done)>;

/// Threading  any thread.
/// Lifetime   `clock` outlives it. It lives while a fetch is under way.
class KeyFetcher : public std::enable_shared_from_this<KeyFetcher> {
public:
    struct Options {
        std::string method;  // for the log
        std::size_t waiting_max = 1'024;
    };
    KeyFetcher(Options options, const ports::Clock& clock,
               std::shared_ptr<identity::KeySource> source, FetchKeys fetch)
        : options_{std::move(options)},
          clock_{clock},
          source_{std::move(source)},
          fetch_{std::move(fetch)} {}

    /// Fetches if it is time to. To be called about once a second.
    void tick() { begin(false); }

    /// Calls `done` once: when the fetch that is under way, or that begins with this, is over; at
    /// once where there is nothing to wait for or too many wait.
    void wait(std::function<void()> done) MITU_EXCLUDES(mutex_);

    [[nodiscard]] const std::string& method() const noexcept { return options_.method; }
    [[nodiscard]] identity::KeySource::Status status() const {
        return source_->status(clock_.now());
    }

private:
    void begin(bool is_wanted) MITU_EXCLUDES(mutex_);
    void finish(const identity::KeyReply& reply) MITU_EXCLUDES(mutex_);
    void log_fetch(const identity::KeyFetch& fetch) const;

    const Options options_;
    const ports::Clock& clock_;
    const std::shared_ptr<identity::KeySource> source_;
    const FetchKeys fetch_;
    mutable Mutex mutex_;
    std::vector<std::function<void()>> waiting_ MITU_GUARDED_BY(mutex_);
    bool is_under_way_ MITU_GUARDED_BY(mutex_) = false;
};

}  // namespace mitu::node
