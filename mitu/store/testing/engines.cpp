#include "mitu/store/testing/engines.hpp"

#include "mitu/store/memory_engine.hpp"

namespace mitu::store::testing {
namespace {

class MemoryWorld final : public EngineWorld {
public:
    Engine& engine() override { return engine_; }
    void set_room(std::uint64_t bytes) override {
        engine_.set_bytes_max(engine_.stats().memory_bytes + bytes);
    }

private:
    MemoryEngine engine_;
};

}  // namespace

std::vector<EngineKind> engine_kinds() {
    return {{"memory", [] { return std::make_unique<MemoryWorld>(); }}};
}

}  // namespace mitu::store::testing
