#pragma once
// RefusalRing, RefusedAttempts: what was refused to whom, when, and by which bound.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "mitu/admission/limit.hpp"
#include "mitu/base/ip_network.hpp"
#include "mitu/base/strong_id.hpp"
#include "mitu/base/time.hpp"

namespace mitu::admission {

/// The last few refusals of one client. `Reason` is the caller's: why, in its own words.
/// Shape  plain: a session has it in its own memory, and only once something was refused to it.
template <class Reason, std::size_t size = 8>
class RefusalRing {
public:
    struct Entry {
        Instant last;
        std::uint32_t count = 0;  // in a row, up to `last`
        Reason reason{};
        Bound bound;
    };

    void note(Reason reason, Bound bound, Instant now) noexcept {
        if (count_ != 0) {
            Entry& last = entries_[(next_ + size - 1) % size];
            if (last.reason == reason && last.bound == bound) {
                last.last = now;
                if (last.count != 0xFFFF'FFFF) ++last.count;
                return;
            }
        }
        entries_[next_] = {now, 1, reason, bound};
        next_ = static_cast<std::uint8_t>((next_ + 1) % size);
        if (count_ < size) ++count_;
    }
    /// Calls visit(entry), the newest first.
    template <class Visit>
    void for_each(Visit visit) const {
        for (std::size_t i = 0; i < count_; ++i) visit(entries_[(next_ + 2 * size - 1 - i) % size]);
    }
    [[nodiscard]] std::size_t count() const noexcept { return count_; }

private:
    static_assert(std::is_trivially_destructible_v<Reason> && size < 128);
    std::array<Entry, size> entries_{};
    std::uint8_t next_ = 0;
    std::uint8_t count_ = 0;
};

/// A CONNECT that was refused.
struct RefusedAttempt {
    TenantId tenant;          // as claimed
    bool has_tenant = false;  // else nobody knows whose client it is, and `tenant` says nothing
    std::string client_id;    // as claimed; cut to 64 bytes
    IpAddress address{};
    std::uint8_t reason = 0;  // the code of MQTT 5
    std::string text;         // as the client was told; cut to 128 bytes
    Bound bound;
    bool has_bound = false;  // else it was for another reason: a password, a malformed packet
    std::optional<std::uint64_t> bound_value;  // what it stood at
    Instant last;
    std::uint32_t count = 0;
};

/// The client ids and addresses that were refused last, one line each, the oldest forgotten first.
/// Threading  shard-local.
class RefusedAttempts {
public:
    explicit RefusedAttempts(std::size_t lines_max = 256) : lines_max_{lines_max} {}

    void note(RefusedAttempt attempt);
    /// The newest first.
    [[nodiscard]] std::vector<RefusedAttempt> newest(std::size_t max = 256) const;
    /// What there is of one client id, the newest first; those whose tenant nobody knows too.
    [[nodiscard]] std::vector<RefusedAttempt> of_client(TenantId tenant,
                                                        std::string_view client_id) const;
    [[nodiscard]] std::size_t size() const noexcept { return lines_.size(); }

private:
    struct Line {
        RefusedAttempt attempt;
        std::uint64_t order = 0;
    };
    std::size_t lines_max_;
    std::vector<Line> lines_;
    std::uint64_t next_order_ = 1;
};

}  // namespace mitu::admission
