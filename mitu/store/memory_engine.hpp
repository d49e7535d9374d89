#pragma once
// MemoryEngine: rows in sorted maps. For `durability: none`, for tests and for simulations without
// a disk.

#include <array>
#include <atomic>
#include <map>

#include "mitu/base/mutex.hpp"
#include "mitu/store/engine.hpp"

namespace mitu::store {

/// Keeps nothing beyond its own life.
class MemoryEngine : public Engine {
public:
    struct Options {
        std::uint64_t bytes_max = ~std::uint64_t{0};  // above it, whatever adds bytes is disk_full
    };

    MemoryEngine() : MemoryEngine(Options{}) {}
    explicit MemoryEngine(const Options& options) : options_{options} {}

    [[nodiscard]] Result<void, Error> write(ByteView operations, bool sync) override;
    [[nodiscard]] Result<void, Error> sync() override;
    [[nodiscard]] Result<std::optional<Bytes>, Error> get(Family family, ByteView key) override;
    [[nodiscard]] std::unique_ptr<Rows> scan(Family family, ByteView from, ByteView to) override;
    [[nodiscard]] Result<std::optional<Bytes>, Error> last(Family family, ByteView from,
                                                           ByteView to) override;
    [[nodiscard]] Result<void, Error> recover() override { return {}; }
    [[nodiscard]] std::optional<std::uint64_t> free_bytes() override;
    void set_time(WallTime /*now*/) override {}
    [[nodiscard]] EngineStats stats() override;
    [[nodiscard]] Result<void, Error> backup(const std::string& directory) override;

    /// The bound changes: a disk that fills up, or is given space.
    void set_bytes_max(std::uint64_t bytes_max) MITU_EXCLUDES(mutex_);

private:
    class MapRows;
    using Map = std::map<Bytes, Bytes>;

    [[nodiscard]] std::uint64_t growth_of(ByteView operations) MITU_REQUIRES(mutex_);
    void apply(const Operation& operation) MITU_REQUIRES(mutex_);
    void put(Map& map, Bytes key, ByteView value) MITU_REQUIRES(mutex_);
    Map::iterator erase(Map& map, Map::iterator row) MITU_REQUIRES(mutex_);

    Mutex mutex_;
    Options options_ MITU_GUARDED_BY(mutex_);
    std::array<Map, family_count> maps_ MITU_GUARDED_BY(mutex_);
    std::uint64_t bytes_ MITU_GUARDED_BY(mutex_) = 0;
    std::uint64_t syncs_ MITU_GUARDED_BY(mutex_) = 0;
};

}  // namespace mitu::store
