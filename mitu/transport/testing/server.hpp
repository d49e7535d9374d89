#pragma once
// A TransportNetwork on the loopback, with a clock that can be put forward.

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mitu/runtime/clock.hpp"
#include "mitu/runtime/listener.hpp"
#include "mitu/transport/testing/socket_client.hpp"
#include "mitu/transport/tls_stream.hpp"
#include "mitu/transport/transport_network.hpp"

namespace mitu::transport::testing {

class ShiftedClock final : public ports::Clock {
public:
    [[nodiscard]] Instant now() const noexcept override { return real_.now() + shift; }
    [[nodiscard]] WallTime wall() const noexcept override { return real_.wall(); }
    Duration shift;

private:
    runtime::SystemClock real_;
};

struct Server {
    explicit Server(ListenerTransport listener, TransportLimits limits = {},
                    Doorkeeper* doorkeeper = nullptr) {
        auto listeners = runtime::listen_on({"127.0.0.1", 0}, 1);
        MITU_CHECK(listeners.has_value());
        port = listeners->port;
        auto inner = runtime::make_server_network(runtime::Io::epoll, clock,
                                                  {std::move(listeners->sockets), {}, nullptr});
        MITU_CHECK(inner.has_value());
        TransportOptions options;
        options.listeners.push_back(std::move(listener));
        options.limits = limits;
        network = std::make_unique<TransportNetwork>(std::move(*inner), clock, std::move(options),
                                                     doorkeeper);
    }
    SocketClient& connect(ClientOptions options = {}) {
        clients.push_back(std::make_unique<SocketClient>(connect_to(port), std::move(options)));
        return *clients.back();
    }
    void poll_once() {
        network->poll(clock.now() + Duration::milliseconds(1), events);
        for (const auto& client : clients) client->pump();
        for (const ports::NetworkEvent& event : events) {
            using Kind = ports::NetworkEvent::Kind;
            if (event.kind == Kind::opened) opened.push_back(event);
            if (event.kind == Kind::closed) closed.push_back(event.connection);
            if (event.kind == Kind::received) received[event.connection] += as_text(event.bytes);
        }
    }
    [[nodiscard]] bool run_until(const std::function<bool()>& done) {
        for (int i = 0; i < 5'000; ++i) {
            if (done()) return true;
            poll_once();
        }
        return false;
    }
    void run_a_little() {
        for (int i = 0; i < 10; ++i) poll_once();
    }
    [[nodiscard]] ports::ConnectionId open(ClientOptions options = {}) {
        const std::size_t before = opened.size();
        connect(std::move(options));
        EXPECT_TRUE(run_until([&] { return opened.size() > before; }));
        return opened.size() > before ? opened.back().connection : ports::ConnectionId{};
    }
    [[nodiscard]] bool ends(SocketClient& client) {
        return run_until([&] {
            static_cast<void>(client.receive());
            return client.has_seen_end() || client.has_seen_reset();
        });
    }
    [[nodiscard]] std::uint64_t failed(HandshakeFailure why) const {
        return network->transport_counters().failed_total[static_cast<std::size_t>(why)].read();
    }

    ShiftedClock clock;
    std::uint16_t port = 0;
    std::unique_ptr<TransportNetwork> network;
    std::vector<ports::NetworkEvent> events;
    std::vector<ports::NetworkEvent> opened;
    std::vector<ports::ConnectionId> closed;
    std::map<ports::ConnectionId, std::string> received;
    std::vector<std::unique_ptr<SocketClient>> clients;
};

}  // namespace mitu::transport::testing
