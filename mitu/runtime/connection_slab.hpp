#pragma once
// Where a network keeps its connections, addressed by index, guarded against stale ids by a
// generation. Slots come in chunks that never move and are reused for ever.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "mitu/base/check.hpp"
#include "mitu/ports/network.hpp"

namespace mitu::runtime {

/// What every network knows of one connection.
struct ConnectionSlot {
    enum class State : std::uint8_t { free, open, lingering };

    std::int32_t fd = -1;
    std::uint32_t generation = 0;  // 0: never used
    // free: the next free index; lingering: bytes thrown away so far
    std::uint32_t link = 0;
    std::uint16_t listener_index = 0;
    ports::PeerAddress peer;
    State state = State::free;
};

/// Shape      `Slot` is a ConnectionSlot and what one network keeps beside it. An idle connection
///            holds nothing else in user space.
/// Threading  shard-local.
template <class Slot>
class ConnectionSlab {
    static_assert(std::is_base_of_v<ConnectionSlot, Slot>);
    static_assert(sizeof(Slot) <= 48, "idle connections are counted by the million");

public:
    /// The slot is `open` and blank but for its generation.
    [[nodiscard]] ports::ConnectionId allocate() {
        if (free_ == none) add_chunk();
        const std::uint32_t index = free_;
        Slot& slot = at(index);
        free_ = slot.link;
        const std::uint32_t generation = slot.generation == UINT32_MAX ? 1 : slot.generation + 1;
        slot = Slot{};
        slot.generation = generation;
        slot.state = Slot::State::open;
        ++used_;
        return {index, generation};
    }

    void free(std::uint32_t index) noexcept {
        Slot& slot = at(index);
        MITU_CHECK(slot.state != Slot::State::free);
        slot.state = Slot::State::free;
        slot.fd = -1;
        slot.link = free_;
        free_ = index;
        --used_;
    }

    /// nullptr: stale. Finds lingering connections too.
    [[nodiscard]] Slot* find(ports::ConnectionId id) noexcept {
        if (id.index >= capacity() || id.is_none()) return nullptr;
        Slot& slot = at(id.index);
        const bool is_live = slot.state != Slot::State::free;
        return is_live && slot.generation == id.generation ? &slot : nullptr;
    }
    /// nullptr: stale or on its way out.
    [[nodiscard]] Slot* find_open(ports::ConnectionId id) noexcept {
        Slot* const slot = find(id);
        return slot != nullptr && slot->state == Slot::State::open ? slot : nullptr;
    }

    [[nodiscard]] Slot& at(std::uint32_t index) noexcept {
        return chunks_[index / chunk_slots][index % chunk_slots];
    }
    /// Open and lingering ones.
    [[nodiscard]] std::uint32_t used() const noexcept { return used_; }
    [[nodiscard]] std::uint32_t capacity() const noexcept {
        return static_cast<std::uint32_t>(chunks_.size()) * chunk_slots;
    }

private:
    static constexpr std::uint32_t chunk_slots = 1'024;
    static constexpr std::uint32_t none = UINT32_MAX;

    void add_chunk() {
        const std::uint32_t first = capacity();
        chunks_.push_back(std::make_unique<Slot[]>(chunk_slots));
        for (std::uint32_t i = 0; i < chunk_slots; ++i) {
            at(first + i).link = i + 1 < chunk_slots ? first + i + 1 : none;
        }
        free_ = first;
    }

    std::vector<std::unique_ptr<Slot[]>> chunks_;
    std::uint32_t free_ = none;
    std::uint32_t used_ = 0;
};

}  // namespace mitu::runtime
