// What the client promises to those who ask through it: the good days, and its bounds.

#include "mitu/http/client.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "mitu/http/server.hpp"
#include "mitu/http/testing/names.hpp"
#include "mitu/http/testing/scripted_peer.hpp"

namespace mitu::http {
namespace {

using testing::Answer;
using testing::ask;
using testing::Line;
using testing::ScriptedPeer;
using testing::send;
using testing::show;
using testing::start_client;
using testing::wait;

ClientRequest post(std::string body) { return {"POST", "", "application/json", std::move(body)}; }

void reply_to_all(Line& line, int index) {
    while (!line.read().empty()) line.reply("from " + std::to_string(index));
}

/// Holds threads until it is opened.
class Gate {
public:
    void wait() {
        const MutexLock lock{mutex_};
        ++waiting_;
        changed_.notify_all();
        while (!is_open_) changed_.wait(mutex_);
    }
    void wait_for_waiting(int count) {
        const MutexLock lock{mutex_};
        while (waiting_ < count) changed_.wait(mutex_);
    }
    void open() {
        const MutexLock lock{mutex_};
        is_open_ = true;
        changed_.notify_all();
    }

private:
    Mutex mutex_;
    Condition changed_;
    int waiting_ MITU_GUARDED_BY(mutex_) = 0;
    bool is_open_ MITU_GUARDED_BY(mutex_) = false;
};

}  // namespace

TEST(http_client, posts_json_and_hands_over_the_answer) {
    Server server{{}};
    server.handle("POST", "/mqtt/login", [](const Request& request) {
        std::string body = request.content_type + "|" + request.body + "|";
        body.append(request.header("Authorization").value_or("")).append("|");
        body.append(request.header("Host").value_or("")).append("|");
        body.append(request.query("realm").value_or("")).append(request.query("x").value_or(""));
        return Response{201, "text/plain", body, {{"X-One", "1"}}};
    });
    const auto port = server.start();
    ASSERT_TRUE(port.has_value());
    const std::string host = "one.test:" + std::to_string(*port);
    ClientOptions options;
    options.url = "http://" + host + "/mqtt/?realm=a";
    options.headers = {{"Authorization", "Bearer b"}};
    const auto client = start_client(options);
    const auto answer = ask(*client, {"POST", "/login?x=y", "application/json", "{\"a\":1}"});
    ASSERT_TRUE(answer.has_value()) << answer.error().text();
    EXPECT_EQ(show(answer), "201 application/json|{\"a\":1}|Bearer b|" + host + "|ay");
    EXPECT_EQ(answer->header("x-one"), "1");
}

TEST(http_client, a_document_that_did_not_change_is_not_sent_again) {
    Server server{{}};
    server.handle("GET", "/jwks", [](const Request& request) {
        Response response{200, "application/json", "{}", {{"ETag", "\"7\""}}};
        response.headers.emplace_back("Cache-Control", "public, max-age=600");
        if (request.header("If-None-Match") == "\"7\"") {
            response.status = 304;
            response.body.clear();
        }
        return response;
    });
    const auto port = server.start();
    ASSERT_TRUE(port.has_value());
    ClientOptions options;
    options.url = "http://127.0.0.1:" + std::to_string(*port) + "/jwks";
    const auto client = start_client(options);
    const auto first = ask(*client);
    ASSERT_EQ(show(first), "200 {}");
    EXPECT_EQ(read_max_age(first->headers), Duration::seconds(600));
    ClientRequest again;
    again.headers.emplace_back("If-None-Match", std::string{first->header("ETag").value_or("")});
    EXPECT_EQ(show(ask(*client, again)), "304 ");
    EXPECT_EQ(show(ask(*client)), "200 {}");
    EXPECT_EQ(client->counts().opened_total, 1u);
}

TEST(http_client, uses_a_connection_again) {
    ScriptedPeer peer{reply_to_all};
    const auto client = start_client({.url = peer.url()});
    for (int i = 0; i < 3; ++i) EXPECT_EQ(show(ask(*client, post("{}"))), "200 from 0");
    EXPECT_EQ(peer.accepted(), 1);
    const Client::Counts counts = client->counts();
    EXPECT_EQ(counts.opened_total, 1u);
    EXPECT_EQ(counts.reused_total, 2u);
    EXPECT_EQ(counts.connections, 1u);
    EXPECT_EQ(counts.requests, 0u);
}

TEST(http_client, opens_no_more_connections_than_allowed_and_serves_all) {
    Gate gate;
    ScriptedPeer peer{[&](Line& line, int index) {
        if (line.read().empty()) return;
        gate.wait();
        line.reply("from " + std::to_string(index));
        reply_to_all(line, index);
    }};
    const auto client = start_client({.url = peer.url(), .connections_max = 2});
    std::vector<std::future<Answer>> futures;
    for (int i = 0; i < 6; ++i) futures.push_back(send(*client, post("{}")));
    gate.wait_for_waiting(2);
    EXPECT_EQ(client->counts().requests, 6u);
    EXPECT_EQ(client->counts().connections, 2u);
    gate.open();
    for (auto& future : futures) EXPECT_TRUE(show(wait(future)).starts_with("200 from "));
    EXPECT_EQ(peer.accepted(), 2);
    EXPECT_EQ(client->counts().reused_total, 4u);
}

TEST(http_client, one_request_too_many_is_busy_at_once) {
    Gate gate;
    ScriptedPeer peer{[&](Line& line, int index) {
        if (line.read().empty()) return;
        gate.wait();
        line.reply("late");
        reply_to_all(line, index);
    }};
    const auto client = start_client({.url = peer.url(), .connections_max = 1, .waiting_max = 1});
    auto first = send(*client);
    gate.wait_for_waiting(1);
    auto second = send(*client);
    EXPECT_EQ(show(ask(*client)), "busy");  // while the others have no answer
    EXPECT_EQ(client->counts().refused_busy_total, 1u);
    gate.open();
    EXPECT_EQ(show(wait(first)), "200 late");
    EXPECT_EQ(show(wait(second)), "200 from 0");
    EXPECT_EQ(show(ask(*client)), "200 from 0");  // there is room again
}

TEST(http_client, a_done_may_ask_the_next_thing) {
    ScriptedPeer peer{reply_to_all};
    const auto client = start_client({.url = peer.url(), .connections_max = 1, .waiting_max = 0});
    std::promise<Answer> last;
    client->send({}, [&](const Answer& first) {
        EXPECT_EQ(show(first), "200 from 0");
        client->send({}, [&](Answer second) { last.set_value(std::move(second)); });
    });
    auto future = last.get_future();
    EXPECT_EQ(show(wait(future)), "200 from 0");
    EXPECT_EQ(peer.accepted(), 1);
}

TEST(http_client, a_service_that_never_answers_ends_in_timeout_also_for_who_waits) {
    ScriptedPeer peer{[](Line& line, int) { line.read_to_end(); }};
    const auto client = start_client(
        {.url = peer.url(), .connections_max = 1, .request_timeout = Duration::milliseconds(60)});
    auto first = send(*client);
    auto second = send(*client);
    const Answer no_answer = wait(first);
    EXPECT_EQ(show(no_answer), "timeout");
    EXPECT_NE(no_answer.error().text().find("waiting for the answer"), std::string::npos);
    EXPECT_EQ(show(wait(second)), "timeout");
    EXPECT_EQ(client->counts().sent_again_total, 0u);
    EXPECT_EQ(client->counts().requests, 0u);
}

TEST(http_client, an_answer_that_drips_does_not_stretch_the_time) {
    ScriptedPeer peer{[](Line& line, int) {
        line.read();
        line.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while (line.write("1\r\nx\r\n")) std::this_thread::yield();
    }};
    const auto client = start_client({.url = peer.url(),
                                      .body_bytes_max = 1'000'000'000,
                                      .request_timeout = Duration::milliseconds(60)});
    EXPECT_EQ(show(ask(*client)), "timeout");
}

TEST(http_client, a_connection_that_nobody_needs_is_closed) {
    std::promise<void> closed;
    ScriptedPeer peer{[&](Line& line, int index) {
        reply_to_all(line, index);  // until the client closes
        closed.set_value();
    }};
    const auto client = start_client({.url = peer.url(), .idle_max = Duration::milliseconds(20)});
    EXPECT_EQ(show(ask(*client)), "200 from 0");
    EXPECT_EQ(closed.get_future().wait_for(std::chrono::seconds{20}), std::future_status::ready);
    EXPECT_EQ(client->counts().connections, 0u);
}

TEST(http_client, a_name_that_hangs_ends_in_timeout_and_the_client_recovers) {
    ScriptedPeer peer{reply_to_all};
    std::optional<testing::SlowNames> slow{std::in_place};
    const auto client =
        start_client({.url = peer.url("slow.test"), .request_timeout = Duration::milliseconds(50)});
    for (int i = 0; i < 2; ++i) {
        const Answer answer = ask(*client);
        EXPECT_EQ(show(answer), "timeout");
        EXPECT_NE(answer.error().text().find("resolving slow.test"), std::string::npos);
    }
    slow.reset();
    // Its own limit may still pass while the machine is busy: what counts is that it ends well.
    Answer answer = ask(*client);
    for (int i = 0; i < 100 && !answer; ++i) answer = ask(*client);
    EXPECT_EQ(show(answer), "200 from 0");
}

TEST(http_client, tells_what_is_wrong_with_an_address) {
    EXPECT_EQ(show(ask(*start_client({.url = "http://absent.test"}))), "resolve");
    std::uint16_t port = 0;
    {
        const ScriptedPeer gone{reply_to_all};
        port = gone.port();
    }
    const Answer refused = ask(*start_client({.url = "http://127.0.0.1:" + std::to_string(port)}));
    EXPECT_EQ(show(refused), "connect");
    EXPECT_NE(refused.error().text().find("127.0.0.1 port"), std::string::npos);
}

TEST(http_client, tries_the_next_address_of_a_name) {
    ScriptedPeer peer{reply_to_all};
    EXPECT_EQ(show(ask(*start_client({.url = peer.url("two.test")}))), "200 from 0");
}

TEST(http_client, stop_ends_every_request_once) {
    ScriptedPeer peer{[](Line& line, int) { line.read_to_end(); }};
    std::optional<testing::SlowNames> slow{std::in_place};
    const auto client = start_client({.url = peer.url(), .connections_max = 2});
    const auto resolving = start_client({.url = peer.url("slow.test")});
    std::vector<std::future<Answer>> futures;
    for (int i = 0; i < 8; ++i) futures.push_back(send(*client));
    futures.push_back(send(*resolving));
    client->stop();
    resolving->stop();
    for (auto& future : futures) EXPECT_EQ(show(wait(future)), "stopped");
    EXPECT_EQ(show(ask(*client)), "stopped");
    client->stop();  // again does nothing
    EXPECT_EQ(client->counts().connections, 0u);
    slow.reset();  // the client's end waits for the resolver
}

TEST(http_client, every_request_ends_once_though_stop_comes_in_between) {
    ScriptedPeer peer{reply_to_all};
    const auto client = start_client({.url = peer.url(), .connections_max = 3, .waiting_max = 20});
    constexpr int senders = 3;
    constexpr int each = 200;
    std::vector<std::atomic<int>> ends(senders * each);
    std::promise<void> under_way;
    std::vector<std::thread> threads;
    for (int sender = 0; sender < senders; ++sender) {
        threads.emplace_back([&, sender] {
            for (int i = 0; i < each; ++i) {
                client->send({}, [&ends, place = static_cast<std::size_t>(sender * each + i)](
                                     const Answer&) { ++ends[place]; });
                if (sender == 0 && i == each / 2) under_way.set_value();
            }
        });
    }
    under_way.get_future().wait();
    client->stop();
    for (std::thread& thread : threads) thread.join();
    for (const auto& count : ends) ASSERT_EQ(count, 1);
}

TEST(http_client, options_that_make_no_sense_are_refused_without_telling_secrets) {
    struct Row {
        ClientOptions options;
        const char* reason;
    };
    const Row rows[] = {
        {{.url = "auth.example.com"}, "http://"},
        {{.url = "http://one.test", .headers = {{"Authorization", "geheim\r\nX: y"}}},
         "Authorization"},
        {{.url = "http://one.test", .headers = {{"geheim geheim", "x"}}}, "header"},
        {{.url = "http://one.test", .headers = {{"content-Length", "4"}}}, "leave it out"},
        {{.url = "http://one.test", .connections_max = 0}, "connections_max"},
        {{.url = "http://one.test", .header_bytes_max = 0}, "header_bytes_max"},
        {{.url = "http://one.test", .connect_timeout = Duration{}}, "connect_timeout"},
        {{.url = "http://one.test", .request_timeout = Duration::seconds(-1)}, "request_timeout"},
        {{.url = "http://one.test", .idle_max = Duration{}}, "idle_max"},
        {{.url = "https://one.test", .ca_file = "absent.pem"}, "absent.pem"},
        {{.url = "https://one.test", .ca_file = "README.md"}, "README.md"},
    };
    for (const Row& row : rows) {
        Client client{row.options};
        const auto started = client.start();
        ASSERT_FALSE(started.has_value()) << row.reason;
        EXPECT_NE(started.error().find(row.reason), std::string::npos) << started.error();
        EXPECT_EQ(started.error().find("geheim"), std::string::npos) << started.error();
    }
}

TEST(http_client, a_request_that_would_smuggle_another_is_never_sent) {
    ScriptedPeer peer{reply_to_all};
    const auto client = start_client({.url = peer.url()});
    const ClientRequest requests[] = {
        {.method = ""},
        {.method = "GET / HTTP/1.1\r\nX:"},
        {.method = "CONNECT"},
        {.target = "other"},
        {.target = "/a b"},
        {.target = "/a\r\nX: y"},
        {.target = "/a#b"},
        {.content_type = "text/plain\r\nX: y"},
        {.headers = {{"X", "y\nZ: a"}}},
        {.headers = {{"X: y\r\nZ", "a"}}},
        {.headers = {{"Host", "elsewhere"}}},
        {.headers = {{"Transfer-Encoding", "chunked"}}},
    };
    for (const ClientRequest& request : requests) {
        EXPECT_EQ(show(ask(*client, request)), "malformed") << request.method << request.target;
    }
    EXPECT_EQ(client->counts().opened_total, 0u);
    EXPECT_EQ(client->counts().requests, 0u);
    EXPECT_EQ(show(ask(*client)), "200 from 0");
}

}  // namespace mitu::http
