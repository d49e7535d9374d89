#pragma once
// VirtualEnv: a machine for RocksDB to run on whose disk is virtual, whose clock stands still until
// it is moved, and whose background work is done when it is told to, by whoever tells it.

#include <memory>

#include "mitu/base/time.hpp"
#include "mitu/store/rocks_engine.hpp"
#include "mitu/store/virtual_disk.hpp"

namespace mitu::store {

/// Lifetime   the disk outlives it, and it outlives the engine that uses it.
/// Threading  one thread, but for the calls of an engine that wait for background work (recover,
/// backup,
///            compact): while they wait, a second one does that work.
class VirtualEnv final : public BackgroundJobs {
public:
    explicit VirtualEnv(VirtualDisk& disk);
    ~VirtualEnv() override;

    /// What DiskOptions needs to run on it.
    void install(DiskOptions& options);
    void set_time(Instant now, WallTime wall);

    void run() override;
    void begin_wait() override;
    void end_wait() override;
    /// Tells of work that was begun: none may be when the machine crashes.
    [[nodiscard]] std::size_t queued_jobs() const;

private:
    class Machine;
    std::unique_ptr<Machine> machine_;
};

}  // namespace mitu::store
