#pragma once
// The JWKS URLs of a configuration: each fetched over HTTP by a client of its own.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mitu/base/mutex.hpp"
#include "mitu/base/result.hpp"
#include "mitu/base/thread_annotations.hpp"
#include "mitu/config/config.hpp"
#include "mitu/http/client.hpp"
#include "mitu/node/key_fetcher.hpp"

namespace mitu::node {

/// For metrics.
struct KeyStatus {
    std::string method;
    identity::KeySource::Status keys;
};

/// Owns what outlives one reading of the configuration: fetched keys stay while URL, CA and times
/// stay as they are.
/// Threading  find(): one thread at a time. The rest: any thread.
class KeySources {
public:
    explicit KeySources(const ports::Clock& clock) noexcept : clock_{clock} {}

    struct Entry {
        std::shared_ptr<const identity::KeySource> source;
        std::shared_ptr<KeyFetcher> fetcher;
    };
    /// The source of that method; a new one is asked at once, and nobody waits for it here.
    /// Errors  a sentence: what is wrong with the URL or the CA file.
    [[nodiscard]] Result<Entry, std::string> find(const std::string& method, const config::Jwt& jwt)
        MITU_EXCLUDES(mutex_);

    /// Fetches what is due. To be called about once a second.
    void tick() MITU_EXCLUDES(mutex_);
    [[nodiscard]] std::vector<KeyStatus> status() const MITU_EXCLUDES(mutex_);
    /// Ends the connections: fetches under way fail.
    void stop() MITU_EXCLUDES(mutex_);

private:
    struct Known {
        Entry entry;
        std::shared_ptr<http::Client> client;
        config::Jwt from;
    };

    const ports::Clock& clock_;
    mutable Mutex mutex_;
    std::map<std::string, Known, std::less<>> known_ MITU_GUARDED_BY(mutex_);  // by method
    /// Of URLs that were configured before: a client must not end on its own thread, which the last
    /// login that waits for its keys may run on.
    std::vector<std::shared_ptr<http::Client>> retired_ MITU_GUARDED_BY(mutex_);
};

}  // namespace mitu::node
