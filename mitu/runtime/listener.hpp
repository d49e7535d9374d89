#pragma once
// Addresses as people write them (tcp://127.0.0.1:1883), and sockets that listen on them.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/runtime/unique_fd.hpp"

namespace mitu::runtime {

/// Where to listen.
struct ListenAddress {
    std::string host;  // an IPv4 or IPv6 literal, without brackets; "*": every interface
    std::uint16_t port = 0;
    [[nodiscard]] std::string to_text(std::string_view scheme) const;
};

/// Reads "scheme://host:port".
/// Shape   host: 127.0.0.1, [::1], localhost (127.0.0.1) or * (every interface, IPv4 and IPv6);
///         port: 0..65535, 0: any that is free.
/// Errors  one sentence for the person who wrote the address: what is wrong and what to use.
[[nodiscard]] Result<ListenAddress, std::string> parse_listen_address(
    std::string_view text, std::string_view scheme = "tcp");

/// One address, open for connections.
struct Listeners {
    std::vector<UniqueFd> sockets;  // one per shard; the kernel spreads new connections over them
    std::uint16_t port = 0;         // the real one, also when 0 was asked for
};

inline constexpr int listen_backlog = 4096;

/// Binds `count` sockets to one address (SO_REUSEPORT).
/// Errors  a sentence that names address, cause and remedy; in use by another process too, though
///         SO_REUSEPORT would share the port with it silently.
[[nodiscard]] Result<Listeners, std::string> listen_on(const ListenAddress& address,
                                                       std::size_t count);

}  // namespace mitu::runtime
