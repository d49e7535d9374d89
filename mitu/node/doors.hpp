#pragma once
// Doors: where clients come in. Listening sockets, and what stands between them and the codec.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/config/config.hpp"
#include "mitu/runtime/held_sockets.hpp"
#include "mitu/runtime/unique_fd.hpp"
#include "mitu/transport/options.hpp"

namespace mitu::node {

/// One listener of the configuration, open.
struct Door {
    std::string name;
    std::string address;  // with the real port, as people write it
    std::uint16_t port = 0;
    std::shared_ptr<transport::TlsStore> tls;  // null: none
    config::Listener from;
    bool is_open = false;
    std::string
        problem;  // of one that was off at the start: why it cannot be opened; empty: it can
};

/// Owns the listening sockets until the shards take them, and the certificates for as long as the
/// node runs. Listeners that are not enabled keep their number and have no socket.
/// Threading  open(), take_sockets(): the owner. transport(), has_filters(): any thread. The rest:
///            one thread at a time.
class Doors {
public:
    /// Errors  a sentence: which listener, what could not be had, the remedy.
    [[nodiscard]] static Result<Doors, std::string> open(
        const std::vector<config::Listener>& listeners, std::size_t shards, WallTime now,
        runtime::HeldSockets& held);
    /// By what names they are held while there is nobody who serves. With other shards it is
    /// another set of sockets.
    [[nodiscard]] static std::vector<std::string> names(
        const std::vector<config::Listener>& listeners, std::size_t shards);

    /// Of one shard, in the order of the listeners. Once for each.
    [[nodiscard]] std::vector<runtime::UniqueFd> take_sockets(std::size_t shard) {
        return std::move(sockets_[shard]);
    }
    [[nodiscard]] const transport::TransportOptions& transport() const noexcept {
        return transport_;
    }
    /// Whether shards need a TransportNetwork.
    [[nodiscard]] bool has_filters() const noexcept;
    [[nodiscard]] const std::vector<Door>& doors() const noexcept { return doors_; }
    /// Opens sockets for one that has none, one for each shard, at the port that it had.
    /// Errors  a sentence.
    [[nodiscard]] Result<std::vector<runtime::UniqueFd>, std::string> open_again(std::size_t door);
    /// The shards have closed the sockets, or will.
    void note_closed(std::size_t door) { doors_[door].is_open = false; }

    /// Certificates whose files have changed are loaded; what is wrong with them is logged, and the
    /// old ones stay. About once a second.
    void refresh(WallTime now);
    /// The same whether or not they seem to have changed.
    void reload(WallTime now);

private:
    std::vector<std::vector<runtime::UniqueFd>> sockets_;  // by shard, then listener
    transport::TransportOptions transport_;
    std::vector<Door> doors_;
};

}  // namespace mitu::node
