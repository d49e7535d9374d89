#include "mitu/runtime/socket_write.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>

namespace mitu::runtime {

SocketWrite write_to_socket(int fd, std::span<const ByteView> parts, NetworkCounters& counters) {
    SocketWrite write;
    ssize_t taken = 0;
    do {
        if (parts.size() == 1) {
            write.offered = parts[0].size();
            if (write.offered == 0) return write;
            taken = ::send(fd, parts[0].data(), write.offered, MSG_NOSIGNAL | MSG_DONTWAIT);
        } else {
            std::array<iovec, IOV_MAX> vector;
            const std::size_t count = std::min(parts.size(), vector.size());
            write.offered_all = count == parts.size();
            write.offered = 0;
            for (std::size_t i = 0; i < count; ++i) {
                vector[i].iov_base = const_cast<std::uint8_t*>(parts[i].data());
                vector[i].iov_len = parts[i].size();
                write.offered += parts[i].size();
            }
            msghdr message{};
            message.msg_iov = vector.data();
            message.msg_iovlen = count;
            taken = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        counters.writes_total.add();
    } while (taken < 0 && errno == EINTR);

    write.is_broken = taken < 0 && errno != EAGAIN;
    write.taken = taken < 0 ? 0 : static_cast<std::size_t>(taken);
    counters.sent_bytes_total.add(write.taken);
    return write;
}

}  // namespace mitu::runtime
