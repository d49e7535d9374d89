#pragma once
// One write to a stream socket, of one part or of many.

#include <cstddef>
#include <span>

#include "mitu/base/bytes.hpp"
#include "mitu/runtime/network_counters.hpp"

namespace mitu::runtime {

struct SocketWrite {
    std::size_t taken = 0;
    std::size_t offered = 0;  // of the parts that one call can carry (IOV_MAX)
    bool offered_all = true;  // false: there were more parts than that
    bool is_broken = false;   // the connection is gone; nothing was taken
};

/// Does not block and raises no SIGPIPE. Counts the system call and the bytes.
[[nodiscard]] SocketWrite write_to_socket(int fd, std::span<const ByteView> parts,
                                          NetworkCounters& counters);

}  // namespace mitu::runtime
