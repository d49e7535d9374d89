#pragma once
// What a store holds, and whether it agrees with itself.

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/store/engine.hpp"

namespace mitu::store {

/// Something that is not as it should be.
struct Finding {
    Family family = Family::meta;
    std::string what;          // which row, and what of it
    bool is_harmless = false;  // left over from a crash or by time; reads step over it
};

struct CheckReport {
    std::array<std::uint64_t, family_count> rows{};
    std::array<std::uint64_t, family_count> bytes{};  // of keys and values
    std::uint64_t expired = 0;
    std::vector<Finding> findings;  // the first of them
    std::uint64_t findings_total = 0;
    std::uint64_t harmless_total = 0;
    bool is_complete = true;  // false: some rows could not be read, see findings

    [[nodiscard]] bool is_sound() const noexcept { return findings_total == harmless_total; }
};

struct CheckOptions {
    std::size_t findings_max = 100;
    WallTime wall{};                  // what has expired by then
    std::function<bool()> goes_on{};  // asked now and then; false: it ends with ErrorKind::closed
};

/// A key as people can read it: what is no letter, digit or sign as \xNN.
[[nodiscard]] std::string printable(ByteView key);

/// Reads all rows: can each be read, is there what it refers to, do the counts of references agree.
/// Where a file cannot be read it goes on with the next kind of rows, and does not compare.
/// Errors  of reading, but not damage: that is a finding.
/// Cost    the whole store; in memory, one number for each session and each shared message.
[[nodiscard]] Result<CheckReport, Error> check(Engine& engine, const CheckOptions& options);

}  // namespace mitu::store
