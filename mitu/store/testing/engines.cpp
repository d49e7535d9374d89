#include "mitu/store/testing/engines.hpp"

#include <unistd.h>

#include <filesystem>

#include "mitu/store/memory_engine.hpp"
#include "mitu/store/rocks_engine.hpp"

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

/// On the real file system, in a directory of its own. Its crash is a close: the simulated disk
/// does better.
class DiskWorld final : public EngineWorld {
public:
    DiskWorld() {
        static int count = 0;
        options_.directory =
            (std::filesystem::temp_directory_path() /
             ("mitu-store-" + std::to_string(::getpid()) + "-" + std::to_string(++count)))
                .string();
        (void)reopen();
    }
    ~DiskWorld() override {
        engine_.reset();
        std::error_code ignored;
        std::filesystem::remove_all(options_.directory, ignored);
    }
    Engine& engine() override { return *engine_; }
    bool reopen() override {
        engine_.reset();
        OpenReport report;
        auto opened = RocksEngine::open(options_, report);
        EXPECT_TRUE(opened) << opened.error().detail;
        EXPECT_TRUE(report.losses.empty());
        engine_ = std::move(*opened);
        return true;
    }
    bool can_fill() const override { return false; }
    void set_room(std::uint64_t /*bytes*/) override {}

private:
    DiskOptions options_;
    std::unique_ptr<RocksEngine> engine_;
};

}  // namespace

std::vector<EngineKind> engine_kinds() {
    return {{"memory", [] { return std::make_unique<MemoryWorld>(); }},
            {"disk", [] { return std::make_unique<DiskWorld>(); }}};
}

}  // namespace mitu::store::testing
