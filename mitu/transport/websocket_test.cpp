#include <gtest/gtest.h>

#include <string>

#include "mitu/transport/testing/client_stack.hpp"
#include "mitu/transport/websocket_stream.hpp"
#include "mitu/transport/websocket_upgrade.hpp"

namespace mitu::transport {
namespace {

using testing::make_frame;
using testing::make_upgrade;
using Verdict = UpgradeAnswer::Verdict;
using Status = WebSocketStream::Status;

constexpr const char* protocol = "Sec-WebSocket-Protocol: mqtt\r\n";

UpgradeAnswer ask(const std::string& request, const WebSocketSettings& settings = {}) {
    return answer_upgrade(as_bytes(request), settings);
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
    text.replace(text.find(what), what.size(), with);
    return text;
}

void append(Bytes& to, const Bytes& more) { to.insert(to.end(), more.begin(), more.end()); }

struct Reader {
    explicit Reader(std::size_t frame_bytes_max = 1'000'000) : stream{frame_bytes_max} {}
    Status read(ByteView input) {
        Bytes room(input.size());
        const auto result = stream.read(input, room, writer, answers);
        room.resize(result.count);
        append(payload, room);
        return result.status;
    }
    FrameWriter writer;
    WebSocketStream stream;
    Bytes payload;
    Bytes answers;
};

}  // namespace

TEST(websocket_upgrade, is_answered_as_the_rfc_shows_it) {
    const std::string request = make_upgrade() + "frames";
    for (std::size_t size = 0; size < request.size() - 6; ++size) {
        EXPECT_EQ(ask(request.substr(0, size)).verdict, Verdict::incomplete) << size;
    }
    const UpgradeAnswer answer = ask(request);
    EXPECT_EQ(answer.verdict, Verdict::accepted);
    EXPECT_EQ(answer.used_bytes, request.size() - 6);
    EXPECT_TRUE(answer.response.starts_with("HTTP/1.1 101 "));
    // RFC 6455, 1.3
    EXPECT_NE(answer.response.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
              std::string::npos);
    EXPECT_NE(answer.response.find("Sec-WebSocket-Protocol: mqtt\r\n"), std::string::npos);
}

TEST(websocket_upgrade, says_clearly_why_not) {
    WebSocketSettings settings;
    settings.origins = {"https://console.example"};
    const std::string good = make_upgrade();
    const struct {
        std::string request;
        int status;
    } rows[] = {
        {make_upgrade("/"), 404},
        {make_upgrade("/mqtt/x"), 404},
        {replaced(good, "GET", "POST"), 405},
        {replaced(good, "HTTP/1.1", "HTTP/1.0"), 400},
        {replaced(good, "Upgrade: websocket\r\n", ""), 426},
        {replaced(good, "Connection: Upgrade\r\n", "Connection: close\r\n"), 426},
        {replaced(good, "Version: 13", "Version: 8"), 426},
        {replaced(good, "Host: broker.example\r\n", ""), 400},
        {replaced(good, "dGhlIHNhbXBsZSBub25jZQ==", "short"), 400},
        {replaced(good, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400},
        {make_upgrade("/mqtt", ""), 400},
        {make_upgrade("/mqtt", "Sec-WebSocket-Protocol: stomp, xmqtt\r\n"), 400},
        {make_upgrade("/mqtt", std::string{protocol} + "Origin: https://evil.example\r\n"), 403},
        {make_upgrade("/mqtt",
                      std::string{protocol} + "Origin: https://console.example\r\nOrigin: x\r\n"),
         403},
        {make_upgrade("/mqtt", std::string{protocol} + "Content-Length: 5\r\n"), 400},
        {make_upgrade("/mqtt", std::string{protocol} + "X: " + std::string(9'000, 'x')), 431},
        {"\x10\x0C\x00\x04MQTT\r\n\r\n", 400},
        {"GET\r\n\r\n", 400},
    };
    for (const auto& row : rows) {
        const UpgradeAnswer answer = ask(row.request, settings);
        EXPECT_EQ(answer.verdict, Verdict::refused) << row.request;
        EXPECT_EQ(answer.status, row.status) << row.request;
        EXPECT_TRUE(answer.response.starts_with("HTTP/1.1 " + std::to_string(row.status)));
        EXPECT_NE(answer.response.find("Connection: close"), std::string::npos);
    }
}

TEST(websocket_upgrade, takes_what_clients_really_send) {
    WebSocketSettings settings;
    settings.origins = {"https://console.example"};
    const std::string good = make_upgrade();
    for (const std::string& request :
         {good, make_upgrade("/mqtt?token=x"),
          replaced(good, "Connection: Upgrade", "connection: keep-alive, upgrade"),
          replaced(good, "Upgrade: websocket", "Upgrade: WebSocket"),
          make_upgrade("/mqtt", "Sec-WebSocket-Protocol: wamp, mqtt\r\n"),
          make_upgrade("/mqtt", "Sec-WebSocket-Protocol: mqttv3.1\r\n"),
          make_upgrade("/mqtt", std::string{protocol} + "Origin: https://console.example\r\n")}) {
        EXPECT_EQ(ask(request, settings).status, 101) << request;
    }
    settings.paths.clear();
    EXPECT_EQ(ask(make_upgrade("/anything"), settings).status, 101);
}

TEST(websocket_stream, payload_is_a_stream_whatever_the_frames) {
    Bytes input;
    Bytes expected;
    for (const std::size_t size : {0u, 1u, 125u, 126u, 65'535u, 65'536u, 100'000u}) {
        Bytes payload(size);
        for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<std::uint8_t>(i * 7 + size);
        append(expected, payload);
        append(input, make_frame(2, payload));
    }
    append(input, make_frame(2, Bytes{1, 2}, false));
    append(input, make_frame(0, Bytes{3}, false));
    append(input, make_frame(9, Bytes{'h', 'i'}));  // a ping in the middle of a message
    append(input, make_frame(0, Bytes{4}, true));
    append(expected, {1, 2, 3, 4});
    for (const std::size_t step :
         {std::size_t{1}, std::size_t{3}, std::size_t{4'096}, std::size_t{9'999}, input.size()}) {
        Reader reader;
        for (std::size_t at = 0; at < input.size(); at += step) {
            const auto part = ByteView{input}.subspan(at, std::min(step, input.size() - at));
            ASSERT_EQ(reader.read(part), Status::open);
        }
        EXPECT_TRUE(reader.payload == expected) << step;
        EXPECT_EQ(reader.answers, (Bytes{0x8A, 2, 'h', 'i'}));
        EXPECT_TRUE(reader.stream.is_lean());
    }
}

TEST(websocket_stream, holds_a_context_only_within_a_frame) {
    Reader reader;
    const Bytes frame = make_frame(2, Bytes(200));
    EXPECT_TRUE(reader.stream.is_lean());
    EXPECT_EQ(reader.read(ByteView{frame}.first(1)), Status::open);
    EXPECT_FALSE(reader.stream.is_lean());
    EXPECT_EQ(reader.read(ByteView{frame}.subspan(1)), Status::open);
    EXPECT_TRUE(reader.stream.is_lean());
}

TEST(websocket_stream, a_breach_is_closed_with_its_code) {
    const auto raw = [](std::initializer_list<std::uint8_t> bytes) { return Bytes{bytes}; };
    Bytes nested = make_frame(2, Bytes{1}, false);
    append(nested, make_frame(2, Bytes{2}));
    Bytes reserved = make_frame(2, Bytes{1});
    reserved[0] |= 0x40;
    const struct {
        Bytes input;
        int code;
    } rows[] = {
        {make_frame(1, Bytes{'x'}), 1003},
        {make_frame(2, Bytes{1}, true, false), 1002},  // not masked
        {make_frame(0, Bytes{1}), 1002},               // goes on with nothing
        {nested, 1002},
        {reserved, 1002},
        {make_frame(3, Bytes{1}), 1002},
        {make_frame(11, Bytes{1}), 1002},
        {make_frame(9, Bytes{1}, false), 1002},  // a ping in pieces
        {make_frame(9, Bytes(126)), 1002},
        {make_frame(8, Bytes{3}), 1002},
        {make_frame(8, Bytes{0, 1}), 1002},
        {make_frame(2, Bytes(1'001)), 1009},
        {raw({0x82, 0xFE, 0, 5, 0, 0, 0, 0, 1, 1, 1, 1, 1}), 1002},  // a length in too many bytes
        {raw({0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5}), 1002},
    };
    for (const auto& row : rows) {
        Reader reader{1'000};
        EXPECT_EQ(reader.read(row.input), Status::failed) << row.code;
        ASSERT_GE(reader.answers.size(), 4u);
        const ByteView close = ByteView{reader.answers}.last(4);
        EXPECT_EQ(close[0], 0x88);
        EXPECT_EQ(close[2] << 8 | close[3], row.code);
        EXPECT_TRUE(reader.stream.is_lean());
        EXPECT_NE(reader.read(row.input), Status::open);  // for good
    }
}

TEST(websocket_stream, a_close_frame_ends_it_and_is_answered) {
    for (const Bytes& payload : {Bytes{}, Bytes{0x03, 0xE8}, Bytes{0x03, 0xE9, 'b', 'y', 'e'}}) {
        Reader reader;
        Bytes input = make_frame(2, Bytes{42});
        append(input, make_frame(8, payload));
        append(input, make_frame(2, Bytes{43}));
        EXPECT_EQ(reader.read(input), Status::ended);
        EXPECT_EQ(reader.payload, Bytes{42});
        EXPECT_EQ(reader.answers, (Bytes{0x88, 2, 0x03, 0xE8}));
    }
}

}  // namespace mitu::transport
