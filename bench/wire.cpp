#include "bench/wire.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <wslay/wslay.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "mitu/base/check.hpp"

namespace mitu::bench {
namespace {

constexpr std::size_t record_bytes_max = 16'384;
constexpr std::size_t scratch_bytes = 262'144;

// The same for every broker, so that none wins by a cheaper choice.
constexpr const char* suites_1_3 = "TLS_AES_128_GCM_SHA256";
constexpr const char* ciphers_1_2 = "ECDHE-ECDSA-AES128-GCM-SHA256";
constexpr const char* groups = "X25519:P-256";  // the latter for certificates, in TLS 1.2

constexpr std::string_view upgrade_request =
    "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: bWl0dS1iZW5jaC1taXR1LQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: mqtt\r\n\r\n";

std::string openssl_text() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (code == 0) return "no reason given";
    std::string text(256, '\0');
    ERR_error_string_n(code, text.data(), text.size());
    return text.c_str();
}

std::string socket_fault() { return std::generic_category().message(errno); }

}  // namespace

/// What wslay calls back.
struct FrameCalls {
    static ssize_t receive(std::uint8_t* to, std::size_t size, int, void* self) noexcept {
        ByteView& input = static_cast<Wire*>(self)->input_;
        const std::size_t count = std::min(size, input.size());
        if (count == 0) return -1;
        std::memcpy(to, input.data(), count);
        input = input.subspan(count);
        return static_cast<ssize_t>(count);
    }
    static ssize_t send(const std::uint8_t* from, std::size_t size, int, void* self) {
        Bytes& unsent = static_cast<Wire*>(self)->unsent_;
        unsent.insert(unsent.end(), from, from + size);
        return static_cast<ssize_t>(size);
    }
    static int mask(std::uint8_t* to, std::size_t size, void*) noexcept {
        std::memset(to, 0x5A, size);  // a broker cannot tell, and it costs what any mask costs
        return 0;
    }
};

/// Keeps the newest session that a broker gives.
struct SessionKeeper {
    static int take(SSL* tls, SSL_SESSION* session) noexcept {
        auto* const maker = static_cast<WireMaker*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(tls)));
        const int size = i2d_SSL_SESSION(session, nullptr);
        if (size > 0) {
            maker->session_.resize(static_cast<std::size_t>(size));
            std::uint8_t* to = maker->session_.data();
            i2d_SSL_SESSION(session, &to);
        }
        return 0;  // the session stays OpenSSL's
    }
};

// ---- one wire

Wire::Wire(WireMaker& maker, int fd) : maker_{maker}, fd_{fd} {
    if (maker.context_ != nullptr) {
        tls_ = SSL_new(maker.context_);
        MITU_CHECK(tls_ != nullptr && SSL_set_fd(tls_, fd) == 1);
        SSL_set_tlsext_host_name(tls_, "localhost");
        SSL_set_connect_state(tls_);
        if (!maker.session_.empty()) {
            const std::uint8_t* from = maker.session_.data();
            SSL_SESSION* const session =
                d2i_SSL_SESSION(nullptr, &from, static_cast<long>(maker.session_.size()));
            SSL_set_session(tls_, session);
            SSL_SESSION_free(session);
        }
    }
    if (maker.options_.websocket) {
        constexpr wslay_frame_callbacks calls{&FrameCalls::send, &FrameCalls::receive,
                                              &FrameCalls::mask};
        MITU_CHECK(wslay_frame_context_init(&web_, &calls, this) == 0);
        unsent_.assign(upgrade_request.begin(), upgrade_request.end());
    }
}

Wire::~Wire() {
    // Without a close_notify OpenSSL takes the session for a bad one, and would not resume it.
    if (tls_ != nullptr) SSL_set_shutdown(tls_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(tls_);
    if (web_ != nullptr) wslay_frame_context_free(web_);
}

int Wire::fail(std::string why) {
    if (fault_.empty()) fault_ = std::move(why);
    return over;
}

Wire::Step Wire::open() {
    if (tls_ != nullptr && !has_shaken_) {
        if (const Step step = shake_hands(); step != Step::open) return step;
    }
    if (web_ != nullptr && !is_open_) {
        if (const Step step = upgrade(); step != Step::open) return step;
    }
    is_open_ = true;
    return Step::open;
}

Wire::Step Wire::shake_hands() {
    errno = 0;
    const int done = SSL_do_handshake(tls_);
    if (done == 1) {
        has_shaken_ = true;
        WireCounts& counts = maker_.counts_;
        ++counts.handshakes;
        counts.resumed += SSL_session_reused(tls_) == 1 ? 1 : 0;
        if (counts.cipher.empty()) {
            counts.cipher = fmt::format("{} {}", SSL_get_version(tls_), SSL_get_cipher_name(tls_));
        }
        return Step::open;
    }
    switch (SSL_get_error(tls_, done)) {
        case SSL_ERROR_WANT_READ:
            return Step::wants_read;
        case SSL_ERROR_WANT_WRITE:
            return Step::wants_write;
        case SSL_ERROR_SYSCALL:
            static_cast<void>(fail("TLS handshake: " + (errno != 0 ? socket_fault() : "closed")));
            return Step::failed;
        default:
            static_cast<void>(fail("TLS handshake: " + openssl_text()));
            return Step::failed;
    }
}

Wire::Step Wire::upgrade() {
    if (!flush_unsent()) return Step::failed;
    if (has_unsent()) return Step::wants_write;
    // One byte at a time would find the end exactly; a broker says nothing before CONNECT, so that
    // nothing follows it.
    char part[1024];
    const int count = read_some(reinterpret_cast<std::uint8_t*>(part), sizeof part);
    if (count == over) return Step::failed;
    answer_.append(part, static_cast<std::size_t>(count));
    if (!answer_.ends_with("\r\n\r\n")) return Step::wants_read;
    if (!answer_.starts_with("HTTP/1.1 101 ")) {
        static_cast<void>(fail("no upgrade: " + answer_.substr(0, answer_.find('\r'))));
        return Step::failed;
    }
    answer_ = {};
    return Step::open;
}

int Wire::write_some(ByteView bytes) {
    if (tls_ == nullptr) {
        const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) return static_cast<int>(sent);
        return errno == EAGAIN ? blocked : fail("send: " + socket_fault());
    }
    errno = 0;
    const int sent = SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size()));
    if (sent > 0) return sent;
    const int error = SSL_get_error(tls_, sent);
    if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ) return blocked;
    return fail("TLS write: " + (error == SSL_ERROR_SYSCALL ? socket_fault() : openssl_text()));
}

int Wire::read_some(std::uint8_t* to, std::size_t size) {
    if (tls_ == nullptr) {
        const ssize_t count = ::recv(fd_, to, size, MSG_DONTWAIT);
        if (count > 0) return static_cast<int>(count);
        if (count < 0 && errno == EAGAIN) return blocked;
        return fail(count == 0 ? "the broker closed the connection" : "recv: " + socket_fault());
    }
    errno = 0;
    const int count = SSL_read(tls_, to, static_cast<int>(size));
    if (count > 0) return count;
    const int error = SSL_get_error(tls_, count);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return blocked;
    if (error == SSL_ERROR_ZERO_RETURN) return fail("the broker closed the connection");
    return fail("TLS read: " + (error == SSL_ERROR_SYSCALL ? socket_fault() : openssl_text()));
}

bool Wire::flush_unsent() {
    while (has_unsent()) {
        const int sent =
            write_some(ByteView{unsent_.data() + unsent_begin_, unsent_.size() - unsent_begin_});
        if (sent == over) return false;
        if (sent == blocked) return true;
        unsent_begin_ += static_cast<std::size_t>(sent);
    }
    unsent_.clear();
    unsent_begin_ = 0;
    return true;
}

Result<std::size_t, int> Wire::send(ByteView bytes) {
    if (web_ == nullptr) {
        std::size_t taken = 0;
        while (taken < bytes.size()) {
            const int sent = write_some(bytes.subspan(taken));
            if (sent == over) return std::unexpected(over);
            if (sent == blocked) break;
            taken += static_cast<std::size_t>(sent);
        }
        return taken;
    }
    if (!flush_unsent()) return std::unexpected(over);
    if (has_unsent() || bytes.empty()) return 0u;
    wslay_frame_iocb frame{};
    frame.fin = 1;
    frame.opcode = WSLAY_BINARY_FRAME;
    frame.mask = 1;
    frame.payload_length = bytes.size();
    frame.data = bytes.data();
    frame.data_length = bytes.size();
    const ssize_t framed = wslay_frame_send(web_, &frame);
    MITU_CHECK(framed == static_cast<ssize_t>(bytes.size()));
    if (!flush_unsent()) return std::unexpected(over);
    return bytes.size();
}

bool Wire::unframe(ByteView bytes, Bytes& buffer, std::size_t& end) {
    input_ = bytes;
    for (;;) {
        wslay_frame_iocb frame{};
        const ssize_t count = wslay_frame_recv(web_, &frame);
        if (count == WSLAY_ERR_WANT_READ) return true;
        if (count < 0) return fail("sent a malformed WebSocket frame") != over;
        if (frame.opcode == WSLAY_PING || frame.opcode == WSLAY_PONG) continue;
        if (frame.opcode == WSLAY_CONNECTION_CLOSE) {
            return fail("the broker closed the WebSocket") != over;
        }
        if (end + frame.data_length > buffer.size()) buffer.resize(2 * (end + frame.data_length));
        if (frame.data_length > 0) std::memcpy(buffer.data() + end, frame.data, frame.data_length);
        end += frame.data_length;
    }
}

Result<std::size_t, int> Wire::receive(Bytes& buffer, std::size_t end) {
    const std::size_t begin = end;
    // Until nothing is left: what OpenSSL has decrypted no socket would announce again.
    for (;;) {
        if (web_ == nullptr && end + record_bytes_max > buffer.size()) {
            buffer.resize(2 * (end + record_bytes_max));
        }
        Bytes& to = web_ == nullptr ? buffer : maker_.scratch_;
        const std::size_t from = web_ == nullptr ? end : 0;
        const int count = read_some(to.data() + from, to.size() - from);
        // The last words come before the end does, which is told again by the next call.
        if (count == over && end == begin) return std::unexpected(over);
        if (count == over || count == blocked) return end;
        const auto size = static_cast<std::size_t>(count);
        if (web_ == nullptr) {
            end += size;
        } else if (!unframe(ByteView{maker_.scratch_.data(), size}, buffer, end)) {
            return std::unexpected(over);
        }
        if (tls_ == nullptr) return end;
    }
}

// ---- all of them

Result<std::unique_ptr<WireMaker>, std::string> WireMaker::create(const Options& options) {
    std::unique_ptr<WireMaker> maker{new WireMaker{options}};
    if (options.websocket) maker->scratch_.resize(scratch_bytes);
    if (options.tls == Tls::none) return maker;

    SSL_CTX* const context = maker->context_ = SSL_CTX_new(TLS_client_method());
    MITU_CHECK(context != nullptr);
    const int version = options.tls == Tls::v1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    const auto cannot = [](const std::string& what) {
        return std::unexpected(fmt::format("{}: {}", what, openssl_text()));
    };
    if (SSL_CTX_set_ciphersuites(context, suites_1_3) != 1 ||
        SSL_CTX_set_cipher_list(context, ciphers_1_2) != 1 ||
        SSL_CTX_set1_groups_list(context, groups) != 1) {
        return cannot("ciphers");
    }
    if (!options.ca_file.empty()) {
        if (SSL_CTX_load_verify_locations(context, options.ca_file.c_str(), nullptr) != 1) {
            return cannot("--ca " + options.ca_file);
        }
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    }
    if (!options.certificate_file.empty()) {
        if (SSL_CTX_use_certificate_chain_file(context, options.certificate_file.c_str()) != 1) {
            return cannot("--certificate " + options.certificate_file);
        }
        if (SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
            return cannot("--key " + options.key_file);
        }
    }
    if (options.resume) {
        SSL_CTX_set_app_data(context, maker.get());
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, &SessionKeeper::take);
    }
    return maker;
}

WireMaker::~WireMaker() { SSL_CTX_free(context_); }

std::unique_ptr<Wire> WireMaker::make(int fd) {
    if (context_ == nullptr && !options_.websocket) return nullptr;
    return std::make_unique<Wire>(*this, fd);
}

}  // namespace mitu::bench
