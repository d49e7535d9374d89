// What a server sends: any bytes at all, as a stream of packets.
#include <cstddef>
#include <cstdint>

#include "mitu/mqtt/testing/stream_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    mitu::mqtt::testing::check_stream({data, size}, mitu::mqtt::Sender::server);
    return 0;
}
