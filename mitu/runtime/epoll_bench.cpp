// Echo through one EpollNetwork over loopback. What a message costs the shard in system calls is
// counted by the network itself; `strace -c -f` on this binary shows the same from outside.

#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

#include "mitu/base/check.hpp"
#include "mitu/runtime/clock.hpp"
#include "mitu/runtime/epoll_network.hpp"
#include "mitu/runtime/listener.hpp"
#include "mitu/runtime/process.hpp"

namespace mitu::runtime {
namespace {

constexpr std::string_view message =
    "sixty-four bytes, as a small telemetry message with its topic...";
static_assert(message.size() == 64);

UniqueFd connect_to(std::uint16_t port) {
    UniqueFd fd{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MITU_CHECK(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

struct Bench {
    explicit Bench(std::size_t connections) {
        raise_open_files_limit(2 * connections + 100);
        auto listeners = listen_on({"127.0.0.1", 0}, 1);
        MITU_CHECK(listeners.has_value());
        auto created = EpollNetwork::create(clock, {std::move(listeners->sockets)});
        MITU_CHECK(created.has_value());
        network = std::move(*created);
        for (std::size_t i = 0; i < connections; ++i) {
            clients.push_back(connect_to(listeners->port));
            if (i % 64 == 63) network->poll(clock.now(), events);
        }
        while (network->counters().accepted_total.read() < connections) {
            network->poll(Instant::never(), events);
        }
    }

    SystemClock clock;
    std::unique_ptr<EpollNetwork> network;
    std::vector<UniqueFd> clients;
    std::vector<ports::NetworkEvent> events;
};

/// Every client sends one message, the shard echoes each, every client reads its own: one round.
/// Timed: the shard's part only.
void BM_echo(benchmark::State& state) {
    const auto connections = static_cast<std::size_t>(state.range(0));
    Bench bench{connections};
    const NetworkCounters& counters = bench.network->counters();
    const std::uint64_t reads = counters.reads_total.read();
    const std::uint64_t writes = counters.writes_total.read();
    const std::uint64_t polls = counters.polls_total.read();
    std::array<char, 4'096> buffer{};
    for (auto _ : state) {
        state.PauseTiming();
        for (const UniqueFd& client : bench.clients) {
            MITU_CHECK(::send(client.get(), message.data(), message.size(), MSG_NOSIGNAL) > 0);
        }
        state.ResumeTiming();
        for (std::size_t echoed = 0; echoed < connections * message.size();) {
            bench.network->poll(Instant::never(), bench.events);
            for (const ports::NetworkEvent& event : bench.events) {
                if (event.kind != ports::NetworkEvent::Kind::received) continue;
                echoed += bench.network->write(event.connection, std::span{&event.bytes, 1});
            }
        }
        state.PauseTiming();
        for (const UniqueFd& client : bench.clients) {
            MITU_CHECK(::recv(client.get(), buffer.data(), buffer.size(), 0) > 0);
        }
        state.ResumeTiming();
    }
    const double messages =
        static_cast<double>(state.iterations()) * static_cast<double>(connections);
    state.counters["messages/s"] = benchmark::Counter(messages, benchmark::Counter::kIsRate);
    state.counters["reads/message"] =
        static_cast<double>(counters.reads_total.read() - reads) / messages;
    state.counters["writes/message"] =
        static_cast<double>(counters.writes_total.read() - writes) / messages;
    state.counters["polls/message"] =
        static_cast<double>(counters.polls_total.read() - polls) / messages;
}
BENCHMARK(BM_echo)->Arg(1)->Arg(64)->Arg(1'000)->Arg(5'000)->UseRealTime();

/// What a connection costs this process in user space: the slot, and the client's socket number.
void BM_idle_connection_bytes(benchmark::State& state) {
    for (auto _ : state) {
        Bench warm{1'024};
        const std::uint64_t before = resident_bytes();
        Bench bench{8'192};
        const std::uint64_t after = resident_bytes();
        state.counters["bytes/connection"] = static_cast<double>(after - before) / 8'192;
    }
}
BENCHMARK(BM_idle_connection_bytes)->Iterations(1)->Unit(benchmark::kMillisecond);

/// wake() of a shard that is busy anyway: no system call.
void BM_wake_busy(benchmark::State& state) {
    Bench bench{1};
    for (auto _ : state) bench.network->wake();
}
BENCHMARK(BM_wake_busy);

}  // namespace
}  // namespace mitu::runtime
