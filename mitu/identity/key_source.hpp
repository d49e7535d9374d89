#pragma once
// KeySource: keys of tokens that an issuer publishes at a URL. The part without HTTP: when to
// fetch, what a reply means, what is kept while the issuer cannot be reached, and for how long.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/mutex.hpp"
#include "mitu/base/thread_annotations.hpp"
#include "mitu/base/time.hpp"
#include "mitu/identity/key_set.hpp"

namespace mitu::identity {

struct KeySourceOptions {
    Duration refresh = Duration::seconds(300);         // where a reply has no max-age
    Duration refresh_min = Duration::seconds(5);       // max-age counts within these
    Duration refresh_max = Duration::seconds(86'400);  //
    Duration early_min = Duration::seconds(5);         // between fetches for unknown kids
    Duration retry_min = Duration::seconds(1);         // after a failure; doubles with each
    Duration retry_max = Duration::seconds(30);        //
    Duration stale_max = Duration::seconds(86'400);    // the last good keys count so long
};

/// What to GET.
struct KeyRequest {
    std::string etag;  // for If-None-Match; empty: without
};
/// What came back. Header fields as they were received; empty: there was none.
struct KeyReply {
    bool was_reached = false;
    int status = 0;
    std::string body;
    std::string etag;
    std::string cache_control;
    std::string age;
    std::string error;  // for the log, where it was not reached
};

/// How a fetch ended, for the log.
struct KeyFetch {
    enum class Result : std::uint8_t { fetched, unchanged, failed };
    Result result = Result::failed;
    std::string problem;                // of failed; nothing of the URL's query
    std::size_t keys = 0;               // that count now
    Duration next;                      // until the next fetch
    std::vector<std::string> warnings;  // of fetched: keys that were left out
};

/// How long a reply may be used by its Cache-Control and Age fields. nullopt: they do not say.
/// no-store and no-cache: zero.
/// Source  RFC 9111 sections 5.1, 5.2.2.
[[nodiscard]] std::optional<Duration> fresh_for(std::string_view cache_control,
                                                std::string_view age);

/// The `kid` in a token's header. nullopt: it names none, or is no token.
/// Cost  about 1 us: fit for a shard. A header of more than 4 KiB is not looked at.
[[nodiscard]] std::optional<std::string> kid_of_token(std::string_view token);

/// Keys that are fetched, again and again.
/// Order      begin(), the fetch, finish(): one at a time.
/// Threading  any thread.
class KeySource {
public:
    explicit KeySource(KeySourceOptions options) : options_{options} {}

    struct Found {
        std::shared_ptr<const KeySet> keys;  // null: none, or none young enough
        /// The wanted key is not among them, and a fetch that is under way, or may begin now, might
        /// bring it: worth waiting for.
        bool should_wait = false;
        /// The wanted key is not among them, and the last fetch has failed: nobody can tell whether
        /// there is such a key.
        bool is_unknowable = false;
    };
    /// Quick: fit for a shard. `kid`: the one that a token names.
    [[nodiscard]] Found find(const std::optional<std::string>& kid, Instant now) const
        MITU_EXCLUDES(mutex_);

    /// What to fetch now. nullopt: nothing yet, or a fetch is under way.
    /// `is_wanted`: somebody waits for a key that is not there. Then it may be early, but not more
    /// often than each `early_min`, however many unknown kids are tried.
    [[nodiscard]] std::optional<KeyRequest> begin(Instant now, bool is_wanted)
        MITU_EXCLUDES(mutex_);
    /// A reply without usable keys changes nothing but the time of the next fetch.
    KeyFetch finish(const KeyReply& reply, Instant now) MITU_EXCLUDES(mutex_);

    struct Status {
        std::size_t keys = 0;             // that count now
        std::optional<Duration> age;      // since the issuer last confirmed them
        std::uint64_t fetched_total = 0;  // new keys or unchanged ones
        std::uint64_t failed_total = 0;   //
        std::string problem;              // of the last fetch; empty: it went well
    };
    [[nodiscard]] Status status(Instant now) const MITU_EXCLUDES(mutex_);

private:
    [[nodiscard]] bool may_begin(Instant now, bool is_wanted) const MITU_REQUIRES(mutex_);
    [[nodiscard]] bool is_young(Instant now) const MITU_REQUIRES(mutex_);
    [[nodiscard]] KeyFetch fail(std::string problem, Instant now) MITU_REQUIRES(mutex_);

    const KeySourceOptions options_;
    mutable Mutex mutex_;
    std::shared_ptr<const KeySet> keys_ MITU_GUARDED_BY(mutex_);  // the last good ones
    std::string etag_ MITU_GUARDED_BY(mutex_);                    // theirs
    Instant confirmed_at_ MITU_GUARDED_BY(mutex_);                // when they came, or a 304
    Instant next_at_ MITU_GUARDED_BY(mutex_);                     // at once
    std::optional<Instant> began_at_ MITU_GUARDED_BY(mutex_);     // the last fetch
    bool is_under_way_ MITU_GUARDED_BY(mutex_) = false;
    std::uint32_t failures_ MITU_GUARDED_BY(mutex_) = 0;  // in a row
    std::uint64_t fetched_total_ MITU_GUARDED_BY(mutex_) = 0;
    std::uint64_t failed_total_ MITU_GUARDED_BY(mutex_) = 0;
    std::string problem_ MITU_GUARDED_BY(mutex_);
};

}  // namespace mitu::identity
