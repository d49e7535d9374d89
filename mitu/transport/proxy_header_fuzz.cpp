// Nothing is read outside; a header that is whole stays what it is whatever follows, and is
// incomplete or refused for every shorter beginning.

#include <cstddef>
#include <cstdint>

#include "mitu/base/check.hpp"
#include "mitu/transport/proxy_header.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mitu;
    // Copied exactly, so that a byte past the end is seen.
    const Bytes bytes(data, data + size);
    const auto parsed = transport::parse_proxy_header(bytes);
    if (!parsed || !*parsed) return 0;
    const std::size_t used = (*parsed)->bytes;
    MITU_CHECK(used > 0 && used <= bytes.size() && used <= transport::proxy_header_bytes_max);
    const Bytes exact(data, data + used);
    const auto again = transport::parse_proxy_header(exact);
    MITU_CHECK(again && *again && (*again)->bytes == used && (*again)->source == (*parsed)->source);
    const Bytes shorter(data, data + used - 1);
    const auto early = transport::parse_proxy_header(shorter);
    MITU_CHECK(early && !*early);
    return 0;
}
