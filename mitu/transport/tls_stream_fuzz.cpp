// Plaintext that went through TLS, cut anywhere, is what went in; and a record that was damaged on
// the way ends the stream without giving out a byte of it. The first two bytes say where is cut and
// what is damaged.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/transport/testing/client_stack.hpp"
#include "mitu/transport/tls_stream.hpp"

namespace {

using namespace mitu;
using namespace mitu::transport;

std::shared_ptr<const TlsContexts> contexts() {
    static const auto made = [] {
        const testing::TemporaryDirectory directory;
        const testing::Identity identity = testing::make_identity({.common_name = "fuzz"});
        TlsSettings settings;
        settings.certificates = {{directory.write("a.pem", identity.certificate_pem()),
                                  directory.write("a.key", identity.key_pem()),
                                  {}}};
        auto loaded = TlsContexts::load(settings, std::make_shared<TicketKeys>(), {});
        MITU_CHECK_MSG(loaded.has_value(), loaded.error().c_str());
        return *loaded;
    }();
    return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 3) return 0;
    const ByteView plain{data + 2, size - 2};
    const std::size_t step = std::size_t{data[0]} + 1;
    const bool damages = (data[1] & 1) != 0;
    testing::ClientOptions options;
    options.tls = true;
    testing::ClientStack client{std::move(options)};
    TlsStream server{contexts()};
    Bytes output;
    for (auto state = TlsStream::Handshake::wants_input; state != TlsStream::Handshake::done;) {
        const Bytes input = std::exchange(client.to_socket(), Bytes{});
        ByteView rest = input;
        state = server.handshake(rest, output);
        MITU_CHECK(state != TlsStream::Handshake::failed);
        client.feed(std::exchange(output, Bytes{}));
    }
    client.send(plain);
    Bytes cipher = std::exchange(client.to_socket(), Bytes{});
    if (damages) cipher[data[1] % cipher.size()] ^= static_cast<std::uint8_t>(data[1] | 1);
    Bytes got;
    auto status = TlsStream::Status::open;
    for (std::size_t at = 0; at < cipher.size() && status == TlsStream::Status::open; at += step) {
        const ByteView part = ByteView{cipher}.subspan(at, std::min(step, cipher.size() - at));
        const Bytes exact(part.begin(), part.end());
        Bytes room(exact.size() + TlsStream::record_bytes_max + 1'024);
        const auto read = server.read(exact, room, output);
        got.insert(got.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(read.count));
        status = read.status;
    }
    MITU_CHECK(std::equal(got.begin(), got.end(), plain.begin()));
    if (!damages) MITU_CHECK(status == TlsStream::Status::open && got.size() == plain.size());
    if (damages) MITU_CHECK(got.size() < plain.size());
    return 0;
}
