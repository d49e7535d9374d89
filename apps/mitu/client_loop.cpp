#include "apps/mitu/client_loop.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

namespace mitu::cli {

namespace {

constexpr std::size_t receive_bytes_max = std::size_t{64} * 1'024;

}  // namespace

ClientLoop::ClientLoop(Connection connection, bool reconnects)
    : connection_{std::move(connection)},
      reconnects_{reconnects},
      session_{connection_.options},
      receive_buffer_(receive_bytes_max),
      now_{monotonic_now()},
      prng_{entropy()} {}

Result<void, std::string> ClientLoop::open() {
    auto socket = connect_to(connection_.endpoint, connection_.connect_timeout);
    if (!socket) return std::unexpected(socket.error());
    socket_ = std::move(*socket);
    pending_.clear();
    pending_offset_ = 0;
    close_when_written_ = false;
    now_ = monotonic_now();
    if (const auto opened = session_.on_open(now_, out_); !opened) {
        socket_.reset();
        return std::unexpected(
            fmt::format("CONNECT cannot be written ({})", client::to_text(opened.error())));
    }
    return {};
}

void ClientLoop::take_output() {
    pending_.insert(pending_.end(), out_.bytes.begin(), out_.bytes.end());
    out_.bytes.clear();
    close_when_written_ |= std::exchange(out_.close, false);
}

void ClientLoop::flush() {
    while (socket_ && pending_offset_ < pending_.size()) {
        const ssize_t written = ::send(socket_.get(), pending_.data() + pending_offset_,
                                       pending_.size() - pending_offset_, MSG_NOSIGNAL);
        if (written < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) drop_connection();
            return;
        }
        pending_offset_ += static_cast<std::size_t>(written);
    }
    pending_.clear();
    pending_offset_ = 0;
    if (close_when_written_) drop_connection();
}

void ClientLoop::receive() {
    const ssize_t count = ::recv(socket_.get(), receive_buffer_.data(), receive_buffer_.size(), 0);
    if (count > 0) {
        session_.on_bytes(ByteView{receive_buffer_}.first(static_cast<std::size_t>(count)), now_,
                          out_);
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
        drop_connection();
    }
}

void ClientLoop::drop_connection() {
    socket_.reset();
    pending_.clear();
    pending_offset_ = 0;
    close_when_written_ = false;
    session_.on_close(out_);
    out_.bytes.clear();
    if (reconnects_) reconnect_at_ = now_ + backoff_.next(prng_);
}

bool ClientLoop::turn(Instant deadline, int extra_fd) {
    extra_is_readable_ = false;
    take_output();
    out_.events.clear();
    flush();
    if (session_.is_connected()) backoff_.reset();
    if (!out_.events.empty()) return true;  // the connection broke while writing
    if (!socket_ && reconnect_at_.is_never()) return false;

    pollfd fds[3] = {{.fd = signals_.fd(), .events = POLLIN, .revents = 0},
                     {.fd = socket_.get(), .events = POLLIN, .revents = 0},
                     {.fd = extra_fd, .events = POLLIN, .revents = 0}};
    if (pending_offset_ < pending_.size()) fds[1].events |= POLLOUT;
    const Instant wake = std::min({deadline, session_.next_deadline(), reconnect_at_});
    const int ready = ::poll(fds, 3, wait_ms(monotonic_now(), wake));
    now_ = monotonic_now();
    if (ready > 0) {
        if (fds[0].revents != 0) signals_.poll();
        extra_is_readable_ = fds[2].revents != 0;
        if (fds[1].revents != 0 && socket_) receive();
    }
    session_.on_deadline(now_, out_);
    if (!socket_ && now_ >= reconnect_at_) {
        reconnect_at_ = Instant::never();
        if (const auto opened = open(); !opened) {
            const Duration wait = backoff_.next(prng_);
            std::fprintf(stderr, "mitu: cannot connect to %s: %s; trying again in %.1f s\n",
                         connection_.endpoint.text().c_str(), opened.error().c_str(),
                         wait.as_seconds());
            reconnect_at_ = now_ + wait;
        }
    }
    return true;
}

void ClientLoop::close(const client::DisconnectRequest& request) {
    reconnects_ = false;
    reconnect_at_ = Instant::never();
    if (!socket_) return;
    session_.disconnect(request, out_);
    // The server closes after DISCONNECT; until then the bytes may still be on their way, and
    // closing first could turn them into a reset.
    const Instant deadline = monotonic_now() + Duration::seconds(2);
    take_output();
    close_when_written_ = false;
    bool said_all = false;
    while (socket_ && monotonic_now() < deadline) {
        flush();
        if (!socket_) break;
        if (!said_all && pending_.empty()) {
            ::shutdown(socket_.get(), SHUT_WR);
            said_all = true;
        }
        pollfd wait{.fd = socket_.get(), .events = POLLIN, .revents = 0};
        if (!said_all) wait.events |= POLLOUT;
        if (::poll(&wait, 1, wait_ms(monotonic_now(), deadline)) <= 0) continue;
        if ((wait.revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
        const ssize_t count =
            ::recv(socket_.get(), receive_buffer_.data(), receive_buffer_.size(), 0);
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) socket_.reset();
    }
    socket_.reset();
}

}  // namespace mitu::cli
