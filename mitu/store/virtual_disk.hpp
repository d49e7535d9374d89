#pragma once
// VirtualDisk: files in memory that behave like a disk at its worst, by seed. For simulations and
// tests.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/base/random.hpp"
#include "mitu/base/result.hpp"

namespace mitu::store {

enum class DiskError : std::uint8_t { not_found, no_space, io };

/// Files and directories, each in two states: as programs see it, and as it is on the device. A
/// sync makes the one the other, for a file its bytes and for a directory its names. A crash loses
/// what was not synced, or a part of it: whichever prefix of the changes to names, and of each file
/// any of the 512-byte sectors that were not synced. Threading  none of its own; whoever shares it
/// locks.
class VirtualDisk {
public:
    struct Faults {
        double append_fails = 0;  // probabilities
        double sync_fails = 0;
        double read_fails = 0;
    };
    struct Counters {
        std::uint64_t appends = 0;
        std::uint64_t syncs = 0;
        std::uint64_t failures = 0;  // by Faults, and for want of space
    };

    explicit VirtualDisk(std::uint64_t seed) : random_{seed} {}

    struct File {
        Bytes bytes;
        Bytes synced;
    };
    using FilePtr = std::shared_ptr<File>;

    // ---- files
    // -----------------------------------------------------------------------------------
    [[nodiscard]] FilePtr find(const std::string& path) const;
    [[nodiscard]] bool is_directory(const std::string& path) const;
    /// Empty, in place of what had the name.
    FilePtr create(const std::string& path);
    [[nodiscard]] Result<void, DiskError> append(File& file, ByteView bytes);
    [[nodiscard]] Result<void, DiskError> sync(File& file);
    [[nodiscard]] Result<void, DiskError> truncate(File& file, std::uint64_t size);
    /// Whether a read fails now.
    [[nodiscard]] bool read_fails();

    // ---- names
    // -----------------------------------------------------------------------------------
    void make_directory(const std::string& path);
    [[nodiscard]] Result<void, DiskError> rename(const std::string& from, const std::string& to);
    [[nodiscard]] Result<void, DiskError> link(const std::string& from, const std::string& to);
    [[nodiscard]] Result<void, DiskError> remove(const std::string& path);
    [[nodiscard]] std::vector<std::string> children(const std::string& directory) const;
    [[nodiscard]] Result<void, DiskError> sync_names();

    // ---- the world's side
    // ------------------------------------------------------------------------
    /// The power goes: what is left is all that anybody sees from now on.
    void crash();
    void set_capacity(std::uint64_t bytes) noexcept { capacity_ = bytes; }
    void set_faults(const Faults& faults) noexcept { faults_ = faults; }
    /// The same disk at this moment, apart from this one: to take down a program that must not
    /// notice.
    [[nodiscard]] VirtualDisk copy() const;
    [[nodiscard]] std::uint64_t used_bytes() const;
    [[nodiscard]] std::uint64_t free_bytes() const;
    [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
    /// Keeps a copy of what there is once so many more appends and syncs are done: where the
    /// process ends, while a program that must not notice goes on. At most one at a time.
    void freeze_after(std::uint64_t operations) {
        frozen_.reset();
        freeze_in_ = operations;
    }
    [[nodiscard]] bool has_frozen() const noexcept { return frozen_ != nullptr; }
    /// That copy. Errors  nullopt: it has not come so far.
    [[nodiscard]] std::optional<VirtualDisk> take_frozen();
    /// All names, and all bytes under them, as one number: two runs of a seed agree.
    [[nodiscard]] std::uint64_t digest() const;
    /// Turns one bit, on the device too. False: no such byte.
    bool flip_bit(const std::string& path, std::uint64_t byte);

private:
    struct Change {
        std::string path;
        FilePtr file;  // null: the name goes
        bool is_directory = false;
    };
    struct Names {
        std::map<std::string, FilePtr> files;
        std::map<std::string, bool> directories;
        void apply(const Change& change);
    };
    void change(Change change);
    static void tear(File& file, Prng random);
    void count_operation();

    Prng random_;
    Names names_;
    Names synced_names_;
    std::vector<Change> unsynced_;
    std::uint64_t capacity_ = ~std::uint64_t{0};
    Faults faults_;
    Counters counters_;
    std::uint64_t freeze_in_ = 0;  // 0: not
    std::shared_ptr<VirtualDisk> frozen_;
};

}  // namespace mitu::store
