#include "mitu/runtime/topology.hpp"

#include <hwloc.h>
#include <numaif.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <fstream>
#include <system_error>
#include <utility>

#include "mitu/base/check.hpp"

namespace mitu::runtime {
namespace {

std::string sentence(const char* what, int error) {
    return std::string{what} + ": " + std::generic_category().message(error);
}

}  // namespace

struct Topology::Parts {
    struct Core {
        std::vector<std::uint32_t> processors;
    };
    struct Node {
        std::uint32_t number = ShardPlace::any;
        std::vector<Core> cores;
        /// In the order in which they are to be used: a thread of each core, then the second ones.
        std::vector<std::pair<std::uint32_t, bool>> order;  // processor, shares its core
    };
    std::vector<Node> nodes;

    /// Errors  a sentence.
    std::string load(hwloc_topology_t topology);
};

std::string Topology::Parts::load(hwloc_topology_t topology) {
    const std::unique_ptr<hwloc_bitmap_s, decltype(&hwloc_bitmap_free)> placed{hwloc_bitmap_alloc(),
                                                                               &hwloc_bitmap_free};
    const int node_count = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE);
    for (int n = 0; n < node_count; ++n) {
        hwloc_obj_t const found =
            hwloc_get_obj_by_type(topology, HWLOC_OBJ_NUMANODE, static_cast<unsigned>(n));
        Node node;
        if (node_count > 1) node.number = found->os_index;
        // Memory of another kind beside the same cores (HBM, CXL): they are counted already.
        if (hwloc_bitmap_intersects(found->cpuset, placed.get()) != 0) continue;
        hwloc_bitmap_or(placed.get(), placed.get(), found->cpuset);
        const unsigned cores = static_cast<unsigned>(std::max(
            0, hwloc_get_nbobjs_inside_cpuset_by_type(topology, found->cpuset, HWLOC_OBJ_CORE)));
        for (unsigned c = 0; c < cores; ++c) {
            hwloc_obj_t const core_object =
                hwloc_get_obj_inside_cpuset_by_type(topology, found->cpuset, HWLOC_OBJ_CORE, c);
            Core core;
            for (int p = hwloc_bitmap_first(core_object->cpuset); p >= 0;
                 p = hwloc_bitmap_next(core_object->cpuset, p)) {
                core.processors.push_back(static_cast<std::uint32_t>(p));
            }
            if (!core.processors.empty()) node.cores.push_back(std::move(core));
        }
        // Containers may hide cores and show hardware threads alone.
        if (node.cores.empty()) {
            for (int p = hwloc_bitmap_first(found->cpuset); p >= 0;
                 p = hwloc_bitmap_next(found->cpuset, p)) {
                node.cores.push_back({{static_cast<std::uint32_t>(p)}});
            }
        }
        for (std::size_t thread = 0;; ++thread) {
            const std::size_t before = node.order.size();
            for (const Core& core : node.cores) {
                if (thread < core.processors.size()) {
                    node.order.emplace_back(core.processors[thread], thread > 0);
                }
            }
            if (node.order.size() == before) break;
        }
        if (!node.order.empty())
            nodes.push_back(std::move(node));  // memory without cores: not ours
    }
    return nodes.empty() ? "the machine shows no processor that we may use" : std::string{};
}

Topology::Topology(std::unique_ptr<Parts> parts) : parts_{std::move(parts)} {}
Topology::Topology(Topology&& other) noexcept = default;
Topology& Topology::operator=(Topology&& other) noexcept = default;
Topology::~Topology() = default;

Result<Topology, std::string> Topology::read() { return synthetic({}); }

Result<Topology, std::string> Topology::synthetic(const std::string& description) {
    hwloc_topology_t topology = nullptr;
    if (hwloc_topology_init(&topology) != 0) return std::unexpected("hwloc has no memory");
    const std::unique_ptr<hwloc_topology, decltype(&hwloc_topology_destroy)> owner{
        topology, &hwloc_topology_destroy};
    if (!description.empty() && hwloc_topology_set_synthetic(topology, description.c_str()) != 0) {
        return std::unexpected("hwloc does not understand the topology \"" + description + "\"");
    }
    if (hwloc_topology_load(topology) != 0) {
        return std::unexpected(sentence("hwloc cannot read the machine", errno));
    }
    // What is there but not ours: affinity given from outside (taskset, a container).
    if (description.empty()) {
        hwloc_bitmap_t const ours = hwloc_bitmap_alloc();
        const bool known = hwloc_get_cpubind(topology, ours, HWLOC_CPUBIND_PROCESS) == 0 &&
                           hwloc_bitmap_iszero(ours) == 0;
        const bool restricted = !known || hwloc_topology_restrict(topology, ours, 0) == 0;
        const int error = errno;
        hwloc_bitmap_free(ours);
        if (!restricted) return std::unexpected(sentence("hwloc cannot restrict to ours", error));
    }
    auto parts = std::make_unique<Parts>();
    if (std::string problem = parts->load(topology); !problem.empty()) {
        return std::unexpected(std::move(problem));
    }
    return Topology{std::move(parts)};
}

std::uint32_t Topology::node_count() const noexcept {
    return static_cast<std::uint32_t>(parts_->nodes.size());
}
std::uint32_t Topology::core_count() const noexcept {
    std::size_t count = 0;
    for (const auto& node : parts_->nodes) count += node.cores.size();
    return static_cast<std::uint32_t>(count);
}
std::uint32_t Topology::processor_count() const noexcept {
    std::size_t count = 0;
    for (const auto& node : parts_->nodes) count += node.order.size();
    return static_cast<std::uint32_t>(count);
}

std::vector<ShardPlace> Topology::place(std::uint32_t shards) const {
    std::vector<ShardPlace> places;
    std::vector<std::size_t> used(parts_->nodes.size(), 0);
    std::size_t next = 0;
    const std::uint32_t processors = processor_count();
    MITU_CHECK(processors > 0);  // load() refuses a machine without
    while (places.size() < shards) {
        // A round over all processors before any is used twice, even where nodes differ in size.
        const std::size_t round = places.size() / processors;
        const std::size_t n = next++ % parts_->nodes.size();
        const Parts::Node& node = parts_->nodes[n];
        if (used[n] >= node.order.size() * (round + 1)) continue;
        const auto [processor, shares] = node.order[used[n]++ % node.order.size()];
        places.push_back({processor, node.number, shares || round > 0});
    }
    return places;
}

Binding bind_thread(const ShardPlace& place) {
    Binding binding;
    if (place.processor != ShardPlace::any) {
        cpu_set_t* const set = CPU_ALLOC(place.processor + 1);
        const std::size_t bytes = CPU_ALLOC_SIZE(place.processor + 1);
        MITU_CHECK(set != nullptr);
        CPU_ZERO_S(bytes, set);
        CPU_SET_S(place.processor, bytes, set);
        if (sched_setaffinity(0, bytes, set) != 0) {
            binding.processor_problem = sentence("the thread may not be pinned", errno);
        }
        CPU_FREE(set);
    }
    if (place.node != ShardPlace::any) {
        constexpr std::size_t bits = sizeof(unsigned long) * CHAR_BIT;
        std::array<unsigned long, 16> mask{};
        if (place.node >= mask.size() * bits) {
            binding.memory_problem = "the node's number is beyond what we can name";
        } else {
            mask[place.node / bits] = 1UL << (place.node % bits);
            // Preferred, not bound: memory far away beats none.
            if (set_mempolicy(MPOL_PREFERRED, mask.data(), mask.size() * bits) != 0) {
                binding.memory_problem = sentence("memory may not be bound to the node", errno);
            }
        }
    }
    return binding;
}

std::string huge_pages_problem() {
    const char* const path = "/sys/kernel/mm/transparent_hugepage/enabled";
    std::ifstream file{path};
    std::string modes;
    if (!std::getline(file, modes)) return "this kernel has no transparent huge pages";
    if (modes.find("[never]") != std::string::npos) {
        return std::string{path} + " says never; madvise is enough";
    }
    return {};
}

}  // namespace mitu::runtime
