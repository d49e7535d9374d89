// What one message costs in the codec: run with --benchmark_repetitions=9 and read the medians.
#include <benchmark/benchmark.h>

#include <array>
#include <string>

#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/encode.hpp"
#include "mitu/mqtt/packet.hpp"
#include "mitu/mqtt/text.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::mqtt {
namespace {

constexpr std::string_view topic = "factory/line-7/robot-0042/telemetry/temperature";

Bytes encoded(const Packet& packet, ProtocolVersion version) {
    Bytes out(encoded_size(packet, version));
    benchmark::DoNotOptimize(encode(packet, version, out));
    return out;
}

Publish message(QoS qos) {
    static const std::string payload(64, 'x');
    Publish publish;
    publish.qos = qos;
    publish.packet_id = qos == QoS::at_most_once ? 0 : 7;
    publish.topic = topic;
    publish.payload = as_bytes(payload);
    return publish;
}

void decode_all(benchmark::State& state, const Bytes& bytes, const DecodeOptions& options) {
    for (auto _ : state) {
        auto decoded = decode(bytes, options);
        benchmark::DoNotOptimize(decoded);
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}

void decode_publish_v3(benchmark::State& state) {
    constexpr auto version = ProtocolVersion::v3_1_1;
    decode_all(state, encoded(message(QoS::at_least_once), version), {Sender::client, version});
}
BENCHMARK(decode_publish_v3);

void decode_publish_v5(benchmark::State& state) {
    constexpr auto version = ProtocolVersion::v5;
    decode_all(state, encoded(message(QoS::at_least_once), version), {Sender::client, version});
}
BENCHMARK(decode_publish_v5);

void decode_publish_v5_with_properties(benchmark::State& state) {
    Bytes user;
    benchmark::DoNotOptimize(append_user_property(user, "trace", "0123456789abcdef"));
    Publish publish = message(QoS::at_least_once);
    publish.properties.message_expiry_interval_s = 60;
    publish.properties.content_type = "application/json";
    publish.properties.user.block = user;
    decode_all(state, encoded(publish, ProtocolVersion::v5), {});
}
BENCHMARK(decode_publish_v5_with_properties);

void decode_puback_v5(benchmark::State& state) {
    Puback ack;
    ack.packet_id = 7;
    decode_all(state, encoded(ack, ProtocolVersion::v5), {});
}
BENCHMARK(decode_puback_v5);

void decode_connect_v5(benchmark::State& state) {
    Connect connect;
    connect.client_id = "robot-0042";
    connect.keep_alive_s = 60;
    connect.user_name = "tenant-a/robot-0042";
    connect.password = as_bytes("0123456789abcdef");
    connect.properties.session_expiry_interval_s = 3'600;
    connect.properties.receive_maximum = 32;
    Will& will = connect.will.emplace();
    will.topic = "factory/line-7/robot-0042/lost";
    will.payload = as_bytes("gone");
    decode_all(state, encoded(connect, ProtocolVersion::v5), {});
}
BENCHMARK(decode_connect_v5);

void decode_incomplete_publish(benchmark::State& state) {
    Bytes bytes = encoded(message(QoS::at_least_once), ProtocolVersion::v5);
    bytes.pop_back();
    decode_all(state, bytes, {});
}
BENCHMARK(decode_incomplete_publish);

void encode_publish_header_v5(benchmark::State& state) {
    const Publish publish = message(QoS::at_least_once);
    const std::array<std::uint32_t, 1> identifiers{12};
    const Bytes forwarded{1, 1};
    OutgoingPublish outgoing;
    outgoing.qos = publish.qos;
    outgoing.packet_id = 7;
    outgoing.topic = topic;
    outgoing.subscription_identifiers = identifiers;
    outgoing.forwarded_properties = forwarded;
    outgoing.payload = publish.payload;
    std::array<std::uint8_t, 256> out{};
    for (auto _ : state) {
        benchmark::DoNotOptimize(outgoing);
        benchmark::DoNotOptimize(encode_publish_header(outgoing, ProtocolVersion::v5, out));
        benchmark::ClobberMemory();
    }
}
BENCHMARK(encode_publish_header_v5);

void encode_puback_v5(benchmark::State& state) {
    Puback ack;
    ack.packet_id = 7;
    Packet packet{ack};
    std::array<std::uint8_t, 16> out{};
    for (auto _ : state) {
        benchmark::DoNotOptimize(packet);
        benchmark::DoNotOptimize(encode(packet, ProtocolVersion::v5, out));
        benchmark::ClobberMemory();
    }
}
BENCHMARK(encode_puback_v5);

void match(benchmark::State& state, std::string_view filter) {
    std::string_view name = topic;
    for (auto _ : state) {
        benchmark::DoNotOptimize(filter);
        benchmark::DoNotOptimize(name);
        benchmark::DoNotOptimize(matches(filter, name));
    }
}
BENCHMARK_CAPTURE(match, literal, "factory/line-7/robot-0042/telemetry/temperature");
BENCHMARK_CAPTURE(match, plus, "factory/+/+/telemetry/+");
BENCHMARK_CAPTURE(match, hash, "factory/line-7/#");
BENCHMARK_CAPTURE(match, miss, "factory/line-8/#");

void scan(benchmark::State& state) {
    const std::string text(static_cast<std::size_t>(state.range(0)), 'a');
    for (auto _ : state) benchmark::DoNotOptimize(scan_text(text));
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(scan)->Arg(7)->Arg(24)->Arg(47)->Arg(1'024);

}  // namespace
}  // namespace mitu::mqtt
