#pragma once
// The PROXY protocol, versions 1 and 2: how a load balancer says whose connection it passes on.
// Pure.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "mitu/base/bytes.hpp"
#include "mitu/base/result.hpp"
#include "mitu/ports/peer_facts.hpp"

namespace mitu::transport {

enum class ProxyHeaderError : std::uint8_t {
    not_a_header,  // the first bytes begin no PROXY header
    malformed,     // it begins one, and breaks its grammar
    bad_checksum,  // version 2 with a CRC32C that does not fit
    too_long,      // longer than proxy_header_bytes_max
    unsupported,   // version 2: an unknown version, command, address family
};
[[nodiscard]] std::string_view to_text(ProxyHeaderError error) noexcept;

/// Version 1 ends within 107 bytes; version 2 tells its length, which we bound.
inline constexpr std::size_t proxy_header_bytes_max = 4'096;

struct ProxyHeader {
    std::size_t bytes = 0;  // the header's own; what follows belongs to the connection
    /// False: the proxy speaks for itself (LOCAL, a health check) or does not know (UNKNOWN);
    /// the peer is whom the socket says.
    bool names_source = false;
    ports::PeerAddress source;  // none for a Unix socket
    ports::ProxyFacts facts;    // all but `proxy`
};

/// Reads a header from the front of `bytes`, which always begin with the connection's first one.
/// Shape     nullopt: valid so far but incomplete; call again with more bytes after these.
/// Errors    each ends the connection, but for not_a_header where headers are optional.
/// Lifetime  borrows `bytes` until return.
/// Source    The PROXY protocol, HAProxy 2.x, doc/proxy-protocol.txt, sections 2.1 and 2.2.
[[nodiscard]] Result<std::optional<ProxyHeader>, ProxyHeaderError> parse_proxy_header(
    ByteView bytes);

/// CRC-32C (Castagnoli), as in iSCSI (RFC 3720, appendix B.4).
[[nodiscard]] std::uint32_t crc32c(ByteView bytes, std::uint32_t so_far = 0) noexcept;

}  // namespace mitu::transport
