#pragma once
// For fuzzers and for the test that replays their corpora: what must hold for any bytes at all.

#include "mitu/base/bytes.hpp"
#include "mitu/mqtt/decode.hpp"

namespace mitu::mqtt::testing {

/// Reads `bytes` as a stream of packets from `sender`, once for each version, and aborts unless
///  - bytes fed one at a time give the same packets, and end in the same fault, as all at once;
///  - a decoded packet, encoded, decodes to the same packet;
///  - a packet_bytes_max only ever turns an answer into packet_too_large.
void check_stream(ByteView bytes, Sender sender);

}  // namespace mitu::mqtt::testing
