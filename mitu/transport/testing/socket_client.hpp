#pragma once
// A ClientStack on a socket. Nothing waits: calls do what is possible now.

#include <netinet/in.h>   // tidy-allow(sockets): the client's end of the tests
#include <netinet/tcp.h>  // tidy-allow(sockets): the client's end of the tests
#include <sys/socket.h>   // tidy-allow(sockets): the client's end of the tests

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/runtime/unique_fd.hpp"
#include "mitu/transport/testing/client_stack.hpp"

namespace mitu::transport::testing {

inline runtime::UniqueFd connect_to(std::uint16_t port) {
    runtime::UniqueFd fd{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    MITU_CHECK(fd.is_open());
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int result = connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
    MITU_CHECK(result == 0);
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

class SocketClient {
public:
    SocketClient(runtime::UniqueFd fd, ClientOptions options)
        : fd_{std::move(fd)}, stack_{std::move(options)} {
        flush();
    }

    /// Goes on with handshakes; reads nothing else, so that back-pressure is felt.
    void pump() {
        if (!fd_.is_open()) return;
        flush();
        if (!stack_.is_ready()) read_socket(16'384);
        flush();
    }
    std::size_t send(ByteView bytes) {
        const std::size_t room = queue_bytes_max - std::min(queue_bytes_max, queued());
        const ByteView some = bytes.first(std::min(room, bytes.size()));
        if (!some.empty()) stack_.send(some);
        pump();
        return some.size();
    }
    Bytes receive() {
        pump();
        read_socket(SIZE_MAX);
        flush();
        return stack_.receive();
    }
    bool has_seen_end() { return seen_end_; }
    bool has_seen_reset() { return seen_reset_; }
    void finish_sending() {
        stack_.finish();
        finishes_ = true;
        flush();
    }
    void reset() {
        const linger hard{1, 0};
        setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        fd_.reset();
    }
    [[nodiscard]] ClientStack& stack() { return stack_; }
    [[nodiscard]] int fd() const { return fd_.get(); }

private:
    static constexpr std::size_t queue_bytes_max = 262'144;

    [[nodiscard]] std::size_t queued() { return stack_.to_socket().size(); }
    void flush() {
        if (!fd_.is_open()) return;
        Bytes& bytes = stack_.to_socket();
        while (!bytes.empty()) {
            const ssize_t n =
                ::send(fd_.get(), bytes.data(), bytes.size(),  // tidy-allow(sockets): a client
                       MSG_NOSIGNAL | MSG_DONTWAIT);
            seen_reset_ |= n < 0 && errno != EAGAIN;
            if (n <= 0) return;
            bytes.erase(bytes.begin(), bytes.begin() + n);
        }
        if (finishes_ && stack_.is_ready() && stack_.has_sent_all()) {
            ::shutdown(fd_.get(), SHUT_WR);
            finishes_ = false;
        }
    }
    void read_socket(std::size_t bytes_max) {
        std::array<std::uint8_t, 16'384> some{};
        for (std::size_t got = 0; fd_.is_open() && got < bytes_max;) {
            const ssize_t n =
                ::recv(fd_.get(), some.data(), some.size(),  // tidy-allow(sockets): a client
                       MSG_DONTWAIT);
            if (n > 0) {
                got += static_cast<std::size_t>(n);
                stack_.feed(ByteView{some}.first(static_cast<std::size_t>(n)));
                continue;
            }
            seen_end_ |= n == 0;
            seen_reset_ |= n < 0 && errno != EAGAIN;
            return;
        }
    }

    runtime::UniqueFd fd_;
    ClientStack stack_;
    bool finishes_ = false;
    bool seen_end_ = false;
    bool seen_reset_ = false;
};

}  // namespace mitu::transport::testing
