// What the things that a fleet has very many of cost in memory, by the allocator's count and the
// kernel's: an idle session, a wildcard filter, a retained message. Prints a table; takes no
// arguments.
//
// One bare shard on a network that keeps nothing, so that what is counted is the broker's alone.
#include <fmt/format.h>
#include <malloc.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "mitu/broker/shard.hpp"
#include "mitu/broker/testing/virtual_server.hpp"
#include "mitu/mqtt/encode.hpp"

namespace mitu::broker {
namespace {

/// Takes every byte and keeps none.
class NullNetwork final : public ports::Network {
public:
    void poll(Instant /*deadline*/, std::vector<ports::NetworkEvent>& events) override {
        events.clear();
    }
    std::size_t write(ports::ConnectionId /*connection*/,
                      std::span<const ByteView> parts) override {
        std::size_t bytes = 0;
        for (const ByteView part : parts) bytes += part.size();
        return bytes;
    }
    void pause_reading(ports::ConnectionId /*connection*/) override {}
    void resume_reading(ports::ConnectionId /*connection*/) override {}
    void close(ports::ConnectionId /*connection*/) override {}
    ports::DetachedConnection detach(ports::ConnectionId /*connection*/) override { return {}; }
    ports::ConnectionId attach(ports::DetachedConnection /*connection*/) override { return {}; }
    void wake() noexcept override {}
};

/// What the allocator has given out, and what the kernel has given the process: messages lie in
/// mapped batches, which the allocator does not see.
struct Footprint {
    std::size_t heap_bytes = 0;
    std::size_t resident_bytes = 0;

    [[nodiscard]] static Footprint now() {
        ::malloc_trim(0);  // what an earlier rig has left behind is not to be filled unseen
        const auto info = ::mallinfo2();
        std::size_t pages_mapped = 0;
        std::size_t pages_resident = 0;
        std::ifstream{"/proc/self/statm"} >> pages_mapped >> pages_resident;
        return {info.uordblks + info.hblkhd, pages_resident * 4'096};
    }
};

/// A shard and its clients, who say what they are told to.
class Rig {
public:
    void connect(std::uint32_t client) {
        const std::string id = fmt::format("bench-idle-{:06}", client);
        mqtt::Connect connect;
        connect.client_id = id;
        connect.keep_alive_s = 60;
        ports::NetworkEvent event;
        event.kind = ports::NetworkEvent::Kind::opened;
        event.connection = connection_of(client);
        shard_.turn(now_, {&event, 1});
        send(client, connect);
    }
    void send(std::uint32_t client, const mqtt::Packet& packet) {
        bytes_.resize(mqtt::encoded_size(packet, mqtt::ProtocolVersion::v5));
        static_cast<void>(mqtt::encode(packet, mqtt::ProtocolVersion::v5, bytes_));
        ports::NetworkEvent event;
        event.connection = connection_of(client);
        event.bytes = bytes_;
        shard_.turn(now_, {&event, 1});
    }
    void subscribe(std::uint32_t client, const std::string& filter) {
        Bytes list;
        list.push_back(static_cast<std::uint8_t>(filter.size() >> 8));
        list.push_back(static_cast<std::uint8_t>(filter.size()));
        list.insert(list.end(), filter.begin(), filter.end());
        list.push_back(1);
        mqtt::Subscribe subscribe;
        subscribe.packet_id = 1;
        subscribe.filters.encoded = list;
        send(client, subscribe);
    }
    void retain(std::uint32_t client, const std::string& topic) {
        const std::string payload(64, 'x');
        mqtt::Publish publish;
        publish.topic = topic;
        publish.retain = true;
        publish.payload = as_bytes(payload);
        send(client, publish);
    }
    /// Past the connect timeout, so that its notes are gone; no client is silent for too long.
    void settle(std::uint32_t clients) {
        now_ = now_ + Duration::seconds(20);
        for (std::uint32_t i = 0; i < clients; ++i) send(i, mqtt::Pingreq{});
    }
    [[nodiscard]] Shard& shard() noexcept { return shard_; }

private:
    static ports::ConnectionId connection_of(std::uint32_t client) { return {client, 1}; }

    Mailroom mailroom_{1};
    NullNetwork network_;
    testing::DrawnEntropy entropy_{Prng{1}};
    testing::DrawnFaults faults_{Prng{2}};
    OpenGate gate_;
    Limits limits_;
    Instant now_ = Instant::from_ns(1'000'000'000);
    Bytes bytes_;
    Shard shard_{ShardId{0}, limits_, {mailroom_, network_, entropy_, faults_, gate_, nullptr}};
};

void print(std::string_view what, std::uint32_t count, const Footprint& before) {
    const Footprint after = Footprint::now();
    const auto each = [&](std::size_t from, std::size_t to) {
        return (static_cast<double>(to) - static_cast<double>(from)) / count;
    };
    fmt::print("{:<46} {:>9} {:>8.1f} {:>8.1f}\n", what, count,
               each(before.heap_bytes, after.heap_bytes),
               each(before.resident_bytes, after.resident_bytes));
}

void idle_sessions(std::uint32_t count) {
    const auto rig = std::make_unique<Rig>();
    rig->connect(0);
    rig->settle(1);
    const Footprint before = Footprint::now();
    for (std::uint32_t i = 1; i <= count; ++i) rig->connect(i);
    rig->settle(count + 1);
    print("idle session with its connection", count, before);
}

void filters(std::uint32_t count, std::uint32_t sessions) {
    const auto rig = std::make_unique<Rig>();
    for (std::uint32_t i = 0; i < sessions; ++i) rig->connect(i);
    rig->settle(sessions);
    const Footprint before = Footprint::now();
    for (std::uint32_t i = 0; i < count; ++i) {
        rig->subscribe(i % sessions, fmt::format("fleet/d{:07}/+/cmd", i));
    }
    print(fmt::format("wildcard filter, one subscriber, {} sessions", sessions), count, before);
    if (rig->shard().counters().subscriptions.read() != count) fmt::print("SOME WERE REFUSED\n");
}

void retained(std::uint32_t count) {
    const auto rig = std::make_unique<Rig>();
    rig->connect(0);
    rig->settle(1);
    const Footprint before = Footprint::now();
    for (std::uint32_t i = 0; i < count; ++i) rig->retain(0, fmt::format("fleet/d{:07}/state", i));
    print("retained message, payload of 64 bytes", count, before);
    if (rig->shard().counters().retained_messages.read() != count) {
        fmt::print("SOME WERE REFUSED\n");
    }
}

}  // namespace
}  // namespace mitu::broker

int main() {
    using namespace mitu::broker;
    fmt::print("sizeof: Session {}, Connection {}\n", sizeof(Session), sizeof(Connection));
    fmt::print("{:<46} {:>9} {:>8} {:>8}\n", "bytes each", "count", "heap", "resident");
    for (const std::uint32_t count : {19'000u, 100'000u, 300'000u}) idle_sessions(count);
    for (const std::uint32_t count : {100'000u, 1'000'000u}) {
        filters(count, 1'000);
        filters(count, 10);
    }
    for (const std::uint32_t count : {100'000u, 1'000'000u}) retained(count);
    return 0;
}
