#include "mitu/runtime/listener.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>

#include "mitu/runtime/unix_listener.hpp"

namespace mitu::runtime {
namespace {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;
    [[nodiscard]] const sockaddr* get() const noexcept {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
};

bool is_literal(int family, const std::string& host) {
    in6_addr ignored{};
    return inet_pton(family, host.c_str(), &ignored) == 1;
}

SocketAddress to_socket_address(const ListenAddress& address) {
    SocketAddress result;
    if (is_literal(AF_INET, address.host)) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(address.port);
        inet_pton(AF_INET, address.host.c_str(), &in.sin_addr);
        std::memcpy(&result.storage, &in, sizeof in);
        result.size = sizeof in;
        return result;
    }
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(address.port);
    in6.sin6_addr = in6addr_any;
    if (address.host != "*") inet_pton(AF_INET6, address.host.c_str(), &in6.sin6_addr);
    std::memcpy(&result.storage, &in6, sizeof in6);
    result.size = sizeof in6;
    return result;
}

bool set_option(int fd, int level, int option, int value) noexcept {
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

// The listening socket's options pass on to every accepted one: no setsockopt per connection.
bool set_inherited_options(int fd) noexcept {
    return set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) &&
           // A client without keep-alive whose host vanished is noticed after about eight minutes.
           set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) &&
           set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 300) &&
           set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 30) &&
           set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 6);
}

// errno is set when the result is not open.
UniqueFd open_bound(const ListenAddress& address, bool reuse_port) {
    const SocketAddress to = to_socket_address(address);
    UniqueFd fd{socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!fd.is_open()) return {};
    const bool set =
        set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1) &&
        (!reuse_port || set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1)) &&
        (to.storage.ss_family != AF_INET6 ||
         set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, address.host == "*" ? 0 : 1)) &&
        set_inherited_options(fd.get());
    if (set && bind(fd.get(), to.get(), to.size) == 0) return fd;
    const int error = errno;
    fd.reset();
    errno = error;
    return {};
}

std::string describe(const ListenAddress& address, int error) {
    const char* remedy = "";
    if (error == EADDRINUSE) {
        remedy = "; another process listens there: stop it or use another port (0: any)";
    } else if (error == EACCES) {
        remedy = "; ports below 1024 need the right to bind them: use a higher one";
    } else if (error == EADDRNOTAVAIL) {
        remedy = "; use an address of this machine";
    }
    return fmt::format("cannot listen on {}: {}{}", address.to_text("tcp"),
                       std::generic_category().message(error), remedy);
}

}  // namespace

std::uint16_t bound_port(int fd) noexcept {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return 0;
    if (storage.ss_family != AF_INET && storage.ss_family != AF_INET6) return 0;
    // sin_port and sin6_port lie at the same place.
    return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
}

std::string ListenAddress::to_text(std::string_view scheme) const {
    if (is_unix()) return "unix:" + path;
    const bool is_v6 = host.find(':') != std::string::npos;
    return fmt::format("{}://{}{}{}:{}", scheme, is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
}

Result<ListenAddress, std::string> parse_listen_address(std::string_view text,
                                                        std::string_view scheme) {
    const auto refuse = [&](std::string_view why) {
        return std::unexpected(
            fmt::format("address `{}`: {}; write it as {}://127.0.0.1:1883", text, why, scheme));
    };
    constexpr std::string_view unix_prefix = "unix:";
    if (text.starts_with(unix_prefix)) return parse_unix_address(text.substr(unix_prefix.size()));
    const std::string prefix = fmt::format("{}://", scheme);
    if (!text.starts_with(prefix)) return refuse(fmt::format("it must begin with {}", prefix));
    const std::string_view rest = text.substr(prefix.size());
    const std::size_t colon = rest.rfind(':');
    if (colon == std::string_view::npos || rest.ends_with(']'))
        return refuse("the port is missing");

    ListenAddress address;
    const std::string_view port_text = rest.substr(colon + 1);
    const char* const begin = port_text.data();
    const char* const end = begin + port_text.size();
    const auto [stop, error] = std::from_chars(begin, end, address.port);
    if (port_text.empty() || error != std::errc{} || stop != end) {
        return refuse(
            fmt::format("the port is `{}`; use 0..65535 (0: any that is free)", port_text));
    }

    std::string_view host = rest.substr(0, colon);
    const bool bracketed = host.size() >= 2 && host.starts_with('[') && host.ends_with(']');
    if (bracketed) host = host.substr(1, host.size() - 2);
    address.host = host == "localhost" ? "127.0.0.1" : std::string{host};
    const bool is_v4 = is_literal(AF_INET, address.host);
    const bool is_v6 = is_literal(AF_INET6, address.host);
    if (is_v6 && !bracketed) return refuse("an IPv6 address stands in brackets, as in [::1]");
    if (bracketed ? !is_v6 : !is_v4 && address.host != "*") {
        return refuse(fmt::format(
            "the host is `{}`; use an IPv4 address, an IPv6 address in brackets, localhost or *",
            host));
    }
    return address;
}

Result<Listeners, std::string> listen_on(const ListenAddress& address, std::size_t count,
                                         const UnixSocketOptions& unix_socket) {
    if (address.is_unix()) return listen_on_unix(address.path, count, unix_socket);
    ListenAddress wanted = address;
    if (wanted.port != 0) {
        // SO_REUSEPORT would let two servers of one user share the port and half the clients.
        if (!open_bound(wanted, false).is_open()) return std::unexpected(describe(wanted, errno));
    }
    Listeners listeners;
    for (std::size_t i = 0; i < count; ++i) {
        UniqueFd fd = open_bound(wanted, true);
        if (!fd.is_open() || listen(fd.get(), listen_backlog) != 0) {
            return std::unexpected(describe(wanted, errno));
        }
        wanted.port = bound_port(fd.get());
        listeners.sockets.push_back(std::move(fd));
    }
    listeners.port = wanted.port;
    return listeners;
}

}  // namespace mitu::runtime
