#include "mitu/transport/tls_stream.hpp"

#include <algorithm>
#include <climits>
#include <cstring>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/transport/certificate_text.hpp"

namespace mitu::transport {

std::string_view to_text(HandshakeFailure failure) noexcept {
    switch (failure) {
        case HandshakeFailure::not_tls:
            return "not_tls";
        case HandshakeFailure::no_common_ground:
            return "no_common_ground";
        case HandshakeFailure::certificate:
            return "certificate";
        case HandshakeFailure::refused_by_peer:
            return "refused_by_peer";
        case HandshakeFailure::protocol:
            return "protocol";
        case HandshakeFailure::proxy_header:
            return "proxy_header";
        case HandshakeFailure::websocket:
            return "websocket";
        case HandshakeFailure::timed_out:
            return "timed_out";
        case HandshakeFailure::gone:
            return "gone";
        case HandshakeFailure::shed:
            return "shed";
    }
    return "";
}

/// The BIO between OpenSSL and the bytes of the current call.
struct TlsBio {
    static TlsStream& stream_of(BIO* bio) noexcept {
        return *static_cast<TlsStream*>(BIO_get_data(bio));
    }
    static int read(BIO* bio, char* to, int size) noexcept {
        BIO_clear_retry_flags(bio);
        ByteView& input = stream_of(bio).input_;
        if (input.empty()) {
            BIO_set_retry_read(bio);
            return -1;
        }
        const std::size_t count = std::min(input.size(), static_cast<std::size_t>(size));
        std::memcpy(to, input.data(), count);
        input = input.subspan(count);
        return static_cast<int>(count);
    }
    static int write(BIO* bio, const char* from, int size) {
        BIO_clear_retry_flags(bio);
        Bytes* const output = stream_of(bio).output_;
        if (output == nullptr) return -1;  // outside a call: nothing may be written
        const auto* const bytes = reinterpret_cast<const std::uint8_t*>(from);
        output->insert(output->end(), bytes, bytes + size);
        return size;
    }
    static long control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) noexcept {
        return command == BIO_CTRL_FLUSH ? 1 : 0;
    }
    static int create(BIO* bio) noexcept {
        BIO_set_init(bio, 1);
        return 1;
    }
    /// Lifetime  the process: every BIO points there.
    static const BIO_METHOD* method() {
        static BIO_METHOD* const method = [] {
            BIO_METHOD* const made =
                BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "mitu shard scratch");
            MITU_CHECK(made != nullptr);
            BIO_meth_set_read(made, &TlsBio::read);
            BIO_meth_set_write(made, &TlsBio::write);
            BIO_meth_set_ctrl(made, &TlsBio::control);
            BIO_meth_set_create(made, &TlsBio::create);
            return made;
        }();
        return method;
    }
};

namespace {

HandshakeFailure classify(unsigned long error) noexcept {
    if (ERR_GET_LIB(error) != ERR_LIB_SSL) return HandshakeFailure::protocol;
    const int reason = ERR_GET_REASON(error);
    // Reasons from 1000 on are alerts that came from the peer.
    if (reason >= SSL_AD_REASON_OFFSET) return HandshakeFailure::refused_by_peer;
    switch (reason) {
        case SSL_R_HTTP_REQUEST:
        case SSL_R_HTTPS_PROXY_REQUEST:
        case SSL_R_WRONG_VERSION_NUMBER:
        case SSL_R_PACKET_LENGTH_TOO_LONG:
            return HandshakeFailure::not_tls;
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_NO_SHARED_CIPHER:
        case SSL_R_NO_SUITABLE_KEY_SHARE:
        case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
        case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
        case SSL_R_VERSION_TOO_LOW:
        case SSL_R_CALLBACK_FAILED:  // an unknown server name
        case SSL_R_NO_APPLICATION_PROTOCOL:
            return HandshakeFailure::no_common_ground;
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
        case SSL_R_BAD_SIGNATURE:
            return HandshakeFailure::certificate;
        default:
            return HandshakeFailure::protocol;
    }
}

}  // namespace

TlsStream::TlsStream(std::shared_ptr<const TlsContexts> contexts)
    : ssl_{contexts->make_ssl()}, contexts_{std::move(contexts)} {
    BIO* const bio = BIO_new(TlsBio::method());
    MITU_CHECK_MSG(ssl_ != nullptr && bio != nullptr, "no memory for a TLS connection");
    BIO_set_data(bio, this);
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_accept_state(ssl_.get());
}

TlsStream::~TlsStream() = default;

TlsStream::Handshake TlsStream::handshake(ByteView& input, Bytes& output) {
    if (is_broken_) return Handshake::failed;
    ERR_clear_error();
    input_ = input;
    output_ = &output;
    const int result = SSL_do_handshake(ssl_.get());
    const int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
    input = std::exchange(input_, {});
    if (error == SSL_ERROR_WANT_READ) {
        output_ = nullptr;
        return Handshake::wants_input;
    }
    if (error != SSL_ERROR_NONE) note_failure();
    output_ = nullptr;
    if (error != SSL_ERROR_NONE) return Handshake::failed;
    contexts_.reset();
    return Handshake::done;
}

void TlsStream::note_failure() {
    is_broken_ = true;
    failure_ = classify(ERR_peek_last_error());
    failure_text_ = take_openssl_error();
    const long verified = SSL_get_verify_result(ssl_.get());
    if (failure_ == HandshakeFailure::certificate && verified != X509_V_OK) {
        failure_text_ = X509_verify_cert_error_string(verified);
    }
}

TlsStream::Read TlsStream::read(ByteView input, MutableByteView room, Bytes& output) {
    Read result;
    if (is_broken_) return {0, Status::failed};
    ERR_clear_error();
    input_ = input;
    output_ = &output;
    for (;;) {
        std::size_t count = 0;
        if (SSL_read_ex(ssl_.get(), room.data() + result.count, room.size() - result.count,
                        &count) == 1) {
            result.count += count;
            continue;
        }
        const int error = SSL_get_error(ssl_.get(), 0);
        if (error == SSL_ERROR_ZERO_RETURN) {
            result.status = Status::ended;
        } else if (error != SSL_ERROR_WANT_READ) {
            note_failure();
            result.status = Status::failed;
        }
        break;
    }
    MITU_CHECK(result.status != Status::open || input_.empty());
    input_ = {};
    output_ = nullptr;
    return result;
}

bool TlsStream::write(ByteView plaintext, Bytes& output) {
    if (is_broken_) return false;
    if (plaintext.empty()) return true;
    ERR_clear_error();
    output_ = &output;
    std::size_t count = 0;
    // The BIO takes everything, so that this takes all or fails.
    const bool ok = SSL_write_ex(ssl_.get(), plaintext.data(), plaintext.size(), &count) == 1;
    if (!ok) note_failure();
    output_ = nullptr;
    return ok;
}

void TlsStream::finish(Bytes& output) {
    if (is_broken_ || SSL_in_init(ssl_.get()) != 0) return;
    ERR_clear_error();
    output_ = &output;
    static_cast<void>(SSL_shutdown(ssl_.get()));
    ERR_clear_error();
    output_ = nullptr;
}

bool TlsStream::is_resumed() const noexcept { return SSL_session_reused(ssl_.get()) == 1; }

void TlsStream::describe(ports::PeerFacts& facts) const {
    facts.tls_version = SSL_get_version(ssl_.get());
    facts.tls_cipher = SSL_get_cipher_name(ssl_.get());
    facts.is_resumed = is_resumed();
    if (const char* const name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name)) {
        facts.server_name = lower_case(name);
    }
    X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
    if (certificate != nullptr && SSL_get_verify_result(ssl_.get()) == X509_V_OK) {
        facts.certificate = read_certificate(certificate);
    }
}

}  // namespace mitu::transport
