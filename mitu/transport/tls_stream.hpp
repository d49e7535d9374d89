#pragma once
// One TLS connection as a filter of bytes: ciphertext in, plaintext out, and back. No socket.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "mitu/base/bytes.hpp"
#include "mitu/ports/peer_facts.hpp"
#include "mitu/transport/openssl_ptr.hpp"
#include "mitu/transport/tls_contexts.hpp"

namespace mitu::transport {

/// Why a handshake did not end well. What operators tell apart, and who counts failures.
enum class HandshakeFailure : std::uint8_t {
    not_tls,           // the first bytes are something else: MQTT without TLS, most often
    no_common_ground,  // version, cipher, ALPN, unknown server name
    certificate,       // the client's: missing, expired, revoked, not by a listed CA
    refused_by_peer,   // an alert of the client's: it does not trust our certificate, most often
    protocol,          // anything else that OpenSSL minds
    proxy_header,      // missing, malformed, or from a peer that is not listed
    websocket,         // the upgrade was refused
    timed_out,
    gone,  // closed by the client on the way
    shed,  // there was no room to wait, or the wait was too long
};
[[nodiscard]] std::string_view to_text(HandshakeFailure failure) noexcept;

/// Owns an SSL object whose BIO reads from the bytes given to a call and writes behind the `output`
/// given to it; between calls it holds no bytes of ours. (A memory BIO pair would.)
/// Threading  shard-local; may move to another thread between calls.
/// Cost       idle: what OpenSSL keeps itself, plus one BIO (about 100 bytes) and this object.
class TlsStream {
public:
    explicit TlsStream(std::shared_ptr<const TlsContexts> contexts);
    ~TlsStream();
    TlsStream(const TlsStream&) = delete;
    TlsStream& operator=(const TlsStream&) = delete;

    enum class Handshake : std::uint8_t { done, wants_input, failed };
    /// Goes on with the handshake. What it does not use of `input` is left there: it belongs to
    /// read(). On failure the alert stands in `output`.
    [[nodiscard]] Handshake handshake(ByteView& input, Bytes& output);
    /// After Handshake::failed.
    [[nodiscard]] HandshakeFailure failure() const noexcept { return failure_; }
    [[nodiscard]] const std::string& failure_text() const noexcept { return failure_text_; }

    enum class Status : std::uint8_t {
        open,
        ended,   // the peer has said that nothing follows
        failed,  // broken: no byte of it can be trusted any more
    };
    struct Read {
        std::size_t count = 0;
        Status status = Status::open;
    };
    /// Decrypts all of `input` into `room`.
    /// Shape  `room` has at least input.size() + record_bytes_max bytes: the front of a record may
    ///        have come earlier.
    [[nodiscard]] Read read(ByteView input, MutableByteView room, Bytes& output);

    /// Encrypts all of it behind `output`. False: the connection is broken.
    [[nodiscard]] bool write(ByteView plaintext, Bytes& output);
    /// Tells the peer that nothing follows.
    void finish(Bytes& output);

    void describe(ports::PeerFacts& facts) const;
    [[nodiscard]] bool is_resumed() const noexcept;

    static constexpr std::size_t record_bytes_max = 16'384;

private:
    friend struct TlsBio;
    void note_failure();

    SslPtr ssl_;
    std::shared_ptr<const TlsContexts> contexts_;  // until the handshake is over
    // During a call.
    ByteView input_;
    Bytes* output_ = nullptr;
    HandshakeFailure failure_ = HandshakeFailure::protocol;
    bool is_broken_ = false;
    std::string failure_text_;
};

}  // namespace mitu::transport
