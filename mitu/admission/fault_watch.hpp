#pragma once
// FaultWatch: whose sessions break again and again.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "mitu/admission/flapping.hpp"

namespace mitu::admission {

struct FaultWatchOptions {
    std::uint32_t faults_max = 0;  // within the window; 0: nobody is watched
    Duration window = Duration::seconds(600);
    Duration ban = Duration::seconds(600);
    std::uint32_t clients_max = 1'024;  // watched at once by one shard, 16 bytes each
};

/// Counts the faults of each client id as FlappingDetector counts connects. A client whose name
/// nobody knew when its session broke is noted by its hash, for when it comes again.
/// Threading  shard-local.
class FaultWatch {
public:
    explicit FaultWatch(const FaultWatchOptions& options)
        : options_{options},
          detector_{{options.faults_max, options.window, options.ban, options.clients_max}} {}

    /// True: this fault is one too many, and the client counts from zero: a ban is due.
    [[nodiscard]] bool is_one_too_many(std::uint64_t name_hash, Instant now) {
        return detector_.is_flapping(name_hash, now);
    }
    /// The ban is due when the client comes; of too many the oldest goes free.
    void note_due(std::uint64_t name_hash) {
        constexpr std::size_t due_max = 64;
        if (due_.size() == due_max) due_.erase(due_.begin());
        due_.push_back(name_hash);
    }
    [[nodiscard]] bool take_due(std::uint64_t name_hash) {
        return !due_.empty() && std::erase(due_, name_hash) != 0;
    }
    [[nodiscard]] const FaultWatchOptions& options() const noexcept { return options_; }

private:
    FaultWatchOptions options_;
    FlappingDetector detector_;
    std::vector<std::uint64_t> due_;
};

}  // namespace mitu::admission
