#pragma once
// A store as a directory on disk, looked at and copied by people: while no server has it open, or a
// copy of what a server has.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/store/check.hpp"
#include "mitu/store/rocks_engine.hpp"
#include "mitu/store/schema.hpp"

namespace mitu::store {

/// Where the store of a server lies, below its data directory.
[[nodiscard]] std::string store_in(const std::string& data_directory);

/// The other process that has it open; nullopt: none. Not for a process that has it open itself,
/// which would lose its own lock by closing the file (POSIX).
[[nodiscard]] std::optional<std::int64_t> holder_of(const std::string& directory);

/// All that can be said of a store without changing it.
struct Inspection {
    std::optional<Error> problem;       // it does not open; then nothing below is known
    std::vector<std::string> cut;       // of the log: what a start would cut off, and where
    std::vector<DamagedTable> damaged;  // what a start or a running server would put aside
    Identity identity;
    CheckReport report;

    [[nodiscard]] bool is_sound() const noexcept {
        return !problem && cut.empty() && damaged.empty() && report.is_sound();
    }
};

/// Every checksum, every row, and whether the rows agree. Damage is what it reports, no error.
/// `goes_on`: see CheckOptions.
/// Errors  unsupported, io_failed, closed.
/// Cost    reads the whole store; memory: see check(), and 16 MiB.
[[nodiscard]] Result<Inspection, Error> inspect(const std::string& directory, WallTime wall,
                                                const std::function<bool()>& goes_on = {});

struct BackupReport {
    std::string directory;  // a data directory: a server starts on it
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;  // as they are counted; linked files take no space of their own yet
};

/// What to do about it, a sentence each; empty: nothing.
[[nodiscard]] std::vector<std::string> remedies(const Inspection& inspection);

/// As JSON: {"sound": ..., "schema": ..., "rows": {...}, "damaged": [...], ...}.
[[nodiscard]] std::string to_json(const Inspection& inspection);
/// The numbers of an open store as JSON. `accepts_new`: as its committer says, if it has one.
/// Units  bytes.
[[nodiscard]] std::string stats_json(Engine& engine, const Identity& identity,
                                     std::optional<bool> accepts_new = std::nullopt);
/// A report of back_up() as JSON.
[[nodiscard]] std::string to_json(const BackupReport& report);

/// Makes `data_directory`, for its owner alone, and puts the store as of now into it: by hard
/// links, so within a moment. All that was written before the call is in it.
/// Errors      refused: it exists, what it is to lie in does not, or lies on another file system,
///             where there are no such links; else as Engine::backup. Nothing is left then.
/// Threading   any thread, while the writer writes.
[[nodiscard]] Result<BackupReport, Error> back_up(RocksEngine& engine,
                                                  const std::string& store_directory,
                                                  const std::string& data_directory);

/// Checks a store that is open: a copy by hard links beside it, which goes afterwards.
/// Errors      as back_up() and inspect().
/// Threading   any thread, one at a time.
[[nodiscard]] Result<Inspection, Error> inspect_open(RocksEngine& engine,
                                                     const std::string& store_directory,
                                                     WallTime wall,
                                                     const std::function<bool()>& goes_on = {});

}  // namespace mitu::store
