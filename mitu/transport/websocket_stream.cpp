#include "mitu/transport/websocket_stream.hpp"

#include <wslay/wslay.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "mitu/base/check.hpp"

namespace mitu::transport {

/// What wslay calls back.
struct WslayCalls {
    static ssize_t receive(std::uint8_t* to, std::size_t size, int /*flags*/, void* self) noexcept {
        auto& stream = *static_cast<WebSocketStream*>(self);
        const std::size_t count = std::min(size, stream.input_.size());
        if (count == 0) return -1;
        std::memcpy(to, stream.input_.data(), count);
        stream.input_ = stream.input_.subspan(count);
        stream.buffered_bytes_ += count;
        return static_cast<ssize_t>(count);
    }
    static ssize_t send(const std::uint8_t* from, std::size_t size, int /*flags*/, void* self) {
        Bytes& output = *static_cast<FrameWriter*>(self)->output_;
        output.insert(output.end(), from, from + size);
        return static_cast<ssize_t>(size);
    }
    static FrameContextPtr make(void* self) {
        constexpr wslay_frame_callbacks calls{&WslayCalls::send, &WslayCalls::receive, nullptr};
        wslay_frame_context_ptr context = nullptr;
        MITU_CHECK_MSG(wslay_frame_context_init(&context, &calls, self) == 0,
                       "no memory for a WebSocket");
        return FrameContextPtr{context};
    }
};

void FreeFrameContext::operator()(wslay_frame_context* context) const noexcept {
    wslay_frame_context_free(context);
}

// --- writing ---

FrameWriter::FrameWriter() : context_{WslayCalls::make(this)} {}

void FrameWriter::append(std::uint8_t opcode, ByteView payload, Bytes& output) {
    wslay_frame_iocb frame{};
    frame.fin = 1;
    frame.opcode = opcode;
    frame.payload_length = payload.size();
    frame.data = payload.data();
    frame.data_length = payload.size();
    output_ = &output;
    const ssize_t sent = wslay_frame_send(context_.get(), &frame);
    output_ = nullptr;
    MITU_CHECK(sent == static_cast<ssize_t>(payload.size()));
}

void FrameWriter::append_binary(ByteView payload, Bytes& output) {
    append(WSLAY_BINARY_FRAME, payload, output);
}

void FrameWriter::append_pong(ByteView payload, Bytes& output) {
    append(WSLAY_PONG, payload, output);
}

void FrameWriter::append_close(WebSocketClose code, Bytes& output) {
    const auto number = static_cast<std::uint16_t>(code);
    const std::array<std::uint8_t, 2> payload{static_cast<std::uint8_t>(number >> 8),
                                              static_cast<std::uint8_t>(number & 0xFF)};
    append(WSLAY_CONNECTION_CLOSE, payload, output);
}

// --- reading ---

struct WebSocketStream::Frame {
    bool is_final = false;
    std::uint8_t reserved_bits = 0;
    std::uint8_t opcode = 0;
    bool is_masked = false;
    std::uint64_t payload_bytes = 0;

    [[nodiscard]] bool is_control() const noexcept { return (opcode & 0x8) != 0; }
    [[nodiscard]] std::uint64_t header_bytes() const noexcept {
        const std::uint64_t length = payload_bytes < 126 ? 0 : payload_bytes < 65'536 ? 2 : 8;
        return 2 + length + (is_masked ? 4 : 0);
    }
};

WebSocketStream::WebSocketStream(std::size_t frame_bytes_max) : frame_bytes_max_{frame_bytes_max} {}
WebSocketStream::~WebSocketStream() = default;

WebSocketStream::Status WebSocketStream::fail(WebSocketClose code, FrameWriter& writer,
                                              Bytes& answers) {
    is_over_ = true;
    context_.reset();
    writer.append_close(code, answers);
    return Status::failed;
}

/// Checks what wslay leaves to us. False: `problem` says why it cannot stay.
bool WebSocketStream::begin_frame(const Frame& frame, WebSocketClose& problem) {
    problem = WebSocketClose::protocol_error;
    // A client masks (RFC 6455, 5.1), and no extension was agreed on that would use those bits.
    if (!frame.is_masked || frame.reserved_bits != 0) return false;
    opcode_ = frame.opcode;
    switch (frame.opcode) {
        case WSLAY_CONTINUATION_FRAME:
            if (!in_message_) return false;
            break;
        case WSLAY_BINARY_FRAME:
            if (in_message_) return false;
            break;
        case WSLAY_TEXT_FRAME:  // [MQTT-6.0.0-1]
            problem = WebSocketClose::unsupported_data;
            return false;
        case WSLAY_CONNECTION_CLOSE:
        case WSLAY_PING:
        case WSLAY_PONG:
            control_ = std::make_unique<Bytes>();
            break;
        default:
            return false;
    }
    if (!frame.is_control()) {
        in_message_ = !frame.is_final;
        if (frame.payload_bytes > frame_bytes_max_) {
            problem = WebSocketClose::message_too_big;
            return false;
        }
    }
    in_frame_ = true;
    payload_left_ = frame.payload_bytes;
    return true;
}

WebSocketStream::Status WebSocketStream::end_control_frame(FrameWriter& writer, Bytes& answers) {
    const std::unique_ptr<Bytes> payload = std::move(control_);
    if (opcode_ == WSLAY_PING) writer.append_pong(*payload, answers);
    if (opcode_ != WSLAY_CONNECTION_CLOSE) return Status::open;
    // Without a code is fine, half a code is not (RFC 6455, 5.5.1); codes below 1000 never were.
    const bool is_sound =
        payload->empty() || (payload->size() >= 2 && ((*payload)[0] << 8 | (*payload)[1]) >= 1000);
    if (!is_sound) return fail(WebSocketClose::protocol_error, writer, answers);
    is_over_ = true;
    writer.append_close(WebSocketClose::normal, answers);
    return Status::ended;
}

WebSocketStream::Read WebSocketStream::read(ByteView input, MutableByteView room,
                                            FrameWriter& writer, Bytes& answers) {
    Read result;
    if (is_over_) return {0, Status::ended};
    if (!context_) context_ = WslayCalls::make(this);
    input_ = input;
    for (;;) {
        wslay_frame_iocb frame{};
        const ssize_t count = wslay_frame_recv(context_.get(), &frame);
        if (count == WSLAY_ERR_WANT_READ) break;
        WebSocketClose problem = WebSocketClose::protocol_error;
        bool is_sound = count >= 0;
        if (is_sound && !in_frame_) {
            const Frame head{frame.fin != 0, frame.rsv, frame.opcode, frame.mask != 0,
                             frame.payload_length};
            buffered_bytes_ -= head.header_bytes();
            is_sound = begin_frame(head, problem);
        }
        if (!is_sound) {
            result.status = fail(problem, writer, answers);
            break;
        }
        const ByteView payload{frame.data, frame.data_length};
        buffered_bytes_ -= payload.size();
        payload_left_ -= payload.size();
        if (control_) {
            control_->insert(control_->end(), payload.begin(), payload.end());
        } else if (!payload.empty()) {
            std::memcpy(room.data() + result.count, payload.data(), payload.size());
            result.count += payload.size();
        }
        if (payload_left_ > 0) continue;
        in_frame_ = false;
        if (control_) result.status = end_control_frame(writer, answers);
        if (result.status != Status::open) break;
    }
    input_ = {};
    const bool is_between_frames = !in_frame_ && buffered_bytes_ == 0;
    if (is_between_frames || is_over_) context_.reset();
    return result;
}

}  // namespace mitu::transport
