// https: whom the client believes, and whom it does not.

#include <gtest/gtest.h>

#include "mitu/http/server.hpp"
#include "mitu/http/testing/certificates.hpp"
#include "mitu/http/testing/names.hpp"
#include "mitu/http/testing/scripted_peer.hpp"

namespace mitu::http {
namespace {

using testing::Answer;
using testing::ask;
using testing::Line;
using testing::ScriptedPeer;
using testing::show;
using testing::start_client;

class ClientTlsTest : public ::testing::Test {
protected:
    /// A server whose certificate has these names.
    void start(const char* names, long seconds_left = 3'600) {
        ca.issue(files, names, seconds_left);
        ca.write(directory / "ca.pem");
        ServerOptions options;
        options.tls = files;
        server.emplace(options);
        server->handle("POST", "/login", [](const Request& request) {
            return Response{200, "text/plain", "got " + request.body};
        });
        const auto started = server->start();
        ASSERT_TRUE(started.has_value()) << started.error();
        port = *started;
    }
    [[nodiscard]] ClientOptions options(std::string_view host) const {
        return {.url = "https://" + std::string{host} + ":" + std::to_string(port) + "/login",
                .ca_file = directory / "ca.pem"};
    }
    void expect_refused(const ClientOptions& given, std::string_view reason) {
        const auto client = start_client(given);
        const Answer answer = ask(*client, login);
        ASSERT_EQ(show(answer), "tls");
        EXPECT_NE(answer.error().text().find(reason), std::string::npos) << answer.error().text();
        EXPECT_EQ(client->counts().connections, 0u);
        EXPECT_EQ(client->counts().sent_again_total, 0u);
    }

    const ClientRequest login{"POST", "", "application/json", "{}"};
    testing::Directory directory{::testing::TempDir()};
    const TlsFiles files{directory / "cert.pem", directory / "key.pem"};
    const testing::TestCa ca{"the CA"};
    std::optional<Server> server;
    std::uint16_t port = 0;
};

}  // namespace

TEST_F(ClientTlsTest, asks_a_service_that_its_ca_vouches_for_over_one_connection) {
    start("DNS:one.test");
    const auto client = start_client(options("one.test"));
    for (int i = 0; i < 3; ++i) EXPECT_EQ(show(ask(*client, login)), "200 got {}");
    EXPECT_EQ(client->counts().opened_total, 1u);
    EXPECT_EQ(client->counts().reused_total, 2u);
}

TEST_F(ClientTlsTest, another_host_name_is_refused) {
    start("DNS:one.test,IP:127.0.0.1");
    expect_refused(options("other.test"), "ostname mismatch");
}

TEST_F(ClientTlsTest, an_address_has_to_be_in_the_certificate_too) {
    start("DNS:one.test,IP:127.0.0.1");
    EXPECT_EQ(show(ask(*start_client(options("127.0.0.1")), login)), "200 got {}");
    start("DNS:127.0.0.1,IP:127.0.0.2");
    expect_refused(options("127.0.0.1"), "IP address mismatch");
}

TEST_F(ClientTlsTest, a_certificate_of_an_unknown_ca_is_refused) {
    start("DNS:one.test");
    const testing::TestCa stranger{"the CA"};  // the same name, another key
    stranger.write(directory / "ca.pem");
    expect_refused(options("one.test"), "certificate");
    ClientOptions of_the_system = options("one.test");
    of_the_system.ca_file.clear();
    expect_refused(of_the_system, "certificate");
}

TEST_F(ClientTlsTest, a_certificate_that_has_expired_is_refused) {
    start("DNS:one.test", -60);
    expect_refused(options("one.test"), "expired");
}

TEST_F(ClientTlsTest, a_service_without_tls_gets_no_request) {
    ca.write(directory / "ca.pem");
    std::string seen;
    {
        ScriptedPeer peer{[&](Line& line, int) {
            seen = line.read_some();
            line.write("HTTP/1.1 400 Bad Request\r\n\r\n");
        }};
        port = peer.port();
        expect_refused(options("one.test"), "one.test");
    }
    EXPECT_NE(seen.find("one.test"), std::string::npos);  // SNI
    EXPECT_EQ(seen.find("POST"), std::string::npos);
}

TEST_F(ClientTlsTest, an_address_is_not_sent_as_a_server_name) {
    ca.write(directory / "ca.pem");
    std::string seen;
    {
        ScriptedPeer peer{[&](Line& line, int) { seen = line.read_some(); }};
        port = peer.port();
        expect_refused(options("127.0.0.1"), "127.0.0.1");
    }
    EXPECT_FALSE(seen.empty());
    EXPECT_EQ(seen.find("127.0.0.1"), std::string::npos);
}

TEST_F(ClientTlsTest, a_handshake_that_hangs_ends_in_timeout) {
    ca.write(directory / "ca.pem");
    ScriptedPeer peer{[](Line& line, int) { line.read_to_end(); }};
    port = peer.port();
    ClientOptions slow = options("one.test");
    slow.connect_timeout = Duration::milliseconds(40);
    const Answer answer = ask(*start_client(slow), login);
    EXPECT_EQ(show(answer), "timeout");
    EXPECT_NE(answer.error().text().find("TLS handshake"), std::string::npos);
    slow.connect_timeout = Duration::seconds(20);
    slow.request_timeout = Duration::milliseconds(40);
    EXPECT_EQ(show(ask(*start_client(slow), login)), "timeout");
}

}  // namespace mitu::http
