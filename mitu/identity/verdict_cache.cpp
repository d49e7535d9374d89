#include "mitu/identity/verdict_cache.hpp"

#include <cstring>

namespace mitu::identity {
namespace {

bool has_expired(const Verdict& verdict, const Now& now) noexcept {
    const auto* allow = std::get_if<Allow>(&verdict);
    return allow != nullptr && allow->identity.expires_at &&
           *allow->identity.expires_at <= now.unix_s;
}

}  // namespace

std::size_t VerdictCache::Hash::operator()(const KeyedDigest& key) const noexcept {
    std::size_t hash = 0;  // the digest is random already
    std::memcpy(&hash, key.data(), sizeof hash);
    return hash;
}

VerdictCache::Entries::iterator VerdictCache::touch(const KeyedDigest& key) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return entries_.end();
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second;
}

std::optional<Verdict> VerdictCache::find_fresh(const KeyedDigest& key, const Now& now) {
    const auto entry = touch(key);
    if (entry == entries_.end() || has_expired(entry->verdict, now)) return std::nullopt;
    const bool is_positive = std::holds_alternative<Allow>(entry->verdict);
    const Duration ttl = is_positive ? options_.positive_ttl : options_.negative_ttl;
    if (now.instant - entry->since >= ttl) return std::nullopt;
    return entry->verdict;
}

std::optional<Allow> VerdictCache::find_stale(const KeyedDigest& key, const Now& now) {
    const auto entry = touch(key);
    if (entry == entries_.end() || has_expired(entry->verdict, now)) return std::nullopt;
    const auto* allow = std::get_if<Allow>(&entry->verdict);
    if (allow == nullptr || now.instant - entry->since >= options_.stale_ttl) return std::nullopt;
    return *allow;
}

void VerdictCache::remember(const KeyedDigest& key, const Verdict& verdict, const Now& now) {
    if (options_.entries_max == 0) return;
    if (const auto entry = touch(key); entry != entries_.end()) {
        entry->verdict = verdict;
        entry->since = now.instant;
        return;
    }
    if (entries_.size() >= options_.entries_max) {
        by_key_.erase(entries_.back().key);
        entries_.pop_back();
    }
    entries_.push_front({key, verdict, now.instant});
    by_key_.emplace(key, entries_.begin());
}

void VerdictCache::clear() noexcept {
    by_key_.clear();
    entries_.clear();
}

}  // namespace mitu::identity
