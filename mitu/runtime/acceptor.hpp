#pragma once
// The listening side of a network: accepts in bounded batches, and refuses clearly when the
// connection limit or the file limit is reached.

#include <cstdint>
#include <optional>
#include <vector>

#include "mitu/base/time.hpp"
#include "mitu/ports/network.hpp"
#include "mitu/runtime/connection_budget.hpp"
#include "mitu/runtime/network_counters.hpp"
#include "mitu/runtime/unique_fd.hpp"

namespace mitu::runtime {

/// How long a listener is left alone when the kernel has no file or memory for a new connection.
inline constexpr Duration accept_pause = Duration::milliseconds(100);

struct Accepted {
    UniqueFd fd;
    ports::PeerAddress peer;
};

/// Who has connected to our Unix socket. nullopt: the socket is of another family, or broken.
[[nodiscard]] std::optional<ports::LocalPeer> local_peer(int fd) noexcept;

/// Owns listening sockets, registered level-triggered with the owner's epoll.
/// Threading  shard-local.
class Acceptor {
public:
    Acceptor(int epoll, std::vector<UniqueFd> listeners, ConnectionBudget* budget,
             NetworkCounters& counters);

    /// The data of a listener's epoll events: `tag_base` + its index.
    static constexpr std::uint64_t tag_base = 0xFFFF'0000;
    [[nodiscard]] bool register_all();

    void note_readiness(std::uint64_t tag) { waiting_.push_back(static_cast<std::uint16_t>(tag)); }
    /// Indices of listeners that have connections to accept; cleared by clear_waiting().
    [[nodiscard]] const std::vector<std::uint16_t>& waiting() const noexcept { return waiting_; }
    void clear_waiting() noexcept { waiting_.clear(); }

    enum class Status : std::uint8_t {
        accepted,
        refused,  // one connection was closed, or gave up: go on
        empty,    // none left, or the listener rests
    };
    /// Takes one connection. `has_room`: whether the shard has a slot for it.
    /// An accepted one has taken its share of the budget.
    [[nodiscard]] Status accept(std::uint16_t listener, bool has_room, Instant now,
                                Accepted& accepted);

    /// When resume_rested() has something to do.
    [[nodiscard]] Instant next_deadline() const noexcept { return resume_at_; }
    void resume_rested(Instant now);
    void stop() noexcept;
    /// See ServerNetwork::replace_listener().
    [[nodiscard]] bool replace(std::uint16_t listener, UniqueFd socket);
    [[nodiscard]] bool is_stopped() const noexcept { return listeners_.empty(); }

private:
    [[nodiscard]] Status refuse_without_files(std::uint16_t listener, Instant now);
    void rest(std::uint16_t listener, int error, Instant now);
    [[nodiscard]] bool watch(std::uint16_t listener, bool on) const;

    const int epoll_;
    std::vector<UniqueFd> listeners_;
    ConnectionBudget* const budget_;
    NetworkCounters& counters_;
    UniqueFd spare_;  // given up for a moment to accept, and so refuse, when files are spent
    std::vector<std::uint16_t> waiting_;
    std::vector<std::uint16_t> resting_;
    Instant resume_at_ = Instant::never();
};

}  // namespace mitu::runtime
