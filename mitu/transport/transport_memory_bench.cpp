// What an idle connection of TLS keeps on the heap, beside a bare SSL object whose BIOs hold
// nothing, as with sockets: the least that OpenSSL needs for itself.
//   bench/transport_memory_bench

#include <fmt/format.h>
#include <malloc.h>

#include <memory>
#include <vector>

#include "mitu/base/check.hpp"
#include "mitu/transport/channel.hpp"
#include "mitu/transport/testing/client_stack.hpp"
#include "mitu/transport/tls_contexts.hpp"

namespace {

using namespace mitu;
using namespace mitu::transport;

constexpr std::size_t connections = 500;

std::size_t heap_bytes() { return mallinfo2().uordblks; }

/// Goes on until both sides are done; the client is the caller's to keep out of the sum.
template <class Step>
void shake_hands(testing::ClientStack& client, const Step& step) {
    for (bool done = false; !done;) {
        const Bytes input = std::exchange(client.to_socket(), Bytes{});
        done = step(input, client);
    }
}

std::unique_ptr<testing::ClientStack> make_client(const testing::Identity* identity, int version) {
    testing::ClientOptions options;
    options.tls = true;
    options.identity = identity;
    options.version = version;
    return std::make_unique<testing::ClientStack>(std::move(options));
}

std::size_t ours(const std::shared_ptr<const TlsContexts>& contexts,
                 const testing::Identity* identity, int version) {
    std::vector<std::unique_ptr<Channel>> channels;
    channels.reserve(connections);
    Bytes output;
    for (std::size_t i = 0; i < connections; ++i) {
        auto client = make_client(identity, version);
        channels.push_back(std::make_unique<Channel>());
        Channel& channel = *channels.back();
        channel.tls = std::make_unique<TlsStream>(contexts);
        shake_hands(*client, [&](const Bytes& input, testing::ClientStack& peer) {
            ByteView rest = input;
            const bool done = channel.tls->handshake(rest, output) == TlsStream::Handshake::done;
            peer.feed(output);
            output.clear();
            return done;
        });
    }
    const std::size_t full = heap_bytes();
    channels.clear();
    return (full - heap_bytes()) / connections;
}

std::size_t bare(const std::shared_ptr<const TlsContexts>& contexts,
                 const testing::Identity* identity, int version) {
    std::vector<SslPtr> servers;
    servers.reserve(connections);
    for (std::size_t i = 0; i < connections; ++i) {
        auto client = make_client(identity, version);
        SslPtr ssl = contexts->make_ssl();
        BIO* const in = BIO_new(BIO_s_mem());
        BIO* const out = BIO_new(BIO_s_mem());
        SSL_set_bio(ssl.get(), in, out);
        SSL_set_accept_state(ssl.get());
        shake_hands(*client, [&](const Bytes& input, testing::ClientStack& peer) {
            BIO_write(in, input.data(), static_cast<int>(input.size()));
            const bool done = SSL_do_handshake(ssl.get()) == 1;
            char* text = nullptr;
            const long size = BIO_get_mem_data(out, &text);
            peer.feed(
                {reinterpret_cast<const std::uint8_t*>(text), static_cast<std::size_t>(size)});
            static_cast<void>(BIO_reset(out));
            return done;
        });
        // One BIO without a buffer for both ways, as SSL_set_fd() makes it.
        BIO* const nothing = BIO_new(BIO_s_null());
        SSL_set_bio(ssl.get(), nothing, nothing);
        servers.push_back(std::move(ssl));
    }
    const std::size_t full = heap_bytes();
    servers.clear();
    return (full - heap_bytes()) / connections;
}

}  // namespace

int main() {
    const testing::TemporaryDirectory directory;
    const testing::Identity ca = testing::make_identity({.common_name = "ca", .is_ca = true});
    const testing::Identity server = testing::make_identity({.common_name = "server"}, &ca);
    const testing::Identity device = testing::make_identity({.common_name = "device"}, &ca);
    TlsSettings settings;
    settings.certificates = {{directory.write("a.pem", server.certificate_pem()),
                              directory.write("a.key", server.key_pem()),
                              {}}};
    settings.ca_files = {directory.write("ca.pem", ca.certificate_pem())};
    settings.client_certificates = ClientCertificates::optional;
    const auto contexts = TlsContexts::load(settings, std::make_shared<TicketKeys>(), {}).value();
    fmt::print("bytes per idle connection, {} of them      ours  OpenSSL  difference\n",
               connections);
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        for (const testing::Identity* const identity :
             {static_cast<const testing::Identity*>(nullptr), &device}) {
            const std::size_t mine = ours(contexts, identity, version);
            const std::size_t least = bare(contexts, identity, version);
            fmt::print("TLS 1.{}, {:<36} {:>7} {:>8} {:>11}\n", version == TLS1_2_VERSION ? 2 : 3,
                       identity == nullptr ? "no client certificate" : "client certificate", mine,
                       least, static_cast<long>(mine) - static_cast<long>(least));
        }
    }
    fmt::print("WebSocket, in addition: {} (sizeof), no heap between frames\n",
               sizeof(WebSocketStream));
    return 0;
}
