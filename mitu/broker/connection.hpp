#pragma once
// Connection: what a shard keeps for one open byte stream.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/base/time.hpp"
#include "mitu/mqtt/types.hpp"
#include "mitu/ports/network.hpp"

namespace mitu::broker {

/// Parts that nobody has at the moment, so that taking one does not go to the allocator.
template <class Part>
class SpareParts {
public:
    [[nodiscard]] std::unique_ptr<Part> take() {
        if (spare_.empty()) return std::make_unique<Part>();
        auto part = std::move(spare_.back());
        spare_.pop_back();
        return part;
    }
    void keep(std::unique_ptr<Part> part) {
        if (spare_.size() >= spare_max) return;
        part->begin_again();
        spare_.push_back(std::move(part));
    }

private:
    static constexpr std::size_t spare_max = 256;
    std::vector<std::unique_ptr<Part>> spare_;
};

/// 48 bytes while it is idle; what it has only while something is going on stands in its Work.
struct Connection {
    enum class State : std::uint8_t {
        free,
        greeting,    // CONNECT is not whole yet
        admitting,   // the gate thinks about it
        challenged,  // AUTH of the client is awaited
        attached,    // a session has it
        closing,     // what is in `output` is still to be written
    };

    struct Work {
        Bytes connect;  // the packet, until the client is let in or refused
        Bytes input;    // not yet decoded: part of a packet, or more while paused
        Bytes output;   // encoded and not yet written; comes before anything pumped later
        Instant deadline = Instant::never();   // connect or close timeout
        Instant resume_at = Instant::never();  // paused for the client's message rate
        /// Nothing is written before this batch of the journal is on the disk; 0: nothing is held.
        std::uint64_t held_until = 0;
        std::uint32_t admission_serial = 0;
        bool holds_input = false;            // held, and nothing is read: its last will comes first
        std::uint32_t packet_bytes_max = 0;  // the client's, once CONNECT was read; 0: none
        void begin_again() noexcept { *this = Work{}; }
        [[nodiscard]] bool is_done() const noexcept {
            return connect.empty() && input.empty() && output.empty() && deadline.is_never() &&
                   resume_at.is_never() && held_until == 0 && !holds_input;
        }
    };

    ports::ConnectionId id;
    std::uint32_t session_index = 0;  // attached only; of this shard
    std::uint32_t session_generation = 0;
    std::unique_ptr<Work> work;  // null: nothing is going on
    ports::PeerAddress peer;
    std::uint16_t listener_index = 0;
    State state = State::free;
    mqtt::ProtocolVersion version = mqtt::ProtocolVersion::v5;
    bool is_touched : 1 = false;    // has something to write this turn
    bool is_resumable : 1 = false;  // is in the list of those whose input goes on
    bool is_paused : 1 = false;     // the network was told not to read it
    bool is_blocked : 1 = false;    // the network took less than it was given; `writable` will come
    bool has_user : 1 = false;      // it proved to be one; its client id, unless a Standing says

    [[nodiscard]] bool has_input() const noexcept { return work && !work->input.empty(); }
    [[nodiscard]] std::size_t output_bytes() const noexcept {
        return work ? work->output.size() : 0;
    }
    [[nodiscard]] Instant deadline() const noexcept {
        return work ? work->deadline : Instant::never();
    }
    [[nodiscard]] Instant resume_at() const noexcept {
        return work ? work->resume_at : Instant::never();
    }
};
static_assert(sizeof(Connection) <= 48, "idle connections are counted by the million");

/// The connections of one shard, by ConnectionId::index, in chunks that never move.
/// Threading  shard-local.
/// Lifetime   a Connection& stays what it is; whether it still is the same connection, find()
/// tells.
class ConnectionTable {
public:
    /// Null: stale.
    [[nodiscard]] Connection* find(ports::ConnectionId id) noexcept {
        if (id.is_none() || id.index >= chunks_.size() * chunk_slots) return nullptr;
        Connection& found = at(id.index);
        return found.id == id ? &found : nullptr;
    }
    /// Makes room for the index, which the network gives out densely.
    [[nodiscard]] Connection& slot(std::uint32_t index) {
        while (index >= chunks_.size() * chunk_slots) {
            chunks_.push_back(std::make_unique<Connection[]>(chunk_slots));
        }
        return at(index);
    }
    /// In the order of their numbers, free ones too.
    template <class Visit>
    void for_each(Visit visit) {
        for (auto& chunk : chunks_) {
            for (std::size_t i = 0; i < chunk_slots; ++i) visit(chunk[i]);
        }
    }

private:
    static constexpr std::size_t chunk_slots = 128;
    [[nodiscard]] Connection& at(std::uint32_t index) noexcept {
        return chunks_[index / chunk_slots][index % chunk_slots];
    }

    std::vector<std::unique_ptr<Connection[]>> chunks_;
};

}  // namespace mitu::broker
