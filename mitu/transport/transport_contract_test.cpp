// TransportNetwork keeps the contract of networks, whatever stands in between.

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "mitu/ports/network_contract.hpp"
#include "mitu/runtime/clock.hpp"
#include "mitu/runtime/listener.hpp"
#include "mitu/transport/testing/pki.hpp"
#include "mitu/transport/testing/socket_client.hpp"
#include "mitu/transport/transport_network.hpp"

namespace mitu::transport {
namespace {

const runtime::SystemClock test_clock;

struct Variant {
    bool tls = false;
    bool websocket = false;
    bool proxy = false;
    int version = 0;
    runtime::Io io = runtime::Io::epoll;
    bool settles = false;
    std::size_t read_bytes_max = 65'536;
};

class TransportWorld final : public ports::ContractWorld {
public:
    explicit TransportWorld(const Variant& variant) : variant_{variant} {
        ListenerTransport settings;
        if (variant.tls) {
            identity_ = testing::make_identity({.common_name = "broker.example"});
            TlsSettings tls;
            tls.certificates.push_back({files_.write("server.pem", identity_.certificate_pem()),
                                        files_.write("server.key", identity_.key_pem()),
                                        {}});
            auto store = TlsStore::load(tls, test_clock.wall());
            MITU_CHECK_MSG(store.has_value(), store.error().c_str());
            settings.tls = *store;
        }
        if (variant.websocket) settings.websocket = WebSocketSettings{};
        if (variant.proxy) {
            settings.proxy_headers = ProxyHeaders::required;
            settings.proxies = {parse_ip_network("127.0.0.0/8").value()};
        }
        auto listeners = runtime::listen_on({"127.0.0.1", 0}, 1);
        MITU_CHECK(listeners.has_value());
        port_ = listeners->port;
        first_ = make(std::move(listeners->sockets), settings);
        second_ = make({}, settings);
    }
    ports::Network& first() override { return *first_; }
    ports::Network& second() override { return *second_; }
    std::unique_ptr<ports::ContractPeer> connect() override {
        testing::ClientOptions options;
        options.tls = variant_.tls;
        options.websocket = variant_.websocket;
        options.version = variant_.version;
        if (variant_.proxy) options.first = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 1883\r\n";
        auto peer = std::make_unique<Peer>(std::make_shared<testing::SocketClient>(
            testing::connect_to(port_), std::move(options)));
        peers_.push_back(peer->client);
        return peer;
    }
    Instant now() override {
        for (const auto& weak : peers_) {
            if (const auto client = weak.lock()) client->pump();
        }
        return test_clock.now();
    }
    bool settles() override { return variant_.settles; }

private:
    /// The test owns the peer; the world only keeps its handshake going.
    struct Peer final : ports::ContractPeer {
        explicit Peer(std::shared_ptr<testing::SocketClient> c) : client{std::move(c)} {}
        std::size_t send(ByteView bytes) override { return client->send(bytes); }
        Bytes receive() override { return client->receive(); }
        bool has_seen_end() override { return client->has_seen_end(); }
        bool has_seen_reset() override { return client->has_seen_reset(); }
        void finish_sending() override { client->finish_sending(); }
        void reset() override { client->reset(); }
        std::shared_ptr<testing::SocketClient> client;
    };

    std::unique_ptr<TransportNetwork> make(std::vector<runtime::UniqueFd> sockets,
                                           const ListenerTransport& settings) const {
        runtime::NetworkLimits limits;
        limits.read_bytes_max = variant_.read_bytes_max;
        auto inner = runtime::make_server_network(variant_.io, test_clock,
                                                  {std::move(sockets), limits, nullptr});
        MITU_CHECK(inner.has_value());
        TransportOptions options;
        options.listeners.push_back(settings);
        return std::make_unique<TransportNetwork>(std::move(*inner), test_clock, options);
    }

    Variant variant_;
    testing::TemporaryDirectory files_;
    testing::Identity identity_;
    std::uint16_t port_ = 0;
    std::unique_ptr<TransportNetwork> first_;
    std::unique_ptr<TransportNetwork> second_;
    std::vector<std::weak_ptr<testing::SocketClient>> peers_;
};

template <bool tls, bool websocket, bool proxy = false, int version = 0>
std::unique_ptr<ports::ContractWorld> make_world() {
    return std::make_unique<TransportWorld>(Variant{tls, websocket, proxy, version});
}
template <bool tls, bool websocket>
std::unique_ptr<ports::ContractWorld> make_narrow_world() {
    Variant variant{tls, websocket};
    variant.read_bytes_max = 1'000;
    return std::make_unique<TransportWorld>(variant);
}
template <bool tls, bool websocket, bool settles>
std::unique_ptr<ports::ContractWorld> make_uring_world() {
    if (!runtime::io_uring_problem().empty()) return nullptr;
    Variant variant{tls, websocket};
    variant.io = runtime::Io::io_uring;
    variant.settles = settles;
    return std::make_unique<TransportWorld>(variant);
}

}  // namespace
}  // namespace mitu::transport

namespace mitu::ports {

using namespace transport;

INSTANTIATE_TEST_SUITE_P(plain, NetworkContract, ::testing::Values(&make_world<false, false>));
INSTANTIATE_TEST_SUITE_P(proxied, NetworkContract,
                         ::testing::Values(&make_world<false, false, true>));
INSTANTIATE_TEST_SUITE_P(tls_1_2, NetworkContract,
                         ::testing::Values(&make_world<true, false, false, TLS1_2_VERSION>));
INSTANTIATE_TEST_SUITE_P(tls_1_3, NetworkContract,
                         ::testing::Values(&make_world<true, false, true, TLS1_3_VERSION>,
                                           &make_narrow_world<true, false>));
INSTANTIATE_TEST_SUITE_P(websocket, NetworkContract,
                         ::testing::Values(&make_world<false, true>,
                                           &make_narrow_world<false, true>));
INSTANTIATE_TEST_SUITE_P(secure_websocket, NetworkContract,
                         ::testing::Values(&make_world<true, true>, &make_world<true, true, true>,
                                           &make_narrow_world<true, true>));
INSTANTIATE_TEST_SUITE_P(io_uring, NetworkContract,
                         ::testing::Values(&make_uring_world<true, false, false>,
                                           &make_uring_world<true, false, true>,
                                           &make_uring_world<true, true, true>));

}  // namespace mitu::ports
