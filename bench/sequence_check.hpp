#pragma once
// SequenceCheck: was anything lost, duplicated or reordered on its way from one publisher to one
// subscriber?

#include <cstdint>
#include <set>

namespace mitu::bench {

/// What went wrong, summed over flows.
struct SequenceFaults {
    std::uint64_t lost = 0;
    std::uint64_t duplicated = 0;
    std::uint64_t reordered = 0;  // arrived, but after a later one

    [[nodiscard]] bool none() const noexcept {
        return lost == 0 && duplicated == 0 && reordered == 0;
    }
    SequenceFaults& operator+=(const SequenceFaults& other) noexcept {
        lost += other.lost;
        duplicated += other.duplicated;
        reordered += other.reordered;
        return *this;
    }
};

/// One flow: sequence numbers 0, 1, 2, ... from one publisher, seen by one subscriber.
/// Cost  in order: one comparison. Gaps are remembered one by one, at most `missing_max` of them;
///       what is beyond is counted as lost even if it comes later (then also as duplicated).
class SequenceCheck {
public:
    static constexpr std::uint64_t missing_max = 100'000;

    /// True: `sequence` was not seen before.
    bool on_received(std::uint64_t sequence) noexcept(false) {
        if (sequence == next_) [[likely]] {
            ++next_;
            return true;
        }
        return on_unexpected(sequence);
    }

    /// The sequence number after the highest that was seen.
    [[nodiscard]] std::uint64_t next() const noexcept { return next_; }

    /// The verdict once nothing more will come; `sent` numbers were sent.
    [[nodiscard]] SequenceFaults faults(std::uint64_t sent) const noexcept;

private:
    bool on_unexpected(std::uint64_t sequence);

    std::uint64_t next_ = 0;
    std::set<std::uint64_t> missing_;
    std::uint64_t forgotten_ = 0;  // missing, but beyond missing_max
    std::uint64_t duplicated_ = 0;
    std::uint64_t reordered_ = 0;
};

/// One flow of which a subscriber gets only some: as a member of a shared subscription, or because
/// it is slow and the broker drops. Gaps are nothing; going back is.
class OrderCheck {
public:
    void on_received(std::uint64_t sequence) noexcept {
        if (sequence >= next_) [[likely]] {
            next_ = sequence + 1;
        } else if (sequence + 1 == next_) {
            ++faults_.duplicated;
        } else {
            ++faults_.reordered;
        }
    }
    [[nodiscard]] const SequenceFaults& faults() const noexcept { return faults_; }

private:
    std::uint64_t next_ = 0;
    SequenceFaults faults_;
};

}  // namespace mitu::bench
