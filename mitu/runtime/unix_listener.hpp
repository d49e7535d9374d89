#pragma once
// The part of listener.hpp that is about Unix sockets.

#include <cstddef>
#include <string>
#include <string_view>

#include "mitu/base/result.hpp"
#include "mitu/runtime/listener.hpp"

namespace mitu::runtime {

/// What stands behind "unix:". Errors as parse_listen_address().
[[nodiscard]] Result<ListenAddress, std::string> parse_unix_address(std::string_view path);

/// Errors as listen_on(); also a live server on that path, and a file that is no socket.
[[nodiscard]] Result<Listeners, std::string> listen_on_unix(const std::string& path,
                                                            std::size_t count,
                                                            const UnixSocketOptions& options);

}  // namespace mitu::runtime
