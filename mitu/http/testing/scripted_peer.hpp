#pragma once
// A service of which each connection does what a test tells it, however bad; and how to wait for a
// client's answer.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "mitu/base/mutex.hpp"
#include "mitu/http/client.hpp"

namespace mitu::http::testing {

using Answer = Result<ClientResponse, ClientError>;

/// One connection, as the service sees it.
class Line {
public:
    explicit Line(int fd) : fd_{fd} {}
    /// A request with its body; empty: the client has closed.
    std::string read() {
        for (;;) {
            const std::size_t end = bytes_.find("\r\n\r\n");
            if (end != std::string::npos) {
                const std::size_t length = bytes_.find("Content-Length: ");
                const std::size_t body =
                    length < end ? std::strtoul(bytes_.c_str() + length + 16, nullptr, 10) : 0;
                if (bytes_.size() >= end + 4 + body) {
                    std::string request = bytes_.substr(0, end + 4 + body);
                    bytes_.erase(0, request.size());
                    return request;
                }
            }
            if (!receive()) return {};
        }
    }
    /// Waits until the client has closed; what it still sends is thrown away.
    void read_to_end() {
        while (receive()) bytes_.clear();
    }
    /// What came, as it came; at least a byte, unless the client has closed.
    std::string read_some() {
        receive();
        return std::exchange(bytes_, {});
    }
    /// false: the client has closed.
    bool write(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (count <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(count));
        }
        return true;
    }
    bool reply(std::string_view body) {
        return write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                     "\r\n\r\n" + std::string{body});
    }

private:
    bool receive() {
        char buffer[4'096];
        const ssize_t count = ::recv(fd_, buffer, sizeof buffer, 0);
        if (count <= 0) return false;
        bytes_.append(buffer, static_cast<std::size_t>(count));
        return true;
    }
    int fd_;
    std::string bytes_;
};

/// Runs `script` for each connection, on a thread of its own; closes the connection when it ends.
class ScriptedPeer {
public:
    /// `index`: 0 for the first connection.
    using Script = std::function<void(Line& line, int index)>;

    explicit ScriptedPeer(Script script) : script_{std::move(script)} {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&at), size), 0);
        EXPECT_EQ(::listen(fd_, 64), 0);
        EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size), 0);
        port_ = ntohs(at.sin_port);
        acceptor_ = std::thread{[this] { accept(); }};
    }
    ~ScriptedPeer() {
        ::shutdown(fd_, SHUT_RDWR);
        acceptor_.join();
        ::close(fd_);
        {
            const MutexLock lock{mutex_};
            for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
        }
        for (std::thread& thread : threads_) thread.join();
    }
    ScriptedPeer(const ScriptedPeer&) = delete;
    ScriptedPeer& operator=(const ScriptedPeer&) = delete;

    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::string url(std::string_view host = "127.0.0.1",
                                  std::string_view scheme = "http") const {
        return std::string{scheme} + "://" + std::string{host} + ":" + std::to_string(port_);
    }
    [[nodiscard]] int accepted() const { return accepted_; }

private:
    void accept() {
        for (int fd = -1; (fd = ::accept(fd_, nullptr, nullptr)) >= 0;) {
            const timeval guard{20, 0};  // a test that hangs fails instead
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof guard);
            {
                const MutexLock lock{mutex_};
                open_.push_back(fd);
            }
            threads_.emplace_back([this, fd, index = accepted_++] {
                Line line{fd};
                script_(line, index);
                const MutexLock lock{mutex_};
                std::erase(open_, fd);
                ::close(fd);
            });
        }
    }

    Script script_;
    int fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    std::uint16_t port_ = 0;
    std::atomic<int> accepted_{0};
    std::vector<std::thread> threads_;
    Mutex mutex_;
    std::vector<int> open_ MITU_GUARDED_BY(mutex_);
    std::thread acceptor_;
};

/// Sends, and lets the test wait for the answer.
inline std::future<Answer> send(Client& client, ClientRequest request = {}) {
    auto promise = std::make_shared<std::promise<Answer>>();
    auto future = promise->get_future();
    client.send(std::move(request), [promise](Answer answer) {
        promise->set_value(std::move(answer));  // throws if `done` ran before
    });
    return future;
}
inline Answer wait(std::future<Answer>& future) {
    if (future.wait_for(std::chrono::seconds{30}) == std::future_status::ready) return future.get();
    ADD_FAILURE() << "no answer";
    return std::unexpected(ClientError{});
}
inline Answer ask(Client& client, ClientRequest request = {}) {
    auto future = send(client, std::move(request));
    return wait(future);
}
/// Shape  "200 body", or the fault's name.
inline std::string show(const Answer& answer) {
    if (!answer) return std::string{to_string(answer.error().fault)};
    return std::to_string(answer->status) + " " + answer->body;
}

/// A client that was started.
inline std::unique_ptr<Client> start_client(ClientOptions options) {
    auto client = std::make_unique<Client>(std::move(options));
    const auto started = client->start();
    EXPECT_TRUE(started.has_value()) << started.error();
    return client;
}

}  // namespace mitu::http::testing
