#pragma once
// One stable hash for placement (shards, cohorts) and tables. The value is part of what is stored
// and of who owns what, so it never changes between versions or machines.

#include <cstdint>
#include <string_view>

namespace mitu {

/// XXH3-64 of `bytes`; the same on every machine.
[[nodiscard]] std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed = 0) noexcept;

}  // namespace mitu
