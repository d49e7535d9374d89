#pragma once
// Randomness that must differ between runs (generated client ids, seeds). The simulator gives a
// PRNG, the runtime the kernel's generator.

#include <cstdint>

namespace mitu::ports {

/// Threading  shard-local.
class Entropy {
public:
    virtual ~Entropy() = default;
    [[nodiscard]] virtual std::uint64_t next() noexcept = 0;
};

}  // namespace mitu::ports
