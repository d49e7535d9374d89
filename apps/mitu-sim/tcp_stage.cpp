#include "apps/mitu-sim/tcp_stage.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

namespace mitu::sim_app {
namespace {

using sim::scenario::Flow;

constexpr std::int64_t wait_ms_max = 60'000;

std::int64_t monotonic_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

}  // namespace

TcpStage::TcpStage(std::string mitud, Duration patience)
    : server_{std::move(mitud)}, patience_{patience}, start_ns_{monotonic_ns()} {}

TcpStage::~TcpStage() = default;

std::optional<std::string> TcpStage::start_server(const sim::scenario::ServerOptions& options) {
    return server_.start(options);
}

std::optional<std::string> TcpStage::stop_server() {
    return server_.stop([this] {
        drop_leaving();
        // The server has said goodbye to whoever listens; it waits until they have closed too.
        for (auto& [number, line] : lines_) {
            if (line.flow != Flow::open) continue;
            read(line);
            if (line.has_ended) ::shutdown(line.socket.get(), SHUT_WR);
        }
    });
}

void TcpStage::kill_server() { server_.kill(); }

Instant TcpStage::now() { return Instant::from_ns(monotonic_ns() - start_ns_); }

// --- connections ---

Result<TcpStage::Connection, std::string> TcpStage::open() {
    if (!server_.is_running()) return std::unexpected("the server does not run");
    Line line;
    line.socket = runtime::UniqueFd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = line.socket.get();
    if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return std::unexpected(
            fmt::format("no connection: {}", std::generic_category().message(errno)));
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    lines_.emplace(next_, std::move(line));
    return next_++;
}

void TcpStage::flush(Line& line) {
    std::size_t sent = 0;
    while (sent < line.unsent.size() && !line.has_ended) {
        const auto taken = ::send(line.socket.get(), line.unsent.data() + sent,
                                  line.unsent.size() - sent, MSG_NOSIGNAL);
        if (taken < 0 && errno == EINTR) continue;
        // Anything but "not now" shows when the connection is read.
        if (taken < 0) break;
        sent += static_cast<std::size_t>(taken);
    }
    line.unsent.erase(line.unsent.begin(), line.unsent.begin() + static_cast<std::ptrdiff_t>(sent));
}

void TcpStage::read(Line& line) {
    std::array<std::uint8_t, 65'536> buffer;
    while (!line.has_ended) {
        const auto got = ::recv(line.socket.get(), buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (got <= 0) {
            line.has_ended = true;
            return;
        }
        line.received.insert(line.received.end(), buffer.data(), buffer.data() + got);
    }
}

void TcpStage::send(Connection connection, ByteView bytes) {
    Line& line = lines_.at(connection);
    line.unsent.insert(line.unsent.end(), bytes.begin(), bytes.end());
    if (line.flow != Flow::cut) flush(line);
}

Bytes TcpStage::receive(Connection connection) {
    Line& line = lines_.at(connection);
    if (line.flow != Flow::open) return {};
    read(line);
    return std::exchange(line.received, {});
}

bool TcpStage::is_closed(Connection connection) {
    const Line& line = lines_.at(connection);
    return line.flow == Flow::open && line.has_ended && line.received.empty();
}

void TcpStage::close(Connection connection) {
    auto node = lines_.extract(connection);
    Line& line = node.mapped();
    if (line.has_ended) return;
    if (line.flow != Flow::cut) flush(line);
    ::shutdown(line.socket.get(), SHUT_WR);
    leaving_.push_back(std::move(line));
}

void TcpStage::reset(Connection connection) {
    auto node = lines_.extract(connection);
    const linger at_once{1, 0};
    ::setsockopt(node.mapped().socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void TcpStage::set_flow(Connection connection, Flow flow) {
    Line& line = lines_.at(connection);
    // The kernel's buffers stay as they are: with tiny ones, Linux answers at the pace of its
    // window probes long after the client reads again.
    line.flow = flow;
    if (flow != Flow::cut) flush(line);
}

void TcpStage::drop_leaving() {
    for (Line& line : leaving_) {
        read(line);
        line.received.clear();
    }
    std::erase_if(leaving_, [](const Line& line) { return line.has_ended; });
}

// --- time ---

void TcpStage::wait(Instant deadline) {
    drop_leaving();
    std::vector<pollfd> files;
    const auto watch = [&](const Line& line, bool reads, bool writes) {
        const int events = (reads ? POLLIN : 0) | (writes ? POLLOUT : 0);
        if (line.has_ended || events == 0) return;
        files.push_back({line.socket.get(), static_cast<short>(events), 0});
    };
    for (const auto& [number, line] : lines_) {
        watch(line, line.flow == Flow::open, line.flow != Flow::cut && !line.unsent.empty());
    }
    for (const Line& line : leaving_) watch(line, true, false);
    const std::int64_t left_ns = (deadline - now()).count_ns();
    const std::int64_t left_ms = std::clamp<std::int64_t>(left_ns / 1'000'000 + 1, 0, wait_ms_max);
    ::poll(files.data(), files.size(), static_cast<int>(left_ms));
    for (auto& [number, line] : lines_) {
        if (line.flow != Flow::cut) flush(line);
    }
    drop_leaving();
}

}  // namespace mitu::sim_app
