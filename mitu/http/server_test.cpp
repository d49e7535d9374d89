#include "mitu/http/server.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace mitu::http {
namespace {

/// A client that speaks bytes, so that it can be rude.
class RawClient {
public:
    explicit RawClient(std::uint16_t port) : fd_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
        const timeval guard{20, 0};  // a test that hangs fails instead
        setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof guard);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    }
    ~RawClient() { ::close(fd_); }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    bool send(std::string_view text) {
        while (!text.empty()) {
            const ssize_t n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
            if (n <= 0) return false;
            text.remove_prefix(static_cast<std::size_t>(n));
        }
        return true;
    }
    /// Everything until the server closes; sets `reset` if it broke instead.
    std::string read_to_end() {
        std::string all;
        while (read_some(all)) {
        }
        return all;
    }
    /// One response with its Content-Length worth of body.
    std::string read_response(bool has_body = true) {
        std::string all = std::move(rest_);
        for (;;) {
            const std::size_t head_end = all.find("\r\n\r\n");
            if (head_end != std::string::npos) {
                const std::size_t at = all.find("Content-Length: ");
                const std::size_t length =
                    has_body && at < head_end ? std::stoul(all.substr(at + 16)) : 0;
                const std::size_t size = head_end + 4 + length;
                if (all.size() >= size) {
                    rest_ = all.substr(size);
                    return all.substr(0, size);
                }
            }
            if (!read_some(all)) return all;
        }
    }
    bool was_reset() const { return was_reset_; }

private:
    bool read_some(std::string& all) {
        char buffer[4'096];
        const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
        was_reset_ |= n < 0;
        if (n <= 0) return false;
        all.append(buffer, static_cast<std::size_t>(n));
        return true;
    }

    int fd_;
    std::string rest_;
    bool was_reset_ = false;
};

class ScriptedStream final : public BodyStream {
public:
    ScriptedStream(std::atomic<int>& alive, std::vector<std::string> pieces)
        : alive_{alive}, pieces_{std::move(pieces)} {
        ++alive_;
    }
    ~ScriptedStream() override { --alive_; }
    ScriptedStream(const ScriptedStream&) = delete;
    ScriptedStream& operator=(const ScriptedStream&) = delete;
    std::optional<std::string> next() override {
        if (at_ == pieces_.size()) return std::nullopt;
        return pieces_[at_++];
    }

private:
    std::atomic<int>& alive_;
    std::vector<std::string> pieces_;
    std::size_t at_ = 0;
};

class ServerTest : public testing::Test {
protected:
    void start(ServerOptions options = {}) {
        server_ = std::make_unique<Server>(std::move(options));
        server_->handle("GET", "/hello", [](const Request& request) {
            const std::string name{request.query("name").value_or("world")};
            return Response{200, "text/plain", "hello " + name};
        });
        server_->handle("POST", "/echo", [](const Request& request) {
            return Response{201, request.content_type, request.body};
        });
        server_->handle("GET", "/files/*", [](const Request& request) {
            return Response{200, "text/plain", "file " + request.target.path};
        });
        server_->handle("GET", "/throws",
                        [](const Request&) -> Response { throw std::runtime_error{"secret"}; });
        server_->handle("GET", "/stream", [this](const Request&) {
            Response response;
            response.content_type = "application/x-ndjson";
            response.stream = std::make_shared<ScriptedStream>(
                streams_, std::vector<std::string>{"one\n\n", "", "two\n"});
            return response;
        });
        server_->handle("GET", "/endless", [this](const Request&) {
            Response response;
            response.stream = std::make_shared<ScriptedStream>(
                streams_, std::vector<std::string>(100'000, "more\n"));
            return response;
        });
        const auto port = server_->start();
        ASSERT_TRUE(port.has_value()) << port.error();
        port_ = *port;
        ASSERT_NE(port_, 0);
    }

    std::string exchange(std::string_view request) {
        RawClient client{port_};
        client.send(request);
        std::string answer = client.read_to_end();
        EXPECT_FALSE(client.was_reset());
        return answer;
    }

    std::atomic<int> streams_{0};
    std::unique_ptr<Server> server_;
    std::uint16_t port_ = 0;
};

constexpr std::string_view close_header = "Host: x\r\nConnection: close\r\n\r\n";

std::string get(std::string_view target) {
    return "GET " + std::string{target} + " HTTP/1.1\r\n" + std::string{close_header};
}

bool has_status(const std::string& answer, int status) {
    return answer.starts_with("HTTP/1.1 " + std::to_string(status) + " ");
}

}  // namespace

TEST_F(ServerTest, answers_by_path_and_query) {
    start();
    const std::string answer = exchange(get("/hello?x=1&name=m%C3%ADtu+2"));
    EXPECT_TRUE(has_status(answer, 200)) << answer;
    EXPECT_TRUE(answer.ends_with("\r\n\r\nhello m\xC3\xADtu 2")) << answer;
    EXPECT_NE(answer.find("Content-Type: text/plain\r\n"), std::string::npos);
    EXPECT_TRUE(exchange(get("/files/a/b.css")).ends_with("file /files/a/b.css"));
    EXPECT_TRUE(exchange(get("http://host:1/hello")).ends_with("hello world"));
}

TEST_F(ServerTest, tells_unknown_paths_from_wrong_methods) {
    start();
    EXPECT_TRUE(has_status(exchange(get("/nowhere")), 404));
    EXPECT_TRUE(has_status(exchange(get("/hello/below")), 404));
    const std::string wrong = exchange("DELETE /hello HTTP/1.1\r\n" + std::string{close_header});
    EXPECT_TRUE(has_status(wrong, 405));
    EXPECT_NE(wrong.find("Allow: GET, HEAD\r\n"), std::string::npos) << wrong;
}

TEST_F(ServerTest, a_stream_is_sent_as_it_comes_and_let_go_when_it_ends) {
    const std::string answer = exchange(get("/stream"));
    EXPECT_TRUE(has_status(answer, 200)) << answer;
    EXPECT_NE(answer.find("Transfer-Encoding: chunked\r\n"), std::string::npos) << answer;
    EXPECT_NE(answer.find("Content-Type: application/x-ndjson\r\n"), std::string::npos) << answer;
    EXPECT_TRUE(answer.ends_with("\r\n\r\n5\r\none\n\n\r\n4\r\ntwo\n\r\n0\r\n\r\n")) << answer;
    EXPECT_EQ(streams_, 0);
    const std::string head = exchange("HEAD /stream HTTP/1.1\r\n" + std::string{close_header});
    EXPECT_TRUE(has_status(head, 200)) << head;
}

TEST_F(ServerTest, a_stream_whose_reader_has_gone_is_let_go) {
    {
        RawClient client{port_};
        client.send(get("/endless"));
        std::string first;
        ASSERT_TRUE(client.read_some(first));
        EXPECT_EQ(streams_, 1);
    }
    while (streams_ != 0) std::this_thread::yield();  // the guard of ctest, if it never ends
}

TEST_F(ServerTest, head_has_the_length_but_not_the_body) {
    start();
    const std::string answer = exchange("HEAD /hello HTTP/1.1\r\n" + std::string{close_header});
    EXPECT_TRUE(has_status(answer, 200));
    EXPECT_NE(answer.find("Content-Length: 11\r\n"), std::string::npos) << answer;
    EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
}

TEST_F(ServerTest, keeps_connections_alive_and_takes_pipelined_requests) {
    start();
    RawClient client{port_};
    const std::string request = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(client.send(request));
        EXPECT_TRUE(client.read_response().ends_with("hello world"));
    }
    ASSERT_TRUE(
        client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    "Content-Length: 2\r\n\r\n{}" +
                    request));
    const std::string echo = client.read_response();
    EXPECT_TRUE(has_status(echo, 201)) << echo;
    EXPECT_TRUE(echo.ends_with("\r\n\r\n{}"));
    EXPECT_TRUE(client.read_response().ends_with("hello world"));
}

TEST_F(ServerTest, takes_a_chunked_body_and_says_continue) {
    start();
    RawClient client{port_};
    ASSERT_TRUE(
        client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                    "Expect: 100-continue\r\nConnection: close\r\n\r\n"));
    EXPECT_TRUE(has_status(client.read_response(false), 100));
    ASSERT_TRUE(client.send("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
    EXPECT_TRUE(client.read_to_end().ends_with("\r\n\r\nabcde"));
}

TEST_F(ServerTest, refuses_what_is_too_large_and_lets_the_answer_be_read) {
    ServerOptions options;
    options.body_bytes_max = 1'000;
    options.header_bytes_max = 2'000;
    start(options);
    const std::string body(100'000, 'x');
    EXPECT_TRUE(has_status(
        exchange("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + body), 413));
    EXPECT_TRUE(has_status(
        exchange("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n186A0\r\n" +
                 body),
        413));
    EXPECT_TRUE(has_status(
        exchange("GET /hello HTTP/1.1\r\nHost: x\r\nX-Long: " + body + "\r\n\r\n"), 431));
    EXPECT_TRUE(has_status(exchange(get("/" + body)), 431));
}

TEST_F(ServerTest, answers_malformed_requests_with_400_and_goes_on_for_others) {
    start();
    for (const std::string_view request :
         {"nonsense\r\n\r\n", "GET /hello HTTP/9.9\r\n\r\n", "GET  HTTP/1.1\r\n\r\n",
          "GET /hello HTTP/1.1\r\nbad header\r\n\r\n",
          "POST /echo HTTP/1.1\r\nContent-Length: x\r\n\r\n",
          "POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
          "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", "GET /files/../hello HTTP/1.1\r\nHost: x\r\n\r\n",
          "GET /files/%2e%2e/hello HTTP/1.1\r\nHost: x\r\n\r\n",
          "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n"}) {
        EXPECT_TRUE(has_status(exchange(request), 400)) << request;
    }
    EXPECT_TRUE(has_status(exchange(get("/hello")), 200));
}

TEST_F(ServerTest, a_handler_that_throws_is_a_500_without_its_secrets) {
    start();
    const std::string answer = exchange(get("/throws"));
    EXPECT_TRUE(has_status(answer, 500));
    EXPECT_EQ(answer.find("secret"), std::string::npos);
}

TEST_F(ServerTest, closes_clients_that_are_too_slow) {
    ServerOptions options;
    options.request_time_max = Duration::milliseconds(50);
    start(options);
    for (const std::string_view part :
         {"", "GET /hel", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"}) {
        RawClient client{port_};
        client.send(part);
        EXPECT_EQ(client.read_to_end(), "") << part;
    }
    EXPECT_TRUE(has_status(exchange(get("/hello")), 200));
}

TEST_F(ServerTest, closes_clients_that_do_not_read) {
    ServerOptions options;
    options.response_time_max = Duration::milliseconds(50);
    options.connections_max = 1;
    server_ = std::make_unique<Server>(options);
    server_->handle("GET", "/big", [](const Request&) {
        return Response{200, "text/plain", std::string(67'108'864, 'x')};
    });
    const auto port = server_->start();
    ASSERT_TRUE(port.has_value());
    RawClient client{*port};
    client.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    // Its place becomes free though it never reads a byte: until then others are told 503.
    for (;;) {
        RawClient other{*port};
        other.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        const std::string answer = other.read_to_end();
        if (has_status(answer, 404)) break;
        std::this_thread::yield();
    }
}

TEST_F(ServerTest, refuses_more_connections_than_allowed) {
    ServerOptions options;
    options.connections_max = 2;
    start(options);
    RawClient first{port_};
    RawClient second{port_};
    for (RawClient* const client : {&first, &second}) {
        client->send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT_TRUE(has_status(client->read_response(), 200));
    }
    RawClient third{port_};
    EXPECT_TRUE(has_status(third.read_to_end(), 503));
    first.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(has_status(first.read_response(), 200));
}

TEST_F(ServerTest, stops_with_connections_open) {
    start();
    RawClient idle{port_};
    RawClient half{port_};
    half.send("POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nab");
    server_->stop();
    server_.reset();
    EXPECT_EQ(idle.read_to_end(), "");
    EXPECT_EQ(half.read_to_end(), "");
}

TEST_F(ServerTest, says_why_it_cannot_listen) {
    start();
    ServerOptions taken;
    taken.port = port_;
    Server second{taken};
    const auto result = second.start();
    ASSERT_FALSE(result.has_value());
    EXPECT_NE(result.error().find(std::to_string(port_)), std::string::npos);
    ServerOptions nonsense;
    nonsense.host = "not an address";
    EXPECT_FALSE(Server{nonsense}.start().has_value());
}

}  // namespace mitu::http
