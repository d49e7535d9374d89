#include "apps/mitu/system.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <system_error>

namespace mitu::cli {

void FileDescriptor::reset() noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

std::string Endpoint::text() const {
    const bool is_ipv6 = host.find(':') != std::string::npos;
    return is_ipv6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

std::string errno_text(int error) { return std::generic_category().message(error); }

Result<std::vector<SocketAddress>, std::string> resolve(const Endpoint& endpoint) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
    // Numbers need no interface with an address of their family.
    if (endpoint.host == "localhost" ||
        endpoint.host.find_first_not_of("0123456789abcdef.:") == std::string::npos) {
        hints.ai_flags = AI_NUMERICSERV;
    }
    addrinfo* found = nullptr;
    const int error =
        ::getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &found);
    if (error != 0) {
        return std::unexpected(error == EAI_SYSTEM ? errno_text(errno) : ::gai_strerror(error));
    }
    std::vector<SocketAddress> addresses;
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
        SocketAddress address;
        std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
        address.size_bytes = one->ai_addrlen;
        addresses.push_back(address);
    }
    ::freeaddrinfo(found);
    return addresses;
}

Result<FileDescriptor, std::string> start_connect(const SocketAddress& address) {
    FileDescriptor socket{
        ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!socket) return std::unexpected(errno_text(errno));
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const auto* raw = reinterpret_cast<const sockaddr*>(&address.storage);
    if (::connect(socket.get(), raw, address.size_bytes) != 0 && errno != EINPROGRESS) {
        return std::unexpected(errno_text(errno));
    }
    return socket;
}

std::optional<std::string> socket_error(const FileDescriptor& socket) {
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error == 0) return std::nullopt;
    return errno_text(error);
}

Result<FileDescriptor, std::string> connect_to(const Endpoint& endpoint, Duration timeout) {
    const auto addresses = resolve(endpoint);
    if (!addresses) return std::unexpected(addresses.error());
    std::string last_error = "the name has no address";
    const Instant deadline = monotonic_now() + timeout;
    for (const SocketAddress& address : *addresses) {
        auto socket = start_connect(address);
        if (!socket) {
            last_error = socket.error();
            continue;
        }
        pollfd wait{.fd = socket->get(), .events = POLLOUT, .revents = 0};
        int ready = 0;
        do {
            ready = ::poll(&wait, 1, wait_ms(monotonic_now(), deadline));
        } while (ready < 0 && errno == EINTR);
        if (ready == 0) {
            last_error = fmt::format("no answer within {:g} s", timeout.as_seconds());
            continue;
        }
        const auto error = socket_error(*socket);
        if (!error) return std::move(*socket);
        last_error = *error;
    }
    return std::unexpected(last_error);
}

Instant monotonic_now() noexcept {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return Instant::from_ns(std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec);
}

WallTime wall_now() noexcept {
    timespec time{};
    ::clock_gettime(CLOCK_REALTIME, &time);
    return WallTime{std::int64_t{time.tv_sec} * 1'000 + time.tv_nsec / 1'000'000};
}

std::uint64_t entropy() {
    std::uint64_t value = 0;
    if (::getrandom(&value, sizeof value, 0) != static_cast<ssize_t>(sizeof value)) {
        value = static_cast<std::uint64_t>(monotonic_now().since_start_ns()) ^
                static_cast<std::uint64_t>(::getpid());
    }
    return value;
}

SignalWatch::SignalWatch() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    fd_ = FileDescriptor{::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)};
}

SignalWatch::~SignalWatch() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

bool SignalWatch::poll() noexcept {
    signalfd_siginfo info{};
    while (::read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        if (++count_ > 1) ::_exit(128 + static_cast<int>(info.ssi_signo));
    }
    return interrupted();
}

int wait_ms(Instant now, Instant deadline) noexcept {
    if (deadline.is_never()) return -1;
    if (deadline <= now) return 0;
    const std::int64_t ms = ((deadline - now).count_ns() + 999'999) / 1'000'000;
    return static_cast<int>(std::min<std::int64_t>(ms, 60'000));
}

bool is_terminal(int fd) noexcept { return ::isatty(fd) == 1; }

}  // namespace mitu::cli
