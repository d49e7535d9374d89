// Upgrade and frames: nothing is read outside, payload never exceeds its input, and bytes fed in
// pieces give what they give at once. The first byte says how large the pieces are.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "mitu/base/check.hpp"
#include "mitu/transport/websocket_stream.hpp"
#include "mitu/transport/websocket_upgrade.hpp"

namespace {

using namespace mitu;
using transport::WebSocketStream;

struct Outcome {
    Bytes payload;
    Bytes answers;
    WebSocketStream::Status status = WebSocketStream::Status::open;
    bool operator==(const Outcome&) const = default;
};

Outcome read_in_steps(ByteView frames, std::size_t step) {
    transport::FrameWriter writer;
    WebSocketStream stream{100'000};
    Outcome outcome;
    for (std::size_t at = 0; at < frames.size(); at += step) {
        const ByteView part = frames.subspan(at, std::min(step, frames.size() - at));
        Bytes room(part.size());
        const auto read = stream.read(part, room, writer, outcome.answers);
        MITU_CHECK(read.count <= part.size());
        outcome.payload.insert(outcome.payload.end(), room.begin(),
                               room.begin() + static_cast<std::ptrdiff_t>(read.count));
        outcome.status = read.status;
        if (read.status != WebSocketStream::Status::open) {
            MITU_CHECK(stream.is_lean());
            break;
        }
    }
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const Bytes input(data + 1, data + size);
    const auto answer = transport::answer_upgrade(input, {});
    MITU_CHECK(answer.used_bytes <= input.size());
    const ByteView frames = answer.verdict == transport::UpgradeAnswer::Verdict::accepted
                                ? ByteView{input}.subspan(answer.used_bytes)
                                : ByteView{input};
    MITU_CHECK(read_in_steps(frames, std::size_t{data[0]} + 1) ==
               read_in_steps(frames, std::max<std::size_t>(frames.size(), 1)));
    return 0;
}
