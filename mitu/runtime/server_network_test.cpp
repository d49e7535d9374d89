#include "mitu/runtime/server_network.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/ports/inbox.hpp"
#include "mitu/ports/network_contract.hpp"
#include "mitu/runtime/clock.hpp"
#include "mitu/runtime/listener.hpp"
#include "mitu/runtime/uring_network.hpp"

namespace mitu::runtime {
namespace {

using ports::ConnectionId;
using ports::NetworkEvent;
using Kind = ports::NetworkEvent::Kind;

const SystemClock system_clock;

/// A blocking connect to the loopback; the socket does not block afterwards.
UniqueFd connect_to(std::uint16_t port) {
    UniqueFd fd{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    MITU_CHECK(fd.is_open());
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0)
        << std::generic_category().message(errno);
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

class SocketPeer final : public ports::ContractPeer {
public:
    explicit SocketPeer(UniqueFd fd) : fd_{std::move(fd)} {}

    std::size_t send(ByteView bytes) override {
        const ssize_t n =
            ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        // A failed send takes the socket's error with it: recv() would only tell of an end.
        seen_reset_ |= n < 0 && errno != EAGAIN;
        return n < 0 ? 0 : static_cast<std::size_t>(n);
    }
    Bytes receive() override {
        Bytes all;
        std::array<std::uint8_t, 65'536> some{};
        for (;;) {
            const ssize_t n = ::recv(fd_.get(), some.data(), some.size(), MSG_DONTWAIT);
            if (n > 0) {
                all.insert(all.end(), some.begin(), some.begin() + n);
                continue;
            }
            seen_end_ |= n == 0;
            seen_reset_ |= n < 0 && errno != EAGAIN;
            return all;
        }
    }
    bool has_seen_end() override { return seen_end_; }
    bool has_seen_reset() override { return seen_reset_; }
    void finish_sending() override { ::shutdown(fd_.get(), SHUT_WR); }
    void reset() override {
        const linger hard{1, 0};
        setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        fd_.reset();
    }

private:
    UniqueFd fd_;
    bool seen_end_ = false;
    bool seen_reset_ = false;
};

Listeners listen_anywhere() {
    auto listeners = listen_on({"127.0.0.1", 0}, 1);
    EXPECT_TRUE(listeners.has_value()) << listeners.error();
    return std::move(*listeners);
}

/// What a test runs on.
struct Variant {
    Io io = Io::epoll;
    bool settles = false;  // every connection, as soon as it is open
};

std::unique_ptr<ServerNetwork> make_network(Io io, std::vector<UniqueFd> listeners,
                                            const NetworkLimits& limits = {},
                                            ConnectionBudget* budget = nullptr) {
    auto network = make_server_network(io, system_clock, {std::move(listeners), limits, budget});
    EXPECT_TRUE(network.has_value()) << network.error();
    return std::move(*network);
}

class RealWorld final : public ports::ContractWorld {
public:
    RealWorld(Variant variant, const NetworkLimits& limits) : variant_{variant} {
        Listeners listeners = listen_anywhere();
        port_ = listeners.port;
        first_ = make_network(variant.io, std::move(listeners.sockets), limits);
        second_ = make_network(variant.io, {}, limits);
    }
    ports::Network& first() override { return *first_; }
    ports::Network& second() override { return *second_; }
    std::unique_ptr<ports::ContractPeer> connect() override {
        return std::make_unique<SocketPeer>(connect_to(port_));
    }
    Instant now() override { return system_clock.now(); }
    bool settles() override { return variant_.settles; }

private:
    Variant variant_;
    std::uint16_t port_ = 0;
    std::unique_ptr<ServerNetwork> first_;
    std::unique_ptr<ServerNetwork> second_;
};

template <Io io, bool settles>
std::unique_ptr<ports::ContractWorld> make_world() {
    if (io == Io::io_uring && !io_uring_problem().empty()) return nullptr;
    return std::make_unique<RealWorld>(Variant{io, settles}, NetworkLimits{});
}

// Every read is cut short by the limits: the paths for what is left over.
template <Io io, bool settles>
std::unique_ptr<ports::ContractWorld> make_narrow_world() {
    if (io == Io::io_uring && !io_uring_problem().empty()) return nullptr;
    NetworkLimits limits;
    limits.read_bytes_max = 1'000;
    limits.poll_bytes_max = 1'500;
    limits.lingering_max = 2;
    return std::make_unique<RealWorld>(Variant{io, settles}, limits);
}

/// One network and its port; collects what polls say.
struct Server {
    /// `send_buffer_bytes`: of its connections; a buffer that was set stays as it is, and full once
    /// it is full.
    explicit Server(Variant variant, const NetworkLimits& limits = {},
                    ConnectionBudget* budget = nullptr, int send_buffer_bytes = 0)
        : settles{variant.settles} {
        Listeners listeners = listen_anywhere();
        port = listeners.port;
        if (send_buffer_bytes != 0) {
            setsockopt(listeners.sockets[0].get(), SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes,
                       sizeof send_buffer_bytes);
        }
        network = make_network(variant.io, std::move(listeners.sockets), limits, budget);
    }
    template <class Done>
    bool run_until(const Done& done) {
        const Instant give_up = system_clock.now() + Duration::seconds(20);
        while (!done()) {
            if (system_clock.now() > give_up) return false;
            poll_once();
        }
        return true;
    }
    void poll_once(Duration wait = Duration::milliseconds(5)) {
        network->poll(system_clock.now() + wait, events);
        ++polls;
        for (const NetworkEvent& event : events) {
            if (event.kind == Kind::opened) {
                opened.push_back(event.connection);
                if (settles) network->settle(event.connection);
            }
            if (event.kind == Kind::closed) closed.push_back(event.connection);
            if (event.kind == Kind::received) received[event.connection] += as_text(event.bytes);
        }
    }

    bool settles = false;
    std::uint16_t port = 0;
    std::unique_ptr<ServerNetwork> network;
    std::vector<NetworkEvent> events;
    std::vector<ConnectionId> opened;
    std::vector<ConnectionId> closed;
    std::map<ConnectionId, std::string> received;
    int polls = 0;
};

bool waits_for_end(int fd) {
    // The peer's view of a refusal: end or reset, never data. Blocks until it comes.
    char byte = 0;
    return ::recv(fd, &byte, 1, 0) <= 0;
}

}  // namespace

class ServerNetworkTest : public testing::TestWithParam<Variant> {
protected:
    void SetUp() override {
        if (GetParam().io == Io::epoll) return;
        if (const std::string problem = io_uring_problem(); !problem.empty()) {
            GTEST_SKIP() << problem;
        }
    }
};

INSTANTIATE_TEST_SUITE_P(epoll, ServerNetworkTest, testing::Values(Variant{Io::epoll, false}));
INSTANTIATE_TEST_SUITE_P(io_uring, ServerNetworkTest,
                         testing::Values(Variant{Io::io_uring, false}));
INSTANTIATE_TEST_SUITE_P(io_uring_settled, ServerNetworkTest,
                         testing::Values(Variant{Io::io_uring, true}));

TEST_P(ServerNetworkTest, wake_from_another_thread_ends_a_wait_without_deadline) {
    const auto network = make_network(GetParam().io, {});
    std::vector<NetworkEvent> events;
    for (int i = 0; i < 200; ++i) {
        std::thread waker{[&] { network->wake(); }};
        network->poll(Instant::never(), events);
        EXPECT_TRUE(events.empty());
        waker.join();
        // A late eventfd edge may end one more wait early, but never hang one.
        network->wake();
        network->poll(Instant::never(), events);
    }
}

TEST_P(ServerNetworkTest, no_wake_is_lost_between_two_threads_that_answer_each_other) {
    const auto network = make_network(GetParam().io, {});
    std::atomic<int> asked{0};
    std::atomic<int> answered{0};
    constexpr int rounds = 5'000;
    std::thread asker{[&] {
        for (int i = 1; i <= rounds; ++i) {
            asked.store(i);
            network->wake();
            while (answered.load() < i) std::this_thread::yield();
        }
    }};
    std::vector<NetworkEvent> events;
    while (answered.load() < rounds) {
        network->poll(Instant::never(), events);
        answered.store(asked.load());
    }
    asker.join();
}

TEST_P(ServerNetworkTest, a_connection_wanders_between_two_threads_while_bytes_flow) {
    // What travels with the connection: whoever owns it appends.
    struct Moving {
        ports::DetachedConnection connection;
        Bytes received;
    };
    Listeners listeners = listen_anywhere();
    std::array<std::unique_ptr<ServerNetwork>, 2> networks{
        make_network(GetParam().io, std::move(listeners.sockets)), make_network(GetParam().io, {})};
    std::array<ports::Inbox<Moving>, 2> inboxes;
    const Bytes bytes = ports::make_pattern(1'000'000);
    std::atomic<bool> done{false};
    std::atomic<int> moves{0};
    Bytes arrived;

    const auto run = [&](std::size_t self) {
        ServerNetwork& network = *networks[self];
        const std::size_t other = 1 - self;
        std::vector<NetworkEvent> events;
        std::vector<Moving> incoming;
        ConnectionId id;
        Bytes received;
        while (!done.load()) {
            network.poll(Instant::never(), events);
            inboxes[self].drain(incoming);
            bool has_news = false;
            for (Moving& moving : incoming) {
                received = std::move(moving.received);
                id = network.attach(moving.connection);
            }
            for (const NetworkEvent& event : events) {
                if (event.kind == Kind::opened) id = event.connection;
                if (event.kind != Kind::received) continue;
                received.insert(received.end(), event.bytes.begin(), event.bytes.end());
                has_news = true;
            }
            if (received.size() == bytes.size()) {
                arrived = std::exchange(received, {});
                done = true;
                networks[other]->wake();
            } else if (has_news) {
                ++moves;
                EXPECT_TRUE(
                    inboxes[other].try_push({network.detach(id), std::exchange(received, {})}));
                networks[other]->wake();
                id = {};
            }
        }
    };
    std::thread first{run, 0};
    std::thread second{run, 1};
    const UniqueFd client = connect_to(listeners.port);
    for (ByteView rest = bytes; !rest.empty();) {
        const std::size_t size = std::min<std::size_t>(rest.size(), 5'000);
        const ssize_t sent = ::send(client.get(), rest.data(), size, MSG_NOSIGNAL);
        if (sent <= 0) break;
        rest = rest.subspan(static_cast<std::size_t>(sent));
    }
    first.join();
    second.join();
    EXPECT_TRUE(arrived == bytes);
    EXPECT_GT(moves.load(), 10);
}

TEST_P(ServerNetworkTest, accepts_a_burst_in_bounded_batches) {
    NetworkLimits limits;
    limits.accepts_max = 10;
    Server server{GetParam(), limits};
    std::vector<UniqueFd> clients;
    clients.reserve(1'000);
    for (int i = 0; i < 95; ++i) clients.push_back(connect_to(server.port));
    server.poll_once();
    EXPECT_EQ(server.opened.size(), 10u);
    EXPECT_TRUE(server.run_until([&] { return server.opened.size() == 95; }));
    EXPECT_EQ(server.polls, 10);
    EXPECT_EQ(std::set<ConnectionId>(server.opened.begin(), server.opened.end()).size(), 95u);
    EXPECT_EQ(server.network->counters().accepted_total.read(), 95u);
}

TEST_P(ServerNetworkTest, accepted_sockets_have_no_delay_though_nobody_sets_it_on_them) {
    Server server{GetParam()};
    const UniqueFd client = connect_to(server.port);
    ASSERT_TRUE(server.run_until([&] { return !server.opened.empty(); }));
    if (GetParam().settles) GTEST_SKIP() << "a settled connection does not move";
    const auto detached = server.network->detach(server.opened[0]);
    int value = 0;
    socklen_t size = sizeof value;
    ASSERT_EQ(
        getsockopt(static_cast<int>(detached.handle) - 1, IPPROTO_TCP, TCP_NODELAY, &value, &size),
        0);
    EXPECT_NE(value, 0);
    ServerNetwork::close_detached(detached);
    EXPECT_TRUE(waits_for_end(client.get()));
}

TEST_P(ServerNetworkTest, a_thousand_connections_each_get_their_own_answer) {
    constexpr std::size_t connections = 1'000;
    Server server{GetParam()};
    std::vector<UniqueFd> clients;
    clients.reserve(1'000);
    for (std::size_t i = 0; i < connections; ++i) {
        clients.push_back(connect_to(server.port));
        const std::string text = "client " + std::to_string(i);
        ASSERT_EQ(::send(clients[i].get(), text.data(), text.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(text.size()));
        if (i % 100 == 0) server.poll_once();
    }
    ASSERT_TRUE(server.run_until([&] { return server.received.size() == connections; }));
    for (const auto& [id, text] : server.received) {
        const ByteView part = as_bytes(text);
        EXPECT_EQ(server.network->write(id, std::span{&part, 1}), text.size());
    }
    server.poll_once();  // io_uring: here they leave
    for (std::size_t i = 0; i < connections; ++i) {
        std::array<char, 64> buffer{};
        const ssize_t n = ::recv(clients[i].get(), buffer.data(), buffer.size(), 0);
        ASSERT_GT(n, 0);
        EXPECT_EQ(std::string_view(buffer.data(), static_cast<std::size_t>(n)),
                  "client " + std::to_string(i));
    }
    clients.clear();
    EXPECT_TRUE(server.run_until([&] { return server.closed.size() == connections; }));
    EXPECT_EQ(server.network->counters().connections.read(), 0u);
}

TEST_P(ServerNetworkTest, one_small_message_costs_at_most_one_read) {
    Server server{GetParam()};
    const UniqueFd client = connect_to(server.port);
    ASSERT_TRUE(server.run_until([&] { return server.opened.size() == 1; }));
    for (int i = 1; i <= 10; ++i) {
        ASSERT_EQ(::send(client.get(), "ping", 4, MSG_NOSIGNAL), 4);
        ASSERT_TRUE(server.run_until([&] {
            return server.received[server.opened[0]].size() == static_cast<std::size_t>(4 * i);
        }));
    }
    const bool kernel_reads = GetParam().io == Io::io_uring && GetParam().settles;
    EXPECT_EQ(server.network->counters().reads_total.read(), kernel_reads ? 0u : 10u);
}

TEST_P(ServerNetworkTest, a_torrent_does_not_starve_a_quiet_neighbour) {
    NetworkLimits limits;
    limits.read_bytes_max = 4'096;
    limits.poll_bytes_max = 8'192;
    Server server{GetParam(), limits};
    std::vector<UniqueFd> loud;
    loud.reserve(1'000);
    for (int i = 0; i < 4; ++i) loud.push_back(connect_to(server.port));
    const UniqueFd quiet = connect_to(server.port);
    ASSERT_TRUE(server.run_until([&] { return server.opened.size() == 5; }));
    const ConnectionId quiet_id = server.opened.back();

    const Bytes flood = ports::make_pattern(200'000);
    for (const UniqueFd& fd : loud) {
        ASSERT_GT(::send(fd.get(), flood.data(), flood.size(), MSG_DONTWAIT | MSG_NOSIGNAL), 0);
    }
    server.poll_once();
    ASSERT_EQ(::send(quiet.get(), "me too", 6, MSG_NOSIGNAL), 6);
    const int before = server.polls;
    ASSERT_TRUE(server.run_until([&] { return server.received[quiet_id] == "me too"; }));
    EXPECT_LE(server.polls - before, 4);  // five queued, two per poll
}

TEST_P(ServerNetworkTest, a_paused_connection_with_unread_bytes_does_not_keep_the_shard_awake) {
    Server server{GetParam()};
    const UniqueFd client = connect_to(server.port);
    ASSERT_TRUE(server.run_until([&] { return server.opened.size() == 1; }));
    server.network->pause_reading(server.opened[0]);
    ASSERT_EQ(::send(client.get(), "unread", 6, MSG_NOSIGNAL), 6);
    const std::uint64_t before = server.network->counters().polls_total.read();
    server.network->poll(system_clock.now() + Duration::milliseconds(20), server.events);
    EXPECT_TRUE(server.events.empty());
    EXPECT_LE(server.network->counters().polls_total.read() - before, 5u);
}

TEST_P(ServerNetworkTest, refuses_over_the_limit_and_accepts_again_below_it) {
    NetworkLimits limits;
    limits.connections_max = 3;
    Server server{GetParam(), limits};
    std::vector<UniqueFd> clients;
    clients.reserve(1'000);
    for (int i = 0; i < 5; ++i) clients.push_back(connect_to(server.port));
    const NetworkCounters& counters = server.network->counters();
    ASSERT_TRUE(server.run_until([&] { return counters.refused_limit_total.read() == 2; }));
    EXPECT_EQ(server.opened.size(), 3u);
    EXPECT_TRUE(waits_for_end(clients[3].get()));
    EXPECT_TRUE(waits_for_end(clients[4].get()));

    clients.erase(clients.begin());
    ASSERT_TRUE(server.run_until([&] { return server.closed.size() == 1; }));
    clients.push_back(connect_to(server.port));
    EXPECT_TRUE(server.run_until([&] { return server.opened.size() == 4; }));
}

TEST_P(ServerNetworkTest, shards_share_one_budget_and_moving_keeps_it_true) {
    ConnectionBudget budget{2};
    Server a{GetParam(), {}, &budget};
    Server b{GetParam(), {}, &budget};
    const UniqueFd first = connect_to(a.port);
    const UniqueFd second = connect_to(b.port);
    ASSERT_TRUE(a.run_until([&] { return a.opened.size() == 1; }));
    ASSERT_TRUE(b.run_until([&] { return b.opened.size() == 1; }));
    EXPECT_EQ(budget.used(), 2u);

    const UniqueFd third = connect_to(a.port);
    ASSERT_TRUE(a.run_until([&] { return a.network->counters().refused_limit_total.read() == 1; }));
    EXPECT_TRUE(waits_for_end(third.get()));

    if (GetParam().settles) GTEST_SKIP() << "a settled connection does not move";
    const ConnectionId moved = b.network->attach(a.network->detach(a.opened[0]));
    EXPECT_FALSE(moved.is_none());
    EXPECT_EQ(budget.used(), 2u);
    b.network->close(moved);
    b.network->close(b.opened[0]);
    EXPECT_TRUE(waits_for_end(first.get()));
    ::shutdown(first.get(), SHUT_WR);
    ::shutdown(second.get(), SHUT_WR);
    EXPECT_TRUE(b.run_until([&] { return budget.used() == 0; }));
}

TEST_P(ServerNetworkTest, closes_the_oldest_when_too_many_linger_and_all_in_time) {
    NetworkLimits limits;
    limits.lingering_max = 2;
    limits.linger_time_max = Duration::milliseconds(20);
    Server server{GetParam(), limits};
    std::vector<UniqueFd> clients;  // none of them ever closes
    clients.reserve(1'000);
    for (int i = 0; i < 5; ++i) clients.push_back(connect_to(server.port));
    ASSERT_TRUE(server.run_until([&] { return server.opened.size() == 5; }));
    for (const ConnectionId id : server.opened) server.network->close(id);
    const NetworkCounters& counters = server.network->counters();
    EXPECT_EQ(counters.lingering.read(), 2u);
    EXPECT_EQ(counters.linger_cut_total.read(), 3u);
    ASSERT_TRUE(server.run_until([&] { return counters.connections.read() == 0; }));
    EXPECT_EQ(counters.linger_cut_total.read(), 5u);
    EXPECT_EQ(counters.lingering.read(), 0u);
}

TEST_P(ServerNetworkTest, a_peer_that_never_stops_sending_is_cut_after_the_limit) {
    NetworkLimits limits;
    limits.linger_bytes_max = 100'000;
    limits.linger_time_max = Duration::seconds(60);
    Server server{GetParam(), limits};
    const UniqueFd client = connect_to(server.port);
    ASSERT_TRUE(server.run_until([&] { return server.opened.size() == 1; }));
    server.network->close(server.opened[0]);
    const Bytes flood = ports::make_pattern(50'000);
    EXPECT_TRUE(server.run_until([&] {
        [[maybe_unused]] const ssize_t n =
            ::send(client.get(), flood.data(), flood.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        return server.network->counters().connections.read() == 0;
    }));
    EXPECT_EQ(server.network->counters().linger_cut_total.read(), 1u);
}

TEST_P(ServerNetworkTest, lingering_ends_in_time_though_nothing_else_happens) {
    NetworkLimits limits;
    limits.linger_time_max = Duration::milliseconds(20);
    Server server{GetParam(), limits};
    const UniqueFd client = connect_to(server.port);  // never closes
    ASSERT_TRUE(server.run_until([&] { return server.opened.size() == 1; }));
    server.network->close(server.opened[0]);
    const trace::Counter& connections = server.network->counters().connections;
    std::thread waker{[&] {
        const Instant give_up = system_clock.now() + Duration::seconds(20);
        while (connections.read() > 0 && system_clock.now() < give_up) std::this_thread::yield();
        server.network->wake();
    }};
    server.network->poll(Instant::never(), server.events);
    waker.join();
    EXPECT_EQ(connections.read(), 0u);
}

TEST_P(ServerNetworkTest,
       a_paused_connection_that_is_closed_does_not_linger_for_a_peer_that_is_gone) {
    NetworkLimits limits;
    limits.linger_time_max = Duration::seconds(60);
    Server server{GetParam(), limits};
    const UniqueFd client = connect_to(server.port);
    ASSERT_TRUE(server.run_until([&] { return server.opened.size() == 1; }));
    server.network->pause_reading(server.opened[0]);
    ASSERT_EQ(::send(client.get(), "unread", 6, MSG_NOSIGNAL), 6);
    ::shutdown(client.get(), SHUT_WR);
    server.poll_once();  // the edge is spent here
    server.network->close(server.opened[0]);
    EXPECT_TRUE(
        server.run_until([&] { return server.network->counters().connections.read() == 0; }));
    EXPECT_TRUE(waits_for_end(client.get()));
}

TEST_P(ServerNetworkTest, refuses_clearly_when_the_process_has_no_file_left) {
    Server server{GetParam()};
    const UniqueFd before = connect_to(server.port);
    ASSERT_TRUE(server.run_until([&] { return server.opened.size() == 1; }));
    // Connected, but not yet accepted, when the files run out.
    std::vector<UniqueFd> late;
    late.reserve(1'000);
    for (int i = 0; i < 3; ++i) late.push_back(connect_to(server.port));

    rlimit limit{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const int next_fd = dup(0);
    ASSERT_GE(next_fd, 0);
    ::close(next_fd);
    rlimit low = limit;
    low.rlim_cur = static_cast<rlim_t>(next_fd);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    const NetworkCounters& counters = server.network->counters();
    const bool refused =
        server.run_until([&] { return counters.refused_no_files_total.read() == 3; });
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);

    EXPECT_TRUE(refused);
    for (const UniqueFd& fd : late) EXPECT_TRUE(waits_for_end(fd.get()));
    const ByteView part = as_bytes("still here");
    EXPECT_EQ(server.network->write(server.opened[0], std::span{&part, 1}), part.size());
    const UniqueFd after = connect_to(server.port);
    EXPECT_TRUE(server.run_until([&] { return server.opened.size() == 2; }));
}

TEST_P(ServerNetworkTest, a_listener_rests_without_spinning_when_even_refusing_is_impossible) {
    Server server{GetParam()};
    rlimit limit{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const UniqueFd client = connect_to(server.port);
    rlimit none = limit;
    none.rlim_cur = 3;  // below every open file: the spare one does not help either
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    const NetworkCounters& counters = server.network->counters();
    const Instant start = system_clock.now();
    server.network->poll(start + Duration::milliseconds(250), server.events);
    const std::uint64_t polls = counters.polls_total.read();
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);

    EXPECT_TRUE(server.events.empty());
    EXPECT_GE(counters.accept_pauses_total.read(), 1u);
    EXPECT_LE(polls, 20u);
    EXPECT_TRUE(server.run_until([&] { return server.opened.size() == 1; }));
}

TEST_P(ServerNetworkTest, what_was_written_before_many_closes_of_one_turn_arrives) {
    NetworkLimits limits;
    limits.lingering_max = 2;
    Server server{GetParam(), limits};
    std::vector<UniqueFd> clients;
    clients.reserve(20);
    for (int i = 0; i < 20; ++i) clients.push_back(connect_to(server.port));
    ASSERT_TRUE(server.run_until([&] { return server.opened.size() == 20; }));
    const ByteView part = as_bytes("goodbye");
    for (const ConnectionId id : server.opened) {
        EXPECT_EQ(server.network->write(id, std::span{&part, 1}), part.size());
        server.network->close(id);
    }
    ASSERT_TRUE(server.run_until(
        [&] { return server.network->counters().connections.read() <= limits.lingering_max; }));
    for (const UniqueFd& client : clients) {
        std::array<char, 16> said{};
        EXPECT_EQ(::recv(client.get(), said.data(), said.size(), 0), 7);
        EXPECT_TRUE(waits_for_end(client.get()));
    }
    EXPECT_TRUE(server.closed.empty());
}

TEST(uring_network, more_sends_than_the_ring_completes_at_once_go_out_directly) {
    if (const std::string problem = io_uring_problem(); !problem.empty()) GTEST_SKIP() << problem;
    Listeners listeners = listen_anywhere();
    ServerNetworkOptions options;
    options.listeners = std::move(listeners.sockets);
    UringSizes sizes;
    sizes.submissions = 16;
    sizes.completions = 32;  // so that 16 sends may be in flight
    auto network = UringNetwork::create(system_clock, std::move(options), sizes);
    ASSERT_TRUE(network.has_value()) << network.error();
    constexpr std::size_t connections = 50;
    std::vector<UniqueFd> clients;
    clients.reserve(connections);
    for (std::size_t i = 0; i < connections; ++i) clients.push_back(connect_to(listeners.port));
    std::vector<ConnectionId> opened;
    std::vector<NetworkEvent> events;
    while (opened.size() < connections) {
        (*network)->poll(system_clock.now() + Duration::milliseconds(5), events);
        for (const NetworkEvent& event : events) {
            if (event.kind == Kind::opened) opened.push_back(event.connection);
        }
    }
    for (const ConnectionId id : opened) (*network)->settle(id);
    const ByteView part = as_bytes("hello");
    for (const ConnectionId id : opened) {
        EXPECT_EQ((*network)->write(id, std::span{&part, 1}), part.size());
    }
    EXPECT_EQ((*network)->counters().writes_total.read(), connections - 16);
    (*network)->poll(system_clock.now(), events);
    for (const UniqueFd& client : clients) {
        std::array<char, 16> said{};
        EXPECT_EQ(::recv(client.get(), said.data(), said.size(), 0), 5);
    }
}

/// Writes until nothing has moved for a while: the peer's buffer is full, and ours. Returns how
/// many bytes were taken.
std::size_t fill(Server& server, ConnectionId id, std::size_t write_bytes) {
    const Bytes pattern = ports::make_pattern(write_bytes);
    std::size_t taken = 0;
    for (int idle = 0; idle < 10; ++idle) {
        // What was not taken of the last one comes first.
        const ByteView part = ByteView{pattern}.subspan(taken % write_bytes);
        const std::size_t more = server.network->write(id, std::span{&part, 1});
        taken += more;
        server.poll_once(more != 0 ? Duration{} : Duration::milliseconds(5));
        if (more != 0 || !server.events.empty()) idle = 0;
    }
    return taken;
}

TEST_P(ServerNetworkTest, a_full_socket_whose_peer_has_finished_has_no_room) {
    Server server{GetParam()};
    const UniqueFd client = connect_to(server.port);
    ASSERT_TRUE(server.run_until([&] { return server.opened.size() == 1; }));
    server.network->pause_reading(server.opened[0]);  // so that its end is kept
    ASSERT_GT(fill(server, server.opened[0], 65'536), 0u);
    const NetworkCounters& counters = server.network->counters();
    const std::uint64_t polls = counters.polls_total.read();
    const std::uint64_t writes = counters.writes_total.read();
    ::shutdown(client.get(), SHUT_WR);
    for (int i = 0; i < 20; ++i) {
        server.poll_once();
        for (const NetworkEvent& event : server.events) EXPECT_NE(event.kind, Kind::writable);
    }
    EXPECT_LE(counters.polls_total.read() - polls, 40u);
    EXPECT_EQ(counters.writes_total.read(), writes);
    EXPECT_TRUE(server.closed.empty());
}

TEST_P(ServerNetworkTest, a_paused_connection_that_breaks_behind_its_end_is_closed_at_once) {
    Server server{GetParam()};
    UniqueFd client = connect_to(server.port);
    ASSERT_TRUE(server.run_until([&] { return server.opened.size() == 1; }));
    server.network->pause_reading(server.opened[0]);
    ::shutdown(client.get(), SHUT_WR);
    for (int i = 0; i < 3; ++i) server.poll_once();
    EXPECT_TRUE(server.closed.empty());  // a clean end is kept
    const linger hard{1, 0};
    setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    client.reset();
    EXPECT_TRUE(server.run_until([&] { return server.closed.size() == 1; }));
}

TEST_P(ServerNetworkTest, small_writes_that_were_taken_arrive_though_the_socket_was_full) {
    NetworkLimits limits;
    limits.linger_time_max = Duration::milliseconds(20);
    constexpr std::size_t connections = 8;
    Server server{GetParam(), limits, nullptr, 32'768};
    std::vector<UniqueFd> clients;
    clients.reserve(connections);
    std::vector<std::size_t> taken;
    for (std::size_t i = 0; i < connections; ++i) {
        clients.push_back(connect_to(server.port));
        ASSERT_TRUE(server.run_until([&] { return server.opened.size() == i + 1; }));
        taken.push_back(fill(server, server.opened[i], 600 + 50 * i));
    }
    for (std::size_t i = 0; i < connections; ++i) {
        server.network->close(server.opened[i]);
        ::shutdown(clients[i].get(), SHUT_WR);
    }
    // Longer than a peer may linger that has everything.
    const Instant until = system_clock.now() + Duration::milliseconds(100);
    const std::uint64_t polls = server.network->counters().polls_total.read();
    while (system_clock.now() < until) server.poll_once();
    EXPECT_LE(server.network->counters().polls_total.read() - polls, 100u);

    for (std::size_t i = 0; i < connections; ++i) {
        const Bytes pattern = ports::make_pattern(600 + 50 * i);
        std::size_t arrived = 0;
        std::size_t wrong = 0;
        ssize_t n = 1;
        std::array<std::uint8_t, 65'536> some{};
        EXPECT_TRUE(server.run_until([&] {
            n = ::recv(clients[i].get(), some.data(), some.size(), MSG_DONTWAIT);
            for (ssize_t k = 0; k < n; ++k) {
                wrong += some[static_cast<std::size_t>(k)] != pattern[arrived++ % pattern.size()];
            }
            return n == 0 || (n < 0 && errno != EAGAIN);
        }));
        EXPECT_EQ(n, 0) << "a reset instead of an end";
        EXPECT_EQ(wrong, 0u);
        EXPECT_EQ(arrived, taken[i]);
    }
    EXPECT_TRUE(
        server.run_until([&] { return server.network->counters().connections.read() == 0; }));
}

TEST_P(ServerNetworkTest, an_end_in_good_order_means_that_all_has_arrived) {
    NetworkLimits limits;
    limits.linger_time_max = Duration::milliseconds(20);
    limits.unsent_time_max = Duration::milliseconds(20);
    Server server{GetParam(), limits, nullptr, 32'768};
    const UniqueFd client = connect_to(server.port);
    ASSERT_TRUE(server.run_until([&] { return server.opened.size() == 1; }));
    const std::size_t taken = fill(server, server.opened[0], 900);
    server.network->close(server.opened[0]);
    // It takes nothing for longer than anybody waits for it.
    ASSERT_TRUE(
        server.run_until([&] { return server.network->counters().connections.read() == 0; }));
    std::size_t arrived = 0;
    ssize_t n = 1;
    std::array<std::uint8_t, 65'536> some{};
    while ((n = ::recv(client.get(), some.data(), some.size(), 0)) > 0) {
        arrived += static_cast<std::size_t>(n);
    }
    EXPECT_LE(arrived, taken);
    EXPECT_TRUE(n < 0 || arrived == taken);  // a reset may say less
}

TEST_P(ServerNetworkTest, torrents_do_not_starve_a_quiet_neighbour_and_each_is_bounded) {
    Server server{GetParam()};
    constexpr std::size_t torrents = 60;
    std::vector<UniqueFd> clients;
    clients.reserve(torrents + 1);
    for (std::size_t i = 0; i <= torrents; ++i) clients.push_back(connect_to(server.port));
    ASSERT_TRUE(server.run_until([&] { return server.opened.size() == torrents + 1; }));
    const Bytes flood = ports::make_pattern(262'144);
    std::map<ConnectionId, std::size_t> most;
    ConnectionId quiet;
    std::uint64_t heard = 0;
    for (int round = 0; round < 40; ++round) {
        for (std::size_t i = 1; i <= torrents; ++i) {
            [[maybe_unused]] const ssize_t n =
                ::send(clients[i].get(), flood.data(), flood.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        ASSERT_EQ(::send(clients[0].get(), "!", 1, MSG_NOSIGNAL), 1);
        server.network->poll(system_clock.now() + Duration::milliseconds(5), server.events);
        std::map<ConnectionId, std::size_t> now;
        for (const NetworkEvent& event : server.events) now[event.connection] += event.bytes.size();
        for (const auto& [id, bytes] : now) {
            if (bytes <= static_cast<std::size_t>(round) + 1) {
                quiet = id;
                heard += bytes;
            } else if (round > 10) {
                most[id] = std::max(most[id], bytes);
            }
        }
        // At most a few polls behind, whatever the others send.
        EXPECT_LE(static_cast<std::uint64_t>(round) + 1, heard + 3) << round;
    }
    EXPECT_FALSE(quiet.is_none());
    for (const auto& [id, bytes] : most) EXPECT_LE(bytes, NetworkLimits{}.read_bytes_max);
}

TEST_P(ServerNetworkTest, stops_accepting_and_keeps_connections) {
    Server server{GetParam()};
    const UniqueFd client = connect_to(server.port);
    ASSERT_TRUE(server.run_until([&] { return server.opened.size() == 1; }));
    server.network->stop_accepting();
    const UniqueFd refused{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(server.port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_NE(::connect(refused.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    ASSERT_EQ(::send(client.get(), "x", 1, MSG_NOSIGNAL), 1);
    EXPECT_TRUE(server.run_until([&] { return server.received[server.opened[0]] == "x"; }));
}

TEST_P(ServerNetworkTest, closes_one_listener_and_opens_it_again) {
    Server server{GetParam()};
    const UniqueFd client = connect_to(server.port);
    ASSERT_TRUE(server.run_until([&] { return server.opened.size() == 1; }));
    ASSERT_TRUE(server.network->replace_listener(0, UniqueFd{}));
    const UniqueFd refused{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(server.port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_NE(::connect(refused.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    ASSERT_EQ(::send(client.get(), "x", 1, MSG_NOSIGNAL), 1);
    EXPECT_TRUE(server.run_until([&] { return server.received[server.opened[0]] == "x"; }));

    auto again = listen_on({"127.0.0.1", server.port}, 1);
    ASSERT_TRUE(again.has_value()) << again.error();
    ASSERT_TRUE(server.network->replace_listener(0, std::move(again->sockets[0])));
    const UniqueFd second = connect_to(server.port);
    EXPECT_TRUE(server.run_until([&] { return server.opened.size() == 2; }));
    EXPECT_FALSE(server.network->replace_listener(7, UniqueFd{}));  // no such place
}

}  // namespace mitu::runtime

namespace mitu::ports {

using runtime::Io;
using runtime::make_narrow_world;
using runtime::make_world;

INSTANTIATE_TEST_SUITE_P(epoll, NetworkContract, testing::Values(&make_world<Io::epoll, false>));
INSTANTIATE_TEST_SUITE_P(epoll_narrow, NetworkContract,
                         testing::Values(&make_narrow_world<Io::epoll, false>));
INSTANTIATE_TEST_SUITE_P(io_uring, NetworkContract,
                         testing::Values(&make_world<Io::io_uring, false>));
INSTANTIATE_TEST_SUITE_P(io_uring_narrow, NetworkContract,
                         testing::Values(&make_narrow_world<Io::io_uring, false>));
INSTANTIATE_TEST_SUITE_P(io_uring_settled, NetworkContract,
                         testing::Values(&make_world<Io::io_uring, true>));
INSTANTIATE_TEST_SUITE_P(io_uring_settled_narrow, NetworkContract,
                         testing::Values(&make_narrow_world<Io::io_uring, true>));

}  // namespace mitu::ports
