#pragma once
// What a command needs of the machine: file descriptors, sockets, clocks, signals.

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"

namespace mitu::cli {

/// Owns a file descriptor; -1: none.
class FileDescriptor {
public:
    FileDescriptor() noexcept = default;
    explicit FileDescriptor(int fd) noexcept : fd_{fd} {}
    FileDescriptor(FileDescriptor&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    FileDescriptor& operator=(FileDescriptor&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    ~FileDescriptor() { reset(); }

    void reset() noexcept;
    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    int fd_ = -1;
};

struct Endpoint {
    std::string host = "127.0.0.1";
    std::uint16_t port = 1883;
    [[nodiscard]] std::string text() const;
};

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size_bytes = 0;
};

/// Errors  a text for people.
[[nodiscard]] Result<std::vector<SocketAddress>, std::string> resolve(const Endpoint& endpoint);

/// Begins to connect without waiting; the socket becomes writable when it is decided, and
/// socket_error() tells which way. TCP_NODELAY is on.
[[nodiscard]] Result<FileDescriptor, std::string> start_connect(const SocketAddress& address);
/// nullopt: connected.
[[nodiscard]] std::optional<std::string> socket_error(const FileDescriptor& socket);

/// Resolves, tries every address in turn, and waits. The socket is non-blocking.
[[nodiscard]] Result<FileDescriptor, std::string> connect_to(const Endpoint& endpoint,
                                                             Duration timeout);

[[nodiscard]] std::string errno_text(int error);

/// CLOCK_MONOTONIC.
[[nodiscard]] Instant monotonic_now() noexcept;
[[nodiscard]] WallTime wall_now() noexcept;
/// A seed that differs between runs.
[[nodiscard]] std::uint64_t entropy();

/// SIGINT and SIGTERM as a readable descriptor, from construction on; the first one asks to end,
/// and whoever is asked twice ends at once.
class SignalWatch {
public:
    SignalWatch();
    ~SignalWatch();
    SignalWatch(const SignalWatch&) = delete;
    SignalWatch& operator=(const SignalWatch&) = delete;

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    /// True once a signal has come. Exits the process on the second.
    bool poll() noexcept;
    [[nodiscard]] bool interrupted() const noexcept { return count_ > 0; }

private:
    FileDescriptor fd_;
    int count_ = 0;
};

/// Milliseconds for poll() and epoll_wait() until `deadline`, rounded up; -1: never.
[[nodiscard]] int wait_ms(Instant now, Instant deadline) noexcept;

[[nodiscard]] bool is_terminal(int fd) noexcept;

}  // namespace mitu::cli
