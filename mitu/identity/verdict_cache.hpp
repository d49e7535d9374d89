#pragma once
// VerdictCache: what a backend said about the same login before.

#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>

#include "mitu/base/time.hpp"
#include "mitu/identity/login.hpp"
#include "mitu/identity/secret.hpp"

namespace mitu::identity {

struct VerdictCacheOptions {
    std::size_t entries_max = 100'000;  // 0: no cache; the one unused for longest goes first
    Duration positive_ttl = Duration::seconds(60);
    Duration negative_ttl = Duration::seconds(5);
    /// How long an answer may serve while the backend is down.
    Duration stale_ttl = Duration::seconds(3'600);
};

/// Keyed by a keyed digest of all that the backend is told: neither the password nor anything that
/// it could be guessed from without the process's own key is kept.
/// Threading  one at a time; its owner locks.
class VerdictCache {
public:
    explicit VerdictCache(const VerdictCacheOptions& options) : options_{options} {}

    /// The verdict, if it is fresh and the identity has not expired.
    [[nodiscard]] std::optional<Verdict> find_fresh(const KeyedDigest& key, const Now& now);
    /// Only identities, for when the backend is down.
    [[nodiscard]] std::optional<Allow> find_stale(const KeyedDigest& key, const Now& now);
    void remember(const KeyedDigest& key, const Verdict& verdict, const Now& now);
    void clear() noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

private:
    struct Entry {
        KeyedDigest key{};
        Verdict verdict;
        Instant since;
    };
    struct Hash {
        std::size_t operator()(const KeyedDigest& key) const noexcept;
    };
    using Entries = std::list<Entry>;  // the last used first
    /// Moves it to the front; end(): not there.
    [[nodiscard]] Entries::iterator touch(const KeyedDigest& key);

    VerdictCacheOptions options_;
    Entries entries_;
    std::unordered_map<KeyedDigest, Entries::iterator, Hash> by_key_;  // never walked
};

}  // namespace mitu::identity
