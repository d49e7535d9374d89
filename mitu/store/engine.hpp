#pragma once
// Engine: ordered rows of bytes, by family. What of the store differs between memory and disk; all
// above it (records, commits, reads, housekeeping, checks) is the same code.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/store/batch.hpp"
#include "mitu/store/error.hpp"
#include "mitu/store/family.hpp"

namespace mitu::store {

/// Rows of a range, in the order of their keys.
/// Order      a row that is there from before until after the reading is met once. Whether a row
/// that is
///            written or erased meanwhile is met, is open.
/// Threading  one thread, any.
class Rows {
public:
    virtual ~Rows() = default;
    /// Steps to the next row, at first to the first. False: at the end, or error() says why not.
    [[nodiscard]] virtual bool next() = 0;
    /// Lifetime  until next().
    [[nodiscard]] virtual ByteView key() const = 0;
    [[nodiscard]] virtual ByteView value() const = 0;
    [[nodiscard]] virtual std::optional<Error> error() const = 0;
};

struct EngineStats {
    struct OfFamily {
        std::uint64_t rows_estimate = 0;
        std::uint64_t disk_bytes = 0;
        std::uint64_t memory_bytes = 0;
    };
    std::array<OfFamily, family_count> families{};
    std::uint64_t log_bytes = 0;     // the write-ahead log
    std::uint64_t memory_bytes = 0;  // caches and buffers, all together
    std::uint64_t syncs = 0;
};

/// Threading  one thread writes (write, sync, recover); any thread reads, at any time.
class Engine {
public:
    virtual ~Engine() = default;

    /// Does all operations or none. When it returns, a kill of the process does not undo it; a loss
    /// of power may undo it and all that came after it, until sync() or a later write with `sync`.
    /// Errors  disk_full, io_failed, damaged: nothing was done. After a crash it may be there all
    /// the same.
    [[nodiscard]] virtual Result<void, Error> write(ByteView operations, bool sync) = 0;
    /// All that was written is on the device.
    [[nodiscard]] virtual Result<void, Error> sync() = 0;

    [[nodiscard]] virtual Result<std::optional<Bytes>, Error> get(Family family, ByteView key) = 0;
    /// From `from` to `to`, which is not met; an empty `to`: to the end.
    [[nodiscard]] virtual std::unique_ptr<Rows> scan(Family family, ByteView from, ByteView to) = 0;

    /// The key of the last row of such a range; nullopt: the range is empty. Cost  one lookup.
    [[nodiscard]] virtual Result<std::optional<Bytes>, Error> last(Family family, ByteView from,
                                                                   ByteView to) = 0;

    /// Something that was read did not hold against its checksum: recover() is to put it aside.
    [[nodiscard]] virtual bool has_found_damage() const noexcept { return false; }
    /// Tries to write again after an error, and mends what was found damaged. The thread that calls
    /// it holds no Rows.
    /// Errors  why it is still not possible.
    [[nodiscard]] virtual Result<void, Error> recover() = 0;
    /// What can still be written; nullopt: nobody knows, or there is no bound.
    [[nodiscard]] virtual std::optional<std::uint64_t> free_bytes() = 0;
    /// There is plenty of room: whoever keeps some of it for a start on a full disk may take that
    /// now. The writer's.
    virtual void refill_reserve() {}
    /// What lies in that reserve: neither free nor needed.
    [[nodiscard]] virtual std::uint64_t reserved_bytes() { return 0; }
    /// Rows that have expired by now may be dropped by the engine on its own.
    virtual void set_time(WallTime now) = 0;
    /// What was lost, in words, since the last time: see recover().
    [[nodiscard]] virtual std::vector<std::string> take_losses() { return {}; }
    [[nodiscard]] virtual EngineStats stats() = 0;
    /// A copy as of now in a directory that does not exist yet; readable by open() of the same
    /// kind.
    [[nodiscard]] virtual Result<void, Error> backup(const std::string& directory) = 0;
};

}  // namespace mitu::store
