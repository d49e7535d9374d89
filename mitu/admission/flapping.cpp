#include "mitu/admission/flapping.hpp"

#include <algorithm>

namespace mitu::admission {

FlappingDetector::FlappingDetector(const FlappingOptions& options) : options_{options} {
    options_.clients_max = std::max<std::uint32_t>(options_.clients_max, ways);
}

bool FlappingDetector::is_flapping(std::uint64_t name_hash, Instant now) {
    if (options_.connects_max == 0) return false;
    if (slots_.empty()) slots_.resize(options_.clients_max / ways * ways);
    const std::size_t set = name_hash % (slots_.size() / ways) * ways;
    Slot* found = nullptr;
    Slot* free = &slots_[set];
    for (std::size_t i = set; i < set + ways; ++i) {
        if (slots_[i].name_hash == name_hash) found = &slots_[i];
        if (slots_[i].empty_at < free->empty_at) free = &slots_[i];
    }
    Slot& slot = found != nullptr ? *found : *free;
    if (found == nullptr) slot = {name_hash, now};
    const Duration each = options_.window / std::int64_t{options_.connects_max};
    slot.empty_at = std::max(slot.empty_at, now) + each;
    if (slot.empty_at <= now + each * std::int64_t{options_.connects_max}) return false;
    slot.empty_at = now;
    return true;
}

}  // namespace mitu::admission
