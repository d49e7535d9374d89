#pragma once
// What a connection's transport knows about who is at its other end, beyond an address.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/ip_network.hpp"
#include "mitu/base/time.hpp"

namespace mitu::ports {

/// Where a peer connects from. All zero: it has no address (a Unix socket).
struct PeerAddress {
    IpAddress ip{};
    std::uint16_t port = 0;
    constexpr auto operator<=>(const PeerAddress&) const noexcept = default;
    [[nodiscard]] constexpr bool is_none() const noexcept { return *this == PeerAddress{}; }
};

enum class TransportKind : std::uint8_t { tcp, tls, websocket, secure_websocket, unix_socket };
/// "tcp", "tls", "ws", "wss", "unix": the schemes of addresses.
[[nodiscard]] std::string_view scheme_of(TransportKind kind) noexcept;

/// A certificate that the client has shown, with the key to it, and that a listed CA has signed.
/// Text comes from the certificate: valid UTF-8 without control characters, nothing else is sure.
struct ClientCertificate {
    std::string common_name;  // the last CN of the subject; empty: none
    std::string subject;      // RFC 4514, "CN=dev-1,O=Acme"
    std::vector<std::string> dns_names;
    std::vector<std::string> uris;
    std::vector<std::string> emails;
    std::array<std::uint8_t, 32> sha256{};  // of the whole certificate: its fingerprint
    WallTime not_after;
};

/// What a PROXY header says, told by a peer that is listed as a proxy.
struct ProxyFacts {
    PeerAddress proxy;        // who sent the header
    PeerAddress destination;  // what the client has connected to
    std::string authority;    // the server name that the client asked the proxy for
    std::string unique_id;    // bytes
    bool is_tls = false;      // between client and proxy
    bool has_verified_certificate = false;
    std::string tls_version;
    std::string common_name;  // of that certificate
};

/// Who has opened the other end of a Unix socket, by the kernel's word.
struct LocalPeer {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::int32_t pid = 0;
};

struct PeerFacts {
    TransportKind transport = TransportKind::tcp;
    std::string tls_version;  // "TLSv1.3"; empty: no TLS of ours
    std::string tls_cipher;   // "TLS_AES_256_GCM_SHA384"
    std::string server_name;  // SNI, in lower case; empty: not given
    bool is_resumed = false;  // the TLS session goes on from an earlier one
    std::optional<ClientCertificate> certificate;
    std::optional<ProxyFacts> proxy;
    std::optional<LocalPeer> local;
};

}  // namespace mitu::ports
