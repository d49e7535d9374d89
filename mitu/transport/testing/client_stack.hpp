#pragma once
// The client's end of the same layers, without a socket: OpenSSL with memory BIOs, and a WebSocket
// small enough to read here. What tests talk to the server with.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "mitu/base/bytes.hpp"
#include "mitu/base/check.hpp"
#include "mitu/transport/openssl_ptr.hpp"
#include "mitu/transport/testing/pki.hpp"

namespace mitu::transport::testing {

/// One frame of a client, masked.
inline Bytes make_frame(std::uint8_t opcode, ByteView payload, bool is_final = true,
                        bool is_masked = true) {
    Bytes frame{static_cast<std::uint8_t>((is_final ? 0x80 : 0) | opcode)};
    const std::uint8_t mask_bit = is_masked ? 0x80 : 0;
    const std::size_t size = payload.size();
    if (size < 126) {
        frame.push_back(static_cast<std::uint8_t>(mask_bit | size));
    } else {
        const int bytes = size < 65'536 ? 2 : 8;
        frame.push_back(static_cast<std::uint8_t>(mask_bit | (bytes == 2 ? 126 : 127)));
        for (int i = bytes - 1; i >= 0; --i) {
            frame.push_back(static_cast<std::uint8_t>(std::uint64_t{size} >> (8 * i)));
        }
    }
    constexpr std::uint8_t mask[4] = {0x5A, 0xC3, 0x11, 0xFE};
    if (is_masked) frame.insert(frame.end(), mask, mask + 4);
    for (std::size_t i = 0; i < size; ++i) {
        frame.push_back(is_masked ? payload[i] ^ mask[i % 4] : payload[i]);
    }
    return frame;
}

inline std::string make_upgrade(std::string_view path = "/mqtt",
                                std::string_view more = "Sec-WebSocket-Protocol: mqtt\r\n") {
    return "GET " + std::string{path} +
           " HTTP/1.1\r\nHost: broker.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
           std::string{more} + "\r\n";
}

struct ClientOptions {
    bool tls = false;
    bool websocket = false;
    std::string first;                    // sent before anything else: a PROXY header
    const Identity* authority = nullptr;  // who has signed the server's certificate
    const Identity* identity = nullptr;   // what the client shows
    std::string server_name;
    int version = 0;   // TLS1_2_VERSION, TLS1_3_VERSION; 0: what is best
    std::string alpn;  // as on the wire
    SSL_SESSION* session = nullptr;
    std::string upgrade = make_upgrade();
};

class ClientStack {
public:
    explicit ClientStack(ClientOptions options) : options_{std::move(options)} {
        to_socket_ = to_bytes(as_bytes(options_.first));
        if (options_.tls) start_tls();
        if (options_.websocket) send_inner(as_bytes(options_.upgrade));
        step();
    }
    /// TLS and WebSocket are up.
    [[nodiscard]] bool is_ready() const {
        return is_tls_up() && (!options_.websocket || upgraded_);
    }

    /// Bytes from the server's socket.
    void feed(ByteView bytes) {
        if (options_.tls) {
            BIO_write(in_, bytes.data(), static_cast<int>(bytes.size()));
        } else {
            take_inner(bytes);
        }
        step();
    }
    void send(ByteView bytes) {
        send_inner(options_.websocket ? make_frame(2, bytes) : to_bytes(bytes));
        step();
    }
    /// Sent inside of TLS as it is.
    void send_raw(ByteView bytes) {
        send_inner(bytes);
        step();
    }
    void finish() {
        if (options_.websocket) send_inner(make_frame(8, Bytes{0x03, 0xE8}));
        finishes_ = true;
        step();
    }
    [[nodiscard]] Bytes& to_socket() { return to_socket_; }
    [[nodiscard]] bool has_sent_all() const { return pending_.empty() && to_socket_.empty(); }
    /// Application bytes that have come.
    Bytes receive() { return std::exchange(received_, Bytes{}); }
    /// Of HTTP, while the upgrade has not succeeded.
    [[nodiscard]] const Bytes& head() const { return inner_; }
    [[nodiscard]] std::optional<int> close_code() const { return close_code_; }
    [[nodiscard]] bool has_seen_close_notify() const {
        return ssl_ && (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
    }
    [[nodiscard]] const std::string& failure() const { return failure_; }
    [[nodiscard]] int pongs() const { return pongs_; }
    [[nodiscard]] SSL* ssl() const { return ssl_.get(); }

private:
    [[nodiscard]] bool is_tls_up() const {
        return !options_.tls || SSL_is_init_finished(ssl_.get()) == 1;
    }
    void start_tls() {
        context_.reset(SSL_CTX_new(TLS_client_method()));
        if (options_.version != 0) {
            SSL_CTX_set_min_proto_version(context_.get(), options_.version);
            SSL_CTX_set_max_proto_version(context_.get(), options_.version);
        }
        if (options_.authority != nullptr) {
            X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()),
                                options_.authority->certificate.get());
            SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
        }
        if (options_.identity != nullptr) {
            SSL_CTX_use_certificate(context_.get(), options_.identity->certificate.get());
            SSL_CTX_use_PrivateKey(context_.get(), options_.identity->key.get());
        }
        ssl_.reset(SSL_new(context_.get()));
        if (!options_.server_name.empty()) {
            SSL_set_tlsext_host_name(ssl_.get(), options_.server_name.c_str());
        }
        if (!options_.alpn.empty()) {
            SSL_set_alpn_protos(ssl_.get(),
                                reinterpret_cast<const unsigned char*>(options_.alpn.data()),
                                static_cast<unsigned>(options_.alpn.size()));
        }
        if (options_.session != nullptr) SSL_set_session(ssl_.get(), options_.session);
        in_ = BIO_new(BIO_s_mem());
        out_ = BIO_new(BIO_s_mem());
        SSL_set_bio(ssl_.get(), in_, out_);
        SSL_set_connect_state(ssl_.get());
    }
    void send_inner(ByteView bytes) { pending_.insert(pending_.end(), bytes.begin(), bytes.end()); }
    void step() {
        if (options_.tls && failure_.empty()) step_tls();
        const bool may_send = is_tls_up();
        if (may_send && !pending_.empty()) {
            if (options_.tls) {
                std::size_t written = 0;
                if (SSL_write_ex(ssl_.get(), pending_.data(), pending_.size(), &written) == 1) {
                    MITU_CHECK(written == pending_.size());
                }
            } else {
                to_socket_.insert(to_socket_.end(), pending_.begin(), pending_.end());
            }
            pending_.clear();
        }
        if (may_send && options_.tls && finishes_) SSL_shutdown(ssl_.get());
        if (options_.tls) take_from_tls();
    }
    void step_tls() {
        ERR_clear_error();
        std::uint8_t some[16'384];
        std::size_t count = 0;
        while (SSL_read_ex(ssl_.get(), some, sizeof some, &count) == 1) {
            take_inner({some, count});
        }
        const int error = SSL_get_error(ssl_.get(), 0);
        if (error == SSL_ERROR_SSL) failure_ = take_openssl_error();
    }
    void take_from_tls() {
        std::uint8_t some[16'384];
        for (int count = 0; (count = BIO_read(out_, some, sizeof some)) > 0;) {
            to_socket_.insert(to_socket_.end(), some, some + count);
        }
    }
    void take_inner(ByteView bytes) {
        if (!options_.websocket) {
            received_.insert(received_.end(), bytes.begin(), bytes.end());
            return;
        }
        inner_.insert(inner_.end(), bytes.begin(), bytes.end());
        if (!upgraded_) {
            const std::size_t end = as_text(inner_).find("\r\n\r\n");
            upgraded_ =
                end != std::string_view::npos && as_text(inner_).starts_with("HTTP/1.1 101");
            if (!upgraded_) return;
            inner_.erase(inner_.begin(), inner_.begin() + static_cast<std::ptrdiff_t>(end + 4));
        }
        std::size_t used = 0;
        while (take_frame(used)) {
        }
        inner_.erase(inner_.begin(), inner_.begin() + static_cast<std::ptrdiff_t>(used));
    }
    bool take_frame(std::size_t& used) {
        const ByteView rest = ByteView{inner_}.subspan(used);
        if (rest.size() < 2) return false;
        MITU_CHECK((rest[1] & 0x80) == 0);  // a server does not mask
        std::uint64_t size = rest[1];
        std::size_t head = 2;
        if (size >= 126) {
            head += size == 126 ? 2 : 8;
            if (rest.size() < head) return false;
            size = 0;
            for (std::size_t i = 2; i < head; ++i) size = size << 8 | rest[i];
        }
        if (rest.size() < head + size) return false;
        const ByteView payload = rest.subspan(head, size);
        switch (rest[0]) {
            case 0x82:
                received_.insert(received_.end(), payload.begin(), payload.end());
                break;
            case 0x88:
                close_code_ = payload.size() < 2 ? 1005 : payload[0] << 8 | payload[1];
                break;
            case 0x8A:
                ++pongs_;
                break;
            default:
                MITU_CHECK_MSG(false, "a frame that no server of ours sends");
        }
        used += head + size;
        return true;
    }

    ClientOptions options_;
    SslCtxPtr context_;
    SslPtr ssl_;
    BIO* in_ = nullptr;
    BIO* out_ = nullptr;
    Bytes pending_;  // to go into TLS once it is up
    Bytes to_socket_;
    Bytes received_;
    Bytes inner_;  // HTTP or frames that are not whole
    std::optional<int> close_code_;
    std::string failure_;
    int pongs_ = 0;
    bool upgraded_ = false;
    bool finishes_ = false;
};

}  // namespace mitu::transport::testing
