#include "mitu/supervisor/channel.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace mitu::supervisor {
namespace {

/// Room for the descriptors of one message, aligned as the kernel wants it.
struct alignas(cmsghdr) Ancillary {
    std::array<char, CMSG_SPACE(sizeof(int) * Channel::sockets_max)> bytes{};
};

void adopt(msghdr& header, std::vector<runtime::UniqueFd>& sockets) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
         part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
            sockets.emplace_back(fd);
        }
    }
}

}  // namespace

Result<std::pair<Channel, Channel>, std::string> Channel::create() {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return std::unexpected("a pair of sockets: " + std::generic_category().message(errno));
    }
    return std::pair{Channel{runtime::UniqueFd{ends[0]}}, Channel{runtime::UniqueFd{ends[1]}}};
}

bool Channel::send(Word word, std::string_view text, std::span<const int> sockets) noexcept {
    if (sockets.size() > sockets_max) return false;
    char letter = static_cast<char>(word);
    std::array<iovec, 2> parts{iovec{&letter, 1}, iovec{const_cast<char*>(text.data()),
                                                        std::min(text.size(), text_bytes_max)}};
    msghdr header{};
    header.msg_iov = parts.data();
    header.msg_iovlen = parts.size();
    Ancillary ancillary;
    if (!sockets.empty()) {
        header.msg_control = ancillary.bytes.data();
        header.msg_controllen = CMSG_SPACE(sockets.size_bytes());
        cmsghdr* const part = CMSG_FIRSTHDR(&header);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sockets.size_bytes());
        std::memcpy(CMSG_DATA(part), sockets.data(), sockets.size_bytes());
    }
    for (;;) {
        if (sendmsg(fd_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
        if (errno != EINTR) return false;
    }
}

std::optional<Message> Channel::receive(Wait wait) {
    std::array<char, 1 + text_bytes_max> bytes{};
    iovec part{bytes.data(), bytes.size()};
    Ancillary ancillary;
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = ancillary.bytes.data();
    header.msg_controllen = ancillary.bytes.size();
    const int flags = MSG_CMSG_CLOEXEC | (wait == Wait::no ? MSG_DONTWAIT : 0);
    ssize_t received = 0;
    do {
        received = recvmsg(fd_.get(), &header, flags);
    } while (received < 0 && errno == EINTR);
    if (received < 0 && errno == EAGAIN) return std::nullopt;
    Message message;
    if (received > 0) adopt(header, message.sockets);
    if (received <= 0 || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        is_closed_ = true;
        return std::nullopt;
    }
    message.word = static_cast<Word>(bytes[0]);
    message.text.assign(bytes.data() + 1, static_cast<std::size_t>(received) - 1);
    return message;
}

}  // namespace mitu::supervisor
