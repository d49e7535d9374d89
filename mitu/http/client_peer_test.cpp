// Services that misbehave, and odd ones that do not.

#include <gtest/gtest.h>

#include "mitu/http/testing/scripted_peer.hpp"

namespace mitu::http {
namespace {

using testing::Answer;
using testing::ask;
using testing::Line;
using testing::ScriptedPeer;
using testing::show;
using testing::start_client;

const ClientRequest post{"POST", "", "application/json", "{}"};

/// Sends `bytes` for each request and closes.
ScriptedPeer::Script answer_with(std::string bytes) {
    return [bytes](Line& line, int) {
        if (!line.read().empty()) line.write(bytes);
    };
}

}  // namespace

TEST(http_client_peer, what_is_no_http_is_malformed) {
    const std::string rows[] = {
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        std::string("\0\1\2\3\r\n\r\n", 8),
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    };
    for (const std::string& bytes : rows) {
        ScriptedPeer peer{answer_with(bytes)};
        const auto client = start_client({.url = peer.url()});
        EXPECT_EQ(show(ask(*client)), "malformed") << bytes;
        EXPECT_EQ(client->counts().connections, 0u);
        EXPECT_EQ(peer.accepted(), 1) << bytes;  // asking again would not help
    }
    ScriptedPeer peer{[](Line& line, int) {
        line.read();
        while (line.write("HTTP/1.1 103 Early Hints\r\n\r\n")) std::this_thread::yield();
    }};
    EXPECT_EQ(show(ask(*start_client({.url = peer.url()}))), "malformed");
}

TEST(http_client_peer, what_is_more_than_allowed_is_too_large) {
    const auto endless = [](std::string begin, std::string more) {
        return [=](Line& line, int) {
            line.read();
            line.write(begin);
            while (line.write(more)) std::this_thread::yield();
        };
    };
    const std::string ok = "HTTP/1.1 200 OK\r\n";
    const ScriptedPeer::Script rows[] = {
        answer_with(ok + "Content-Length: 1001\r\n\r\n"),
        answer_with(ok + "Content-Length: 18446744073709551615\r\n\r\n"),
        endless(ok + "Transfer-Encoding: chunked\r\n\r\n",
                "40\r\n" + std::string(64, 'x') + "\r\n"),
        endless(ok + "\r\n", std::string(64, 'x')),
        endless(ok, "X-More: " + std::string(64, 'x') + "\r\n"),
        endless(ok + "X-More: ", std::string(64, 'x')),
    };
    for (std::size_t i = 0; i < std::size(rows); ++i) {
        ScriptedPeer peer{rows[i]};
        const auto client =
            start_client({.url = peer.url(), .header_bytes_max = 1'000, .body_bytes_max = 1'000});
        EXPECT_EQ(show(ask(*client)), "too_large") << i;
        EXPECT_EQ(client->counts().connections, 0u);
    }
    ScriptedPeer peer{answer_with(ok + "Content-Length: 1000\r\n\r\n" + std::string(1'000, 'x'))};
    EXPECT_EQ(show(ask(*start_client({.url = peer.url(), .body_bytes_max = 1'000}))),
              "200 " + std::string(1'000, 'x'));
}

TEST(http_client_peer, a_get_that_was_cut_off_is_sent_once_more_and_a_post_is_not) {
    const std::string rows[] = {
        "",
        "HTTP/1.1 200 O",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
    };
    for (const std::string& bytes : rows) {
        ScriptedPeer get_peer{answer_with(bytes)};
        const auto getter = start_client({.url = get_peer.url()});
        EXPECT_EQ(show(ask(*getter)), "closed") << bytes;
        EXPECT_EQ(get_peer.accepted(), 2) << bytes;
        EXPECT_EQ(getter->counts().sent_again_total, 1u);

        ScriptedPeer post_peer{answer_with(bytes)};
        EXPECT_EQ(show(ask(*start_client({.url = post_peer.url()}), post)), "closed") << bytes;
        EXPECT_EQ(post_peer.accepted(), 1) << bytes;
    }
}

TEST(http_client_peer, a_kept_connection_that_was_closed_costs_no_post) {
    ScriptedPeer peer{[](Line& line, int index) {
        line.read();
        line.reply("from " + std::to_string(index));
        if (index == 0)
            line.read();  // and closes without a word
        else
            line.read_to_end();
    }};
    const auto client = start_client({.url = peer.url()});
    EXPECT_EQ(show(ask(*client, post)), "200 from 0");
    EXPECT_EQ(show(ask(*client, post)), "200 from 1");
    EXPECT_EQ(client->counts().sent_again_total, 1u);
}

TEST(http_client_peer, a_post_that_was_half_answered_over_a_kept_connection_is_not_sent_again) {
    ScriptedPeer peer{[](Line& line, int) {
        line.read();
        line.reply("first");
        line.read();
        line.write("H");
    }};
    const auto client = start_client({.url = peer.url()});
    EXPECT_EQ(show(ask(*client, post)), "200 first");
    EXPECT_EQ(show(ask(*client, post)), "closed");
    EXPECT_EQ(peer.accepted(), 1);
}

TEST(http_client_peer, a_kept_connection_that_the_service_closes_is_forgotten) {
    ScriptedPeer peer{[](Line& line, int index) {
        line.read();
        line.reply("from " + std::to_string(index));
    }};
    const auto client = start_client({.url = peer.url()});
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(show(ask(*client, post)), "200 from " + std::to_string(i));
    }
    EXPECT_EQ(peer.accepted(), 3);
}

TEST(http_client_peer, bytes_behind_an_answer_are_nobodys_answer) {
    const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
    ScriptedPeer peer{[&](Line& line, int index) {
        line.read();
        line.write(ok + std::to_string(index) + ok + "x");
        line.read_to_end();
    }};
    const auto client = start_client({.url = peer.url()});
    EXPECT_EQ(show(ask(*client)), "200 0");
    EXPECT_EQ(show(ask(*client)), "200 1");
    EXPECT_EQ(peer.accepted(), 2);
}

TEST(http_client_peer, every_way_to_end_an_answer_is_understood) {
    struct Row {
        const char* bytes;
        const char* method;
        const char* shown;
        bool is_kept;
    };
    const Row rows[] = {
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n",
         "GET", "200 abc", true},
        {"HTTP/1.1 204 No Content\r\n\r\n", "POST", "204 ", true},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "GET", "304 ", true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD", "200 ", true},
        {"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "GET", "302 ", true},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
         "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
         "POST", "200 a", true},
        {"HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", "GET", "500 a",
         false},
        {"HTTP/1.1 200 OK\r\n\r\nto the end", "GET", "200 to the end", false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", "GET", "200 a", false},
    };
    for (const Row& row : rows) {
        ScriptedPeer peer{[&](Line& line, int) {
            while (!line.read().empty()) {
                line.write(row.bytes);
                if (!row.is_kept) return;
            }
        }};
        const auto client = start_client({.url = peer.url()});
        for (int i = 0; i < 2; ++i) {
            EXPECT_EQ(show(ask(*client, {.method = row.method})), row.shown) << row.bytes;
        }
        EXPECT_EQ(peer.accepted(), row.is_kept ? 1 : 2) << row.bytes;
        EXPECT_EQ(client->counts().connections, row.is_kept ? 1u : 0u) << row.bytes;
    }
}

}  // namespace mitu::http
