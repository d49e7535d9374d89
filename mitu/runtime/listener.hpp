#pragma once
// Addresses as people write them (tcp://127.0.0.1:1883, unix:/run/mitu/mqtt.sock), and sockets that
// listen on them.

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
    std::string path{};  // of a Unix socket; then host and port say nothing
    [[nodiscard]] bool is_unix() const noexcept { return !path.empty(); }
    [[nodiscard]] std::string to_text(std::string_view scheme) const;
};

/// Who may connect to a Unix socket: whoever may write to its file.
struct UnixSocketOptions {
    std::string owner{};  // a user's name or number; empty: who runs the server
    std::string group{};
    std::uint32_t mode = 0660;
};

/// Reads "scheme://host:port", or "unix:/path".
/// Shape   host: 127.0.0.1, [::1], localhost (127.0.0.1) or * (every interface, IPv4 and IPv6);
///         port: 0..65535, 0: any that is free. path: absolute, 107 bytes at most.
/// Errors  one sentence for the person who wrote the address: what is wrong and what to use.
[[nodiscard]] Result<ListenAddress, std::string> parse_listen_address(
    std::string_view text, std::string_view scheme = "tcp");

/// One address, open for connections.
struct Listeners {
    std::vector<UniqueFd> sockets;  // one per shard; the kernel spreads new connections over them
    std::uint16_t port = 0;         // the real one, also when 0 was asked for
};

/// Of a TCP socket that is bound. 0: it is none.
[[nodiscard]] std::uint16_t bound_port(int fd) noexcept;

inline constexpr int listen_backlog = 4096;

/// Binds `count` sockets to one address (SO_REUSEPORT). A Unix socket is one, whose queue all
/// share: whichever shard comes first accepts. The file of a server that is gone is replaced; it
/// stays when this one goes, since by then it may be that of the next. Errors  a sentence that
/// names address, cause and remedy; in use by another process too, though
///         SO_REUSEPORT would share the port with it silently.
[[nodiscard]] Result<Listeners, std::string> listen_on(const ListenAddress& address,
                                                       std::size_t count,
                                                       const UnixSocketOptions& unix_socket = {});

}  // namespace mitu::runtime
