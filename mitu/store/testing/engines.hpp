#pragma once
// Engines to run the contract with.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mitu/store/engine.hpp"

namespace mitu::store::testing {

/// One kind of engine, and what can be done to it from outside.
class EngineWorld {
public:
    virtual ~EngineWorld() = default;
    [[nodiscard]] virtual Engine& engine() = 0;
    /// Closes and opens again. False: this kind keeps nothing.
    [[nodiscard]] virtual bool reopen() { return false; }
    /// The same, after a loss of power: what was not synced may be gone.
    [[nodiscard]] virtual bool crash() { return false; }
    [[nodiscard]] virtual bool can_fill() const { return true; }
    /// From now on the disk has this much room for more.
    virtual void set_room(std::uint64_t bytes) = 0;
};

struct EngineKind {
    std::string name;
    std::function<std::unique_ptr<EngineWorld>()> make;
};

[[nodiscard]] std::vector<EngineKind> engine_kinds();

inline std::string name_of_kind(const ::testing::TestParamInfo<EngineKind>& info) {
    return info.param.name;
}

}  // namespace mitu::store::testing
