// Shards on threads of their own, with turns that overlap: what one thread cannot show. Run it
// under ThreadSanitizer too.

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "mitu/broker/placement.hpp"
#include "mitu/broker/testing/world.hpp"
#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/encode.hpp"

namespace mitu::broker::testing {
namespace {

constexpr std::uint32_t publishes_each = 3'000;

/// One shard, one client of it, one thread. The client subscribes to everything and publishes with
/// QoS 1 to topics of all shards in turn, some of them large.
class Worker {
public:
    Worker(ShardId id, Mailroom& mailroom, Gate& gate, const Limits& limits,
           std::atomic<std::uint32_t>& ready, std::atomic<std::uint32_t>& done)
        : id_{id},
          mailroom_{mailroom},
          faults_{Prng{id.value}},
          entropy_{Prng{id.value + 100u}},
          network_{transit_, faults_, Prng{id.value + 200u}, {}},
          shard_{id, limits, ShardPorts{mailroom, network_, entropy_, faults_, gate}},
          ready_{ready},
          done_{done} {
        mailroom_.connect(id_, &network_);
        for (std::uint32_t i = 0; client_id_.empty(); ++i) {
            const std::string name = "client" + std::to_string(i);
            if (session_home(tenant_default, name, mailroom.shard_count()) == id) client_id_ = name;
        }
    }

    void run() {
        network_.accept(socket_);
        mqtt::Connect connect;
        connect.client_id = client_id_;
        send(connect);
        mqtt::Subscribe subscribe;
        subscribe.packet_id = 1;
        Bytes list;
        ASSERT_TRUE(mqtt::append_subscription(list, "#", {mqtt::QoS::at_least_once}));
        subscribe.filters.encoded = list;
        send(subscribe);
        std::vector<ports::NetworkEvent> events;
        const std::uint32_t everybody = mailroom_.shard_count();
        bool is_counted = false;
        while (done_.load() < everybody) {
            const Instant deadline = shard_.next_deadline();
            // As a network does: waits for bytes, for wake() or for the deadline.
            while (deadline > now_ && !network_.has_work() && done_.load() < everybody) {
                std::this_thread::yield();
            }
            network_.poll(deadline, events);
            now_ = now_ + Duration::microseconds(1);
            shard_.turn(now_, events);
            talk();
            if (!is_counted && acknowledged_ == publishes_each &&
                received_ == publishes_each * everybody) {
                is_counted = true;
                done_.fetch_add(1);
            }
        }
    }

    [[nodiscard]] std::uint32_t acknowledged() const noexcept { return acknowledged_; }
    [[nodiscard]] std::uint32_t received() const noexcept { return received_; }
    [[nodiscard]] Shard& shard() noexcept { return shard_; }

private:
    void send(const mqtt::Packet& packet) {
        Bytes bytes(mqtt::encoded_size(packet, mqtt::ProtocolVersion::v5));
        ASSERT_NE(mqtt::encode(packet, mqtt::ProtocolVersion::v5, bytes), 0u);
        socket_->to_broker.insert(socket_->to_broker.end(), bytes.begin(), bytes.end());
    }

    void talk() {
        Bytes& in = socket_->to_client;
        std::size_t taken = 0;
        mqtt::DecodeOptions options;
        options.sender = mqtt::Sender::server;
        for (;;) {
            const auto decoded = mqtt::decode(ByteView{in}.subspan(taken), options);
            ASSERT_TRUE(decoded);
            if (!*decoded) break;
            taken += (*decoded)->size_bytes;
            const mqtt::Packet& packet = (*decoded)->packet;
            if (std::get_if<mqtt::Suback>(&packet) != nullptr) ready_.fetch_add(1);
            if (std::get_if<mqtt::Puback>(&packet) != nullptr) ++acknowledged_;
            if (const auto* publish = std::get_if<mqtt::Publish>(&packet)) {
                ++received_;
                mqtt::Puback puback;
                puback.packet_id = publish->packet_id;
                send(puback);
            }
        }
        in.erase(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(taken));
        // Everybody has to have subscribed, or the first messages would have no receiver there.
        if (ready_.load() < mailroom_.shard_count()) {
            network_.wake();
            return;
        }
        while (published_ < publishes_each && published_ - acknowledged_ < 100) {
            mqtt::Publish publish;
            const std::string topic = "t/" + std::to_string(published_ % 16);
            const std::string payload(published_ % 50 == 0 ? 5'000 : 100, 'x');
            publish.qos = mqtt::QoS::at_least_once;
            publish.packet_id = static_cast<std::uint16_t>(1 + published_ % 1'000);
            publish.topic = topic;
            publish.payload = as_bytes(payload);
            send(publish);
            ++published_;
        }
    }

    ShardId id_;
    Mailroom& mailroom_;
    Transit transit_;
    DrawnFaults faults_;
    DrawnEntropy entropy_;
    VirtualNetwork network_;
    Shard shard_;
    std::atomic<std::uint32_t>& ready_;
    std::atomic<std::uint32_t>& done_;
    std::shared_ptr<VirtualSocket> socket_ = std::make_shared<VirtualSocket>();
    std::string client_id_;
    Instant now_ = Instant::from_ns(1'000'000'000);
    std::uint32_t published_ = 0;
    std::uint32_t acknowledged_ = 0;
    std::uint32_t received_ = 0;
};

TEST(shard_threads, get_every_message_through_tiny_lanes) {
    for (const std::uint16_t shards : {std::uint16_t{2}, std::uint16_t{3}}) {
        Mailroom mailroom{shards, tiny_lanes()};
        OpenGate gate;
        const Limits limits;
        std::atomic<std::uint32_t> ready{0};
        std::atomic<std::uint32_t> done{0};
        std::vector<std::unique_ptr<Worker>> workers;
        for (std::uint16_t i = 0; i < shards; ++i) {
            workers.push_back(
                std::make_unique<Worker>(ShardId{i}, mailroom, gate, limits, ready, done));
        }
        std::vector<std::thread> threads;
        for (auto& worker : workers) threads.emplace_back([&worker] { worker->run(); });
        for (auto& thread : threads) thread.join();
        for (auto& worker : workers) {
            EXPECT_EQ(worker->acknowledged(), publishes_each);
            EXPECT_EQ(worker->received(), publishes_each * shards);
        }
    }
}

}  // namespace
}  // namespace mitu::broker::testing
