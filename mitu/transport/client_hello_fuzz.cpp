// Nothing is read outside; once a ClientHello is whole, more bytes change nothing.

#include <cstddef>
#include <cstdint>

#include "mitu/base/check.hpp"
#include "mitu/transport/client_hello.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mitu;
    const Bytes bytes(data, data + size);
    const auto whole = transport::peek_server_name(bytes);
    for (std::size_t cut = 0; cut < size; cut += 1 + size / 16) {
        const Bytes front(data, data + cut);
        const auto early = transport::peek_server_name(front);
        if (!early) MITU_CHECK(!whole);
        if (early && *early) MITU_CHECK(whole && **whole == **early);
    }
    return 0;
}
