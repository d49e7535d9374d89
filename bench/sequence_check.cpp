#include "bench/sequence_check.hpp"

namespace mitu::bench {

bool SequenceCheck::on_unexpected(std::uint64_t sequence) {
    if (sequence > next_) {
        for (; next_ < sequence; ++next_) {
            if (missing_.size() == missing_max) {
                forgotten_ += sequence - next_;
                break;
            }
            missing_.insert(missing_.end(), next_);
        }
        next_ = sequence + 1;
        return true;
    }
    if (missing_.erase(sequence) == 1) {
        ++reordered_;
        return true;
    }
    ++duplicated_;
    return false;
}

SequenceFaults SequenceCheck::faults(std::uint64_t sent) const noexcept {
    const std::uint64_t never_reached = sent > next_ ? sent - next_ : 0;
    return {.lost = missing_.size() + forgotten_ + never_reached,
            .duplicated = duplicated_,
            .reordered = reordered_};
}

}  // namespace mitu::bench
