#include "mitu/admission/flapping.hpp"

#include <algorithm>

namespace mitu::admission {

FlappingDetector::FlappingDetector(const FlappingOptions& options)
    : options_{options}, table_{options.clients_max} {}

bool FlappingDetector::is_flapping(std::uint64_t name_hash, Instant now) {
    if (options_.connects_max == 0) return false;
    Instant& empty_at = table_.empty_at(name_hash, now);
    const Duration each = options_.window / std::int64_t{options_.connects_max};
    empty_at = std::max(empty_at, now) + each;
    if (empty_at <= now + each * std::int64_t{options_.connects_max}) return false;
    empty_at = now;
    return true;
}

}  // namespace mitu::admission
