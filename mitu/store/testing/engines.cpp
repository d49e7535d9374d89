#include "mitu/store/testing/engines.hpp"

#include <unistd.h>

#include <filesystem>

#include "mitu/store/memory_engine.hpp"
#include "mitu/store/rocks_engine.hpp"
#include "mitu/store/virtual_env.hpp"

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
        // In memory if there is such a place: what an fsync costs is not the question here.
        const std::filesystem::path shared_memory{"/dev/shm"};
        const auto place = std::filesystem::is_directory(shared_memory)
                               ? shared_memory
                               : std::filesystem::temp_directory_path();
        options_.directory =
            place / ("mitu-store-" + std::to_string(::getpid()) + "-" + std::to_string(++count));
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

/// RocksDB on a disk that fails as asked, in one thread.
class VirtualWorld final : public EngineWorld {
public:
    VirtualWorld() { (void)reopen(); }
    Engine& engine() override { return *engine_; }
    bool reopen() override {
        engine_.reset();
        env_ = std::make_unique<VirtualEnv>(disk_);
        DiskOptions options;
        options.directory = "/data/store";
        options.write_buffer_bytes = 1U << 20;
        options.block_cache_bytes = 1U << 20;
        env_->install(options);
        OpenReport report;
        auto opened = RocksEngine::open(options, report);
        EXPECT_TRUE(opened) << opened.error().detail;
        if (opened) engine_ = std::move(*opened);
        return true;
    }
    bool crash() override {
        // What is written while it is taken down never happened.
        VirtualDisk after = disk_.copy();
        engine_.reset();
        disk_ = std::move(after);
        disk_.crash();
        return reopen();
    }
    void set_room(std::uint64_t bytes) override { disk_.set_capacity(disk_.used_bytes() + bytes); }

private:
    VirtualDisk disk_{1};
    std::unique_ptr<VirtualEnv> env_;
    std::unique_ptr<RocksEngine> engine_;
};

}  // namespace

std::vector<EngineKind> engine_kinds() {
    return {{"memory", [] { return std::make_unique<MemoryWorld>(); }},
            {"disk", [] { return std::make_unique<DiskWorld>(); }},
            {"virtual_disk", [] { return std::make_unique<VirtualWorld>(); }}};
}

}  // namespace mitu::store::testing
