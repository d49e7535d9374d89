#pragma once
// Which core and which memory each shard gets.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mitu/base/result.hpp"

namespace mitu::runtime {

/// Where one shard runs and has its memory.
struct ShardPlace {
    static constexpr std::uint32_t any = 0xFFFF'FFFF;
    std::uint32_t processor = any;  // the kernel's number of a hardware thread
    std::uint32_t node = any;       // the kernel's number of a NUMA node; any: there is only one
    bool shares_core = false;       // with a shard placed before it
};

/// What the machine is made of, as far as this process may use it (affinity, cpuset).
/// Threading  immutable.
class Topology {
public:
    /// Errors  what could not be read, as a sentence.
    [[nodiscard]] static Result<Topology, std::string> read();
    /// A machine that is not there, for tests: "numa:2 core:4 pu:2" has two nodes of four cores of
    /// two hardware threads each.
    /// Source  hwloc, "Synthetic topologies".
    [[nodiscard]] static Result<Topology, std::string> synthetic(const std::string& description);

    Topology(Topology&& other) noexcept;
    Topology& operator=(Topology&& other) noexcept;
    ~Topology();

    [[nodiscard]] std::uint32_t node_count() const noexcept;
    [[nodiscard]] std::uint32_t core_count() const noexcept;
    [[nodiscard]] std::uint32_t processor_count() const noexcept;

    /// Spreads shards over nodes round and round, and within a node over cores before hardware
    /// threads: a second thread of a core adds a third of it at best. More shards than processors
    /// share them in the same order.
    [[nodiscard]] std::vector<ShardPlace> place(std::uint32_t shards) const;

private:
    struct Parts;
    explicit Topology(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

/// What a thread got of what it asked for. A sentence where it was refused, empty where not.
struct Binding {
    std::string processor_problem;
    std::string memory_problem;
};

/// Keeps the calling thread on `place.processor`, and has the pages that it touches first come from
/// `place.node` as long as that node has any. Neither is an error where the kernel refuses: the
/// thread then runs, and has its memory, where the kernel likes.
[[nodiscard]] Binding bind_thread(const ShardPlace& place);

/// Why the kernel will give no transparent huge pages to who asks (madvise), as a sentence; empty:
/// it will, when it has some.
[[nodiscard]] std::string huge_pages_problem();

}  // namespace mitu::runtime
