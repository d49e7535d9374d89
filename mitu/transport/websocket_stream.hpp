#pragma once
// The server's end of one WebSocket as a filter of bytes: frames in, payload out, and back.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "mitu/base/bytes.hpp"

struct wslay_frame_context;

namespace mitu::transport {

/// Why we close (RFC 6455, 7.4.1).
enum class WebSocketClose : std::uint16_t {
    normal = 1000,
    going_away = 1001,
    protocol_error = 1002,
    unsupported_data = 1003,
    message_too_big = 1009,
};

/// Frees wslay's context: the header of wslay stays in the .cpp.
struct FreeFrameContext {
    void operator()(wslay_frame_context* context) const noexcept;
};
using FrameContextPtr = std::unique_ptr<wslay_frame_context, FreeFrameContext>;

/// Writes the frames of a server, unmasked and each at once: one serves all connections of a shard.
/// Threading  shard-local.
class FrameWriter {
public:
    FrameWriter();
    FrameWriter(const FrameWriter&) = delete;
    FrameWriter& operator=(const FrameWriter&) = delete;

    /// Each writes one frame behind `output`.
    void append_binary(ByteView payload, Bytes& output);
    void append_pong(ByteView payload, Bytes& output);  // 125 bytes at most
    void append_close(WebSocketClose code, Bytes& output);

private:
    friend struct WslayCalls;
    void append(std::uint8_t opcode, ByteView payload, Bytes& output);

    Bytes* output_ = nullptr;  // during a call
    FrameContextPtr context_;
};

/// Reads frames with wslay. Between frames it holds nothing: wslay's context, which has a buffer
/// of 4 KiB, is kept only while a frame is incomplete.
/// Threading  shard-local; may move to another thread between calls.
/// Cost       idle: this object.
class WebSocketStream {
public:
    explicit WebSocketStream(std::size_t frame_bytes_max);
    ~WebSocketStream();
    WebSocketStream(const WebSocketStream&) = delete;
    WebSocketStream& operator=(const WebSocketStream&) = delete;

    enum class Status : std::uint8_t {
        open,
        ended,   // the peer has sent a close frame; ours stands in `answers`
        failed,  // it has broken the rules; a close frame that says which stands in `answers`
    };
    struct Read {
        std::size_t count = 0;
        Status status = Status::open;
    };
    /// Reads all of `input`. Payload of binary frames goes to `room`, one message after the other:
    /// MQTT is a stream and does not see frames ([MQTT-6.0.0-2]). Answers (pong, close) go behind
    /// `answers`.
    /// Shape  `room` has at least input.size() bytes.
    [[nodiscard]] Read read(ByteView input, MutableByteView room, FrameWriter& writer,
                            Bytes& answers);

    [[nodiscard]] bool is_lean() const noexcept { return context_ == nullptr; }

private:
    friend struct WslayCalls;
    struct Frame;
    [[nodiscard]] Status fail(WebSocketClose code, FrameWriter& writer, Bytes& answers);
    [[nodiscard]] bool begin_frame(const Frame& frame, WebSocketClose& problem);
    [[nodiscard]] Status end_control_frame(FrameWriter& writer, Bytes& answers);

    FrameContextPtr context_;
    ByteView input_;                    // during a call
    std::uint64_t buffered_bytes_ = 0;  // that wslay has taken and not given back
    std::uint64_t payload_left_ = 0;    // of the current frame
    std::size_t frame_bytes_max_;
    std::unique_ptr<Bytes> control_;  // the payload so far of a control frame, 125 bytes at most
    std::uint8_t opcode_ = 0;         // of the current frame
    bool in_frame_ = false;
    bool in_message_ = false;  // a fragment came, and the last one did not
    bool is_over_ = false;
};

}  // namespace mitu::transport
