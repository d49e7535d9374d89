#pragma once
// Reserve: a file that only takes space, so that a start on a full disk has some.

#include <cstdint>
#include <string>

namespace mitu::store {

/// Threading  one thread at a time.
class Reserve {
public:
    /// `bytes` 0: there is none, and nothing is done.
    Reserve(std::string path, std::uint64_t bytes) : path_{std::move(path)}, bytes_{bytes} {}

    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    /// What it takes now: all of it or nothing. Cost  one stat().
    [[nodiscard]] std::uint64_t held_bytes() const;
    /// Gives its space back. False: there was nothing to give.
    bool release();
    /// Takes its space again, unless it has it. False: there is none, or the file system cannot
    /// set space aside; nothing is taken then.
    bool refill();

private:
    std::string path_;
    std::uint64_t bytes_;
};

}  // namespace mitu::store
