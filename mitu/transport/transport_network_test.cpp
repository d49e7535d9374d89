#include "mitu/transport/transport_network.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "mitu/transport/testing/server.hpp"

namespace mitu::transport {
namespace {

using testing::ClientOptions;
using testing::Identity;
using testing::make_identity;
using testing::Server;

/// One CA, one server, one client; files that can change.
struct Pki {
    testing::TemporaryDirectory directory;
    Identity ca = make_identity({.common_name = "Acme CA", .is_ca = true});
    Identity server =
        make_identity({.common_name = "a", .alternative_names = "DNS:a.example"}, &ca);
    Identity second =
        make_identity({.common_name = "b", .alternative_names = "DNS:b.example"}, &ca);
    Identity device = make_identity(
        {.common_name = "dev-1",
         .alternative_names = "DNS:dev-1.example,URI:urn:acme:dev-1,email:dev@acme.example"},
        &ca);
    TlsSettings settings;
    std::shared_ptr<TlsStore> store;

    explicit Pki(ClientCertificates client_certificates = ClientCertificates::none) {
        settings.certificates = {{directory.write("a.pem", server.certificate_pem()),
                                  directory.write("a.key", server.key_pem()),
                                  {}},
                                 {directory.write("b.pem", second.certificate_pem()),
                                  directory.write("b.key", second.key_pem()),
                                  {}}};
        settings.ca_files = {directory.write("ca.pem", ca.certificate_pem())};
        settings.client_certificates = client_certificates;
    }
    ListenerTransport listener() {
        auto loaded = TlsStore::load(settings, runtime::SystemClock{}.wall());
        MITU_CHECK_MSG(loaded.has_value(), loaded.error().c_str());
        store = *loaded;
        ListenerTransport made;
        made.tls = store;
        return made;
    }
    [[nodiscard]] ClientOptions client(const Identity* identity = nullptr) const {
        ClientOptions options;
        options.tls = true;
        options.authority = &ca;
        options.identity = identity;
        options.server_name = "a.example";
        return options;
    }
};

std::string common_name_of_server(const testing::SocketClient& client) {
    X509* const certificate =
        SSL_get0_peer_certificate(const_cast<testing::SocketClient&>(client).stack().ssl());
    char name[64] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                              sizeof name);
    return name;
}

}  // namespace

TEST(transport_tls, tells_version_cipher_and_server_name) {
    Pki pki;
    Server server{pki.listener()};
    const auto id = server.open(pki.client());
    const ports::PeerFacts* const facts = server.network->facts(id);
    ASSERT_NE(facts, nullptr);
    EXPECT_EQ(facts->transport, ports::TransportKind::tls);
    EXPECT_EQ(facts->tls_version, "TLSv1.3");
    EXPECT_FALSE(facts->tls_cipher.empty());
    EXPECT_EQ(facts->server_name, "a.example");
    EXPECT_FALSE(facts->certificate.has_value());
    EXPECT_FALSE(facts->is_resumed);
    EXPECT_EQ(server.network->facts({99, 1}), nullptr);
}

TEST(transport_tls, the_server_name_chooses_the_certificate) {
    Pki pki;
    Server server{pki.listener()};
    for (const auto& [name, expected] : {std::pair{"a.example", "a"}, std::pair{"b.example", "b"},
                                         std::pair{"x.example", "a"}, std::pair{"", "a"}}) {
        ClientOptions options = pki.client();
        options.server_name = name;
        static_cast<void>(server.open(options));
        EXPECT_EQ(common_name_of_server(*server.clients.back()), expected) << name;
    }
}

TEST(transport_tls, a_client_certificate_is_told_with_all_its_names) {
    Pki pki{ClientCertificates::required};
    Server server{pki.listener()};
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        ClientOptions options = pki.client(&pki.device);
        options.version = version;
        const auto id = server.open(options);
        const ports::PeerFacts* const facts = server.network->facts(id);
        ASSERT_TRUE(facts != nullptr && facts->certificate);
        EXPECT_EQ(facts->certificate->common_name, "dev-1");
        EXPECT_EQ(facts->certificate->subject, "CN=dev-1,O=Acme");
        EXPECT_EQ(facts->certificate->dns_names, std::vector<std::string>{"dev-1.example"});
        EXPECT_EQ(facts->certificate->uris, std::vector<std::string>{"urn:acme:dev-1"});
        EXPECT_EQ(facts->certificate->emails, std::vector<std::string>{"dev@acme.example"});
        std::array<std::uint8_t, 32> fingerprint{};
        X509_digest(pki.device.certificate.get(), EVP_sha256(), fingerprint.data(), nullptr);
        EXPECT_EQ(facts->certificate->sha256, fingerprint);
    }
}

TEST(transport_tls, refuses_clients_whose_certificate_does_not_do) {
    Pki pki{ClientCertificates::required};
    const Identity stranger = make_identity({.common_name = "dev-1"});
    const Identity expired =
        make_identity({.common_name = "old", .from_days = -9, .until_days = -1}, &pki.ca);
    const Identity revoked = make_identity({.common_name = "lost"}, &pki.ca);
    pki.settings.crl_files = {
        pki.directory.write("crl.pem", testing::make_crl(pki.ca, {&revoked}))};
    Server server{pki.listener()};
    std::uint64_t count = 0;
    for (const Identity* identity :
         std::initializer_list<const Identity*>{nullptr, &stranger, &expired, &revoked}) {
        for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
            ClientOptions options = pki.client(identity);
            options.version = version;
            auto& client = server.connect(options);
            EXPECT_TRUE(server.ends(client));
            EXPECT_FALSE(client.stack().failure().empty());  // an alert, not just an end
            EXPECT_EQ(server.failed(HandshakeFailure::certificate), ++count);
        }
    }
    EXPECT_TRUE(server.opened.empty());
    EXPECT_FALSE(server.open(pki.client(&pki.device)).is_none());
}

TEST(transport_tls, an_optional_certificate_may_be_missing_but_not_bad) {
    Pki pki{ClientCertificates::optional};
    const Identity stranger = make_identity({.common_name = "dev-1"});
    Server server{pki.listener()};
    EXPECT_FALSE(server.network->facts(server.open(pki.client()))->certificate);
    EXPECT_TRUE(server.network->facts(server.open(pki.client(&pki.device)))->certificate);
    EXPECT_TRUE(server.ends(server.connect(pki.client(&stranger))));
    EXPECT_EQ(server.failed(HandshakeFailure::certificate), 1u);
}

TEST(transport_tls, refuses_what_has_nothing_in_common_and_says_why) {
    Pki pki;
    pki.settings.version_min = TlsVersion::tls1_3;
    pki.settings.refuses_unknown_names = true;
    Server server{pki.listener()};
    ClientOptions old = pki.client();
    old.version = TLS1_2_VERSION;
    ClientOptions unknown = pki.client();
    unknown.server_name = "nobody.example";
    ClientOptions http = pki.client();
    http.alpn = "\x02h2";
    std::uint64_t count = 0;
    for (const ClientOptions& options : {old, unknown, http}) {
        EXPECT_TRUE(server.ends(server.connect(options)));
        EXPECT_EQ(server.failed(HandshakeFailure::no_common_ground), ++count);
    }
    ClientOptions mqtt = pki.client();
    mqtt.alpn = "\x02h2\x04mqtt";
    static_cast<void>(server.open(mqtt));
    const unsigned char* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(server.clients.back()->stack().ssl(), &chosen, &size);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(chosen), size), "mqtt");
}

TEST(transport_tls, mqtt_without_tls_is_closed_at_its_first_byte) {
    Pki pki;
    Server server{pki.listener()};
    auto& client = server.connect();
    client.send(as_bytes("\x10"));
    EXPECT_TRUE(server.ends(client));
    EXPECT_EQ(server.failed(HandshakeFailure::not_tls), 1u);
}

TEST(transport_tls, a_session_is_resumed_until_client_checks_are_reloaded) {
    Pki pki{ClientCertificates::optional};
    ListenerTransport listener = pki.listener();
    Server server{listener};
    const auto id = server.open(pki.client(&pki.device));
    const ByteView part = as_bytes("x");
    EXPECT_EQ(server.network->write(id, std::span{&part, 1}), 1u);
    ASSERT_TRUE(server.run_until([&] { return !server.clients[0]->receive().empty(); }));
    const OpenSslPtr<SSL_SESSION, SSL_SESSION_free> session{
        SSL_get1_session(server.clients[0]->stack().ssl())};
    ASSERT_EQ(SSL_SESSION_is_resumable(session.get()), 1);

    ClientOptions again = pki.client();
    again.session = session.get();
    const auto resumed = server.network->facts(server.open(again));
    EXPECT_TRUE(resumed->is_resumed);
    EXPECT_EQ(resumed->certificate->common_name, "dev-1");

    EXPECT_EQ(pki.store->reload(server.clock.wall()).outcome, TlsStore::Reload::replaced);
    EXPECT_FALSE(server.network->facts(server.open(again))->is_resumed);
}

TEST(transport_tls, a_reload_serves_new_handshakes_and_leaves_connections_alone) {
    Pki pki;
    Server server{pki.listener()};
    const auto old = server.open(pki.client());
    const Identity renewed = make_identity({.common_name = "renewed"}, &pki.ca);
    pki.directory.write("a.pem", renewed.certificate_pem());
    pki.directory.write("a.key", renewed.key_pem());
    EXPECT_EQ(pki.store->reload(server.clock.wall()).outcome, TlsStore::Reload::replaced);
    static_cast<void>(server.open(pki.client()));
    EXPECT_EQ(common_name_of_server(*server.clients.back()), "renewed");
    server.clients.front()->send(as_bytes("still here"));
    EXPECT_TRUE(server.run_until([&] { return server.received[old] == "still here"; }));
    EXPECT_TRUE(server.closed.empty());
}

TEST(transport_tls, damaged_records_end_the_connection_alone) {
    Pki pki;
    Server server{pki.listener()};
    const auto id = server.open(pki.client());
    const auto other = server.open(pki.client());
    server.clients[0]->stack().to_socket() = Bytes{23, 3, 3, 0, 32};
    server.clients[0]->stack().to_socket().resize(37);
    EXPECT_TRUE(server.ends(*server.clients[0]));
    EXPECT_EQ(server.closed, std::vector{id});
    EXPECT_EQ(server.network->transport_counters().broken_total.read(), 1u);
    server.clients[1]->send(as_bytes("fine"));
    EXPECT_TRUE(server.run_until([&] { return server.received[other] == "fine"; }));
}

// --- the time before `opened` ---

TEST(transport_opening, silence_is_ended_at_its_deadline) {
    Pki pki;
    Server server{pki.listener()};
    auto& client = server.connect();
    server.run_a_little();
    server.clock.shift = Duration::milliseconds(9'000);
    server.run_a_little();
    EXPECT_FALSE(client.has_seen_end());
    server.clock.shift = Duration::milliseconds(10'500);
    EXPECT_TRUE(server.ends(client));
    EXPECT_EQ(server.failed(HandshakeFailure::timed_out), 1u);
    EXPECT_EQ(server.network->transport_counters().filtered_connections.read(), 0u);
}

TEST(transport_opening, a_handshake_that_stalls_gives_its_place_to_who_waits) {
    Pki pki;
    TransportLimits limits;
    limits.handshakes_max = 1;
    Server server{pki.listener(), limits};
    testing::ClientStack hello{pki.client()};
    auto& stalled = server.connect();
    stalled.send(hello.to_socket());  // and never a Finished
    auto& waiting = server.connect(pki.client());
    server.run_a_little();
    const TransportCounters& counters = server.network->transport_counters();
    EXPECT_EQ(counters.handshakes_active.read(), 1u);
    EXPECT_EQ(counters.handshakes_waiting.read(), 1u);
    EXPECT_TRUE(server.opened.empty());
    server.clock.shift = Duration::milliseconds(3'500);
    EXPECT_TRUE(server.run_until([&] { return server.opened.size() == 1; }));
    EXPECT_TRUE(waiting.stack().is_ready());
    EXPECT_TRUE(server.ends(stalled));
    EXPECT_EQ(server.failed(HandshakeFailure::timed_out), 1u);
    EXPECT_EQ(counters.handshakes_active.read(), 0u);
}

TEST(transport_opening, groups_share_the_wait_and_the_largest_is_shed) {
    Pki pki;
    TransportLimits limits;
    limits.handshakes_max = 1;
    limits.waiting_max = 4;
    Server server{pki.listener(), limits};
    testing::ClientStack hello{pki.client()};
    server.connect().send(hello.to_socket());  // holds the only place
    server.run_a_little();
    for (int i = 0; i < 5; ++i) {
        server.connect(pki.client());
        server.run_a_little();
    }
    EXPECT_EQ(server.failed(HandshakeFailure::shed), 1u);  // the fifth of one group
    ClientOptions other = pki.client();
    other.server_name = "b.example";
    auto& late = server.connect(other);
    server.run_a_little();
    EXPECT_EQ(server.failed(HandshakeFailure::shed), 2u);  // the fourth made room
    server.clock.shift = Duration::milliseconds(3'500);
    EXPECT_TRUE(server.run_until([&] { return server.opened.size() >= 2; }));
    EXPECT_TRUE(late.stack().is_ready());  // second in turn, though it came last
}

TEST(transport_opening, a_wait_that_is_too_long_is_shed) {
    Pki pki;
    TransportLimits limits;
    limits.handshakes_max = 0;
    Server server{pki.listener(), limits};
    auto& client = server.connect(pki.client());
    server.run_a_little();
    server.clock.shift = Duration::milliseconds(30'500);
    EXPECT_TRUE(server.ends(client));
    EXPECT_EQ(server.failed(HandshakeFailure::shed), 1u);
    EXPECT_EQ(server.network->transport_counters().handshakes_waiting.read(), 0u);
}

TEST(transport_opening, a_storm_gets_in_though_each_poll_has_time_for_one_step) {
    Pki pki;
    TransportLimits limits;
    limits.handshake_time_per_poll = Duration::nanoseconds(1);
    limits.handshakes_max = 8;
    Server server{pki.listener(), limits};
    for (int i = 0; i < 40; ++i) server.connect(pki.client());
    for (auto& client : server.clients) client->send(as_bytes("hi"));
    EXPECT_TRUE(server.run_until([&] { return server.received.size() == 40; }));
    EXPECT_GT(server.network->transport_counters().handshake_polls_cut_total.read(), 10u);
    EXPECT_EQ(server.network->transport_counters().handshakes_done_total.read(), 40u);
}

namespace {
struct Guard final : Doorkeeper {
    bool admits(const ports::PeerAddress& peer, std::uint16_t, Instant) override {
        asked.insert(ports::address_text(peer));
        return !refuses;
    }
    std::uint32_t group_of(std::uint16_t, std::string_view name, std::uint32_t) override {
        names.insert(std::string{name});
        return 7;
    }
    void on_arrived(std::uint16_t, bool is_open) override { ++(is_open ? opened : lost); }
    bool refuses = false;
    int opened = 0;
    int lost = 0;
    std::set<std::string> asked;
    std::set<std::string> names;
};
}  // namespace

TEST(transport_opening, the_doorkeeper_is_asked_before_anything_is_spent) {
    Pki pki;
    Guard guard;
    Server server{pki.listener(), {}, &guard};
    EXPECT_FALSE(server.open(pki.client()).is_none());
    EXPECT_EQ(guard.names, std::set<std::string>{"a.example"});
    EXPECT_EQ(guard.opened, 1);
    guard.refuses = true;
    EXPECT_TRUE(server.ends(server.connect(pki.client())));
    EXPECT_EQ(guard.lost, 0) << "it was never on its way";
    const TransportCounters& counters = server.network->transport_counters();
    EXPECT_EQ(counters.not_admitted_total.read(), 1u);
    EXPECT_EQ(counters.handshakes_started_total.read(), 1u);

    Server plain{ListenerTransport{}, {}, &guard};
    EXPECT_TRUE(plain.ends(plain.connect()));
    EXPECT_TRUE(plain.opened.empty());
}

TEST(transport_opening, the_doorkeeper_hears_once_of_each_that_it_let_through) {
    Pki pki;
    Guard guard;
    Server server{pki.listener(), {}, &guard};
    server.connect().send(as_bytes("GET / HTTP/1.1\r\n"));
    server.connect().reset();
    EXPECT_TRUE(server.run_until([&] { return guard.lost == 2; }));
    EXPECT_EQ(server.failed(HandshakeFailure::not_tls), 1u);
    EXPECT_EQ(server.failed(HandshakeFailure::gone), 1u);
    const auto id = server.open(pki.client());
    EXPECT_EQ(guard.opened, 1);
    server.network->close(id);
    EXPECT_TRUE(server.ends(*server.clients.back()));
    EXPECT_EQ(guard.lost, 2) << "what is open is not on its way";
}

// --- PROXY headers ---

TEST(transport_proxy, a_listed_peer_says_who_connects) {
    ListenerTransport listener;
    listener.proxy_headers = ProxyHeaders::required;
    listener.proxies = {parse_ip_network("127.0.0.1").value()};
    Guard guard;
    Server server{listener, {}, &guard};
    ClientOptions options;
    options.first = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 1883\r\nand at once";
    const auto id = server.open(options);
    EXPECT_EQ(ports::address_text(server.opened[0].peer), "192.0.2.7:4711");
    EXPECT_EQ(guard.asked, std::set<std::string>{"192.0.2.7:4711"});
    EXPECT_TRUE(server.run_until([&] { return server.received[id] == "and at once"; }));
    const ports::PeerFacts* const facts = server.network->facts(id);
    ASSERT_TRUE(facts != nullptr && facts->proxy);
    EXPECT_EQ(facts->transport, ports::TransportKind::tcp);
    EXPECT_EQ(ports::address_text(facts->proxy->destination), "192.0.2.1:1883");
    EXPECT_EQ(facts->proxy->proxy.ip, make_v4(127, 0, 0, 1));
}

TEST(transport_proxy, required_headers_come_from_listed_peers_and_are_well_formed) {
    ListenerTransport listener;
    listener.proxy_headers = ProxyHeaders::required;
    listener.proxies = {parse_ip_network("192.0.2.0/24").value()};
    Server unlisted{listener};
    EXPECT_TRUE(unlisted.ends(unlisted.connect()));
    EXPECT_EQ(unlisted.failed(HandshakeFailure::proxy_header), 1u);

    listener.proxies = {parse_ip_network("127.0.0.0/8").value()};
    Server listed{listener};
    std::uint64_t count = 0;
    for (const char* text : {"\x10mqtt", "PROXY TCP4 nonsense\r\n"}) {
        ClientOptions options;
        options.first = text;
        EXPECT_TRUE(listed.ends(listed.connect(options)));
        EXPECT_EQ(listed.failed(HandshakeFailure::proxy_header), ++count);
    }
    EXPECT_TRUE(listed.opened.empty());
}

TEST(transport_proxy, where_headers_are_optional_others_are_taken_as_they_are) {
    ListenerTransport listener;
    listener.proxy_headers = ProxyHeaders::optional;
    Server unlisted{listener};
    ClientOptions options;
    options.first = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 1883\r\n";
    const auto id = unlisted.open(options);  // believed by nobody: bytes like any others
    EXPECT_EQ(unlisted.opened[0].peer.ip, make_v4(127, 0, 0, 1));
    EXPECT_TRUE(unlisted.run_until([&] { return unlisted.received[id] == options.first; }));

    listener.proxies = {parse_ip_network("127.0.0.0/8").value()};
    Server listed{listener};
    ClientOptions plain;
    plain.first = "\x10mqtt";
    const auto direct = listed.open(plain);
    EXPECT_TRUE(listed.run_until([&] { return listed.received[direct] == "\x10mqtt"; }));
}

// --- WebSocket ---

TEST(transport_websocket, says_what_it_is_and_closes_with_1000) {
    Pki pki;
    ListenerTransport listener = pki.listener();
    listener.websocket = WebSocketSettings{};
    Server server{listener};
    ClientOptions options = pki.client();
    options.websocket = true;
    const auto id = server.open(options);
    EXPECT_EQ(server.network->facts(id)->transport, ports::TransportKind::secure_websocket);
    EXPECT_EQ(server.network->facts(id)->server_name, "a.example");
    server.network->close(id);
    EXPECT_TRUE(server.ends(*server.clients[0]));
    EXPECT_EQ(server.clients[0]->stack().close_code(), 1000);
    EXPECT_TRUE(server.clients[0]->stack().has_seen_close_notify());
    EXPECT_TRUE(server.closed.empty());  // the owner knows
}

TEST(transport_websocket, a_refused_upgrade_is_answered_over_http) {
    ListenerTransport listener;
    listener.websocket = WebSocketSettings{};
    Server server{listener};
    ClientOptions options;
    options.websocket = true;
    options.upgrade = testing::make_upgrade("/wrong");
    auto& client = server.connect(options);
    EXPECT_TRUE(server.ends(client));
    EXPECT_FALSE(client.has_seen_reset());
    EXPECT_TRUE(as_text(client.stack().head()).starts_with("HTTP/1.1 404 "));
    EXPECT_EQ(server.failed(HandshakeFailure::websocket), 1u);
}

TEST(transport_websocket, text_is_closed_with_1003_and_told_to_the_owner) {
    ListenerTransport listener;
    listener.websocket = WebSocketSettings{};
    Server server{listener};
    ClientOptions options;
    options.websocket = true;
    const auto id = server.open(options);
    server.clients[0]->stack().send_raw(testing::make_frame(1, as_bytes("text")));
    EXPECT_TRUE(server.ends(*server.clients[0]));
    EXPECT_EQ(server.clients[0]->stack().close_code(), 1003);
    EXPECT_EQ(server.closed, std::vector{id});
}

TEST(transport_websocket, pings_are_answered_while_somebody_reads_the_answers) {
    ListenerTransport listener;
    listener.websocket = WebSocketSettings{};
    TransportLimits limits;
    limits.unsent_bytes_max = 65'536;
    Server server{listener, limits};
    ClientOptions options;
    options.websocket = true;
    const auto id = server.open(options);
    auto& client = *server.clients[0];
    client.stack().send_raw(testing::make_frame(9, as_bytes("are you there")));
    EXPECT_TRUE(server.run_until([&] {
        static_cast<void>(client.receive());
        return client.stack().pongs() == 1;
    }));
    // Who asks for ever and never reads is closed.
    Bytes pings;
    while (pings.size() < 262'144) {
        const Bytes ping = testing::make_frame(9, Bytes(125));
        pings.insert(pings.end(), ping.begin(), ping.end());
    }
    EXPECT_TRUE(server.run_until([&] {
        if (client.stack().to_socket().empty()) client.stack().send_raw(pings);
        return !server.closed.empty();
    }));
    EXPECT_EQ(server.closed, std::vector{id});
    EXPECT_EQ(server.network->transport_counters().output_overrun_total.read(), 1u);
}

// --- filters that move, or are let go ---

TEST(transport_network, filters_of_a_connection_that_nobody_takes_are_freed) {
    Pki pki;
    Server server{pki.listener()};
    const auto id = server.open(pki.client());
    const ports::DetachedConnection detached = server.network->detach(id);
    EXPECT_NE(detached.filters, nullptr);
    EXPECT_EQ(server.network->transport_counters().filtered_connections.read(), 0u);
    runtime::ServerNetwork::close_detached(detached);
    EXPECT_TRUE(server.ends(*server.clients[0]));

    // A network without filters would hand out ciphertext: it closes instead.
    const auto next = server.open(pki.client());
    auto bare = runtime::make_server_network(runtime::Io::epoll, server.clock, {});
    EXPECT_TRUE((*bare)->attach(server.network->detach(next)).is_none());
    EXPECT_TRUE(server.ends(*server.clients[1]));
}

TEST(transport_network, what_the_peer_does_not_take_is_given_up_after_a_while) {
    Pki pki;
    Server server{pki.listener()};
    const auto id = server.open(pki.client());
    const Bytes much(16u << 20);
    const ByteView part = much;
    ASSERT_LT(server.network->write(id, std::span{&part, 1}), much.size());
    server.network->close(id);
    server.run_a_little();
    EXPECT_EQ(server.network->transport_counters().filtered_connections.read(), 1u);
    server.clock.shift = Duration::milliseconds(5'500);
    server.run_a_little();
    EXPECT_EQ(server.network->transport_counters().filtered_connections.read(), 0u);
}

}  // namespace mitu::transport
