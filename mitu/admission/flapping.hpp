#pragma once
// FlappingDetector: who connects again and again.

#include <cstddef>
#include <cstdint>

#include "mitu/admission/pace_table.hpp"
#include "mitu/base/time.hpp"

namespace mitu::admission {

struct FlappingOptions {
    std::uint32_t connects_max = 0;  // within the window; 0: nobody is watched
    Duration window = Duration::seconds(60);
    Duration ban = Duration::seconds(300);
    /// Clients watched at once by one shard, 16 bytes each. Who connects seldom needs no place.
    std::uint32_t clients_max = 16'384;
};

/// Counts the connects of each client id, in a table of fixed size. Counted is only who was let
/// in: whoever merely knows a name must not be able to have its owner banned.
///
/// Shape      when the table is full of others that flap, one goes unnoticed; nobody is banned
///            for somebody else's connects but by two equal 64-bit hashes.
/// Threading  shard-local: a client id has its home on one shard.
class FlappingDetector {
public:
    explicit FlappingDetector(const FlappingOptions& options);

    /// True: this connect is one too many. From here on the client counts from zero: a ban is due.
    [[nodiscard]] bool is_flapping(std::uint64_t name_hash, Instant now);
    [[nodiscard]] const FlappingOptions& options() const noexcept { return options_; }
    /// Bytes.
    [[nodiscard]] std::size_t memory() const noexcept { return table_.memory(); }

private:
    FlappingOptions options_;
    PaceTable table_;  // each connect fills a bucket by one, and it runs out over the window
};

}  // namespace mitu::admission
