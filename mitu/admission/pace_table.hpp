#pragma once
// PaceTable, ClientPaces: how often each of very many comes, in a table of fixed size.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "mitu/base/time.hpp"

namespace mitu::admission {

/// For each name one time: when its bucket, filled by what it does, will have run out.
///
/// Shape      16 bytes for each place, made at the first use. When it is full of others that are
///            busier, a name is forgotten; two names with equal 64-bit hashes are one.
/// Threading  shard-local.
class PaceTable {
public:
    explicit PaceTable(std::uint32_t names_max) : names_max_{std::max(names_max, ways)} {}

    /// The name's own, or in place of the one that runs out first: `now`.
    /// Lifetime  until the next call.
    [[nodiscard]] Instant& empty_at(std::uint64_t name_hash, Instant now) {
        if (slots_.empty()) slots_.resize(names_max_ / ways * ways);
        const std::size_t set = name_hash % (slots_.size() / ways) * ways;
        Slot* found = nullptr;
        Slot* free = &slots_[set];
        for (std::size_t i = set; i < set + ways; ++i) {
            if (slots_[i].name_hash == name_hash) found = &slots_[i];
            if (slots_[i].empty_at < free->empty_at) free = &slots_[i];
        }
        if (found == nullptr) {
            *free = {name_hash, now};
            found = free;
        }
        return found->empty_at;
    }
    /// Bytes.
    [[nodiscard]] std::size_t memory() const noexcept { return slots_.size() * sizeof(Slot); }

private:
    struct Slot {
        std::uint64_t name_hash = 0;
        Instant empty_at;
    };
    static constexpr std::uint32_t ways = 8;

    std::uint32_t names_max_;
    std::vector<Slot> slots_;
};

/// So many connects of one client in a minute, all of them at once if it likes.
class ClientPaces {
public:
    explicit ClientPaces(std::uint32_t clients_max = 16'384) : table_{clients_max} {}

    /// nullopt: it may. Else when it may; it was not counted.
    /// Shape  per_minute 0: everybody may, and nothing is remembered.
    [[nodiscard]] std::optional<Instant> try_connect(std::uint64_t name_hash,
                                                     std::uint32_t per_minute, Instant now) {
        if (per_minute == 0) return std::nullopt;
        constexpr Duration minute = Duration::seconds(60);
        Instant& empty_at = table_.empty_at(name_hash, now);
        const Instant next = std::max(empty_at, now) + minute / std::int64_t{per_minute};
        if (next > now + minute) return next + (Duration{} - minute);
        empty_at = next;
        return std::nullopt;
    }
    /// Bytes.
    [[nodiscard]] std::size_t memory() const noexcept { return table_.memory(); }

private:
    PaceTable table_;
};

}  // namespace mitu::admission
