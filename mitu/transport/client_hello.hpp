#pragma once
// A look at a ClientHello before anything is spent on it: is it one, is it whole, and which server
// does it ask for? Pure. OpenSSL reads it again, properly, when its turn comes.

#include <cstddef>
#include <optional>
#include <string>

#include "mitu/base/bytes.hpp"
#include "mitu/base/result.hpp"

namespace mitu::transport {

/// A ClientHello with large key shares has about 2 KiB; ours to bound.
inline constexpr std::size_t client_hello_bytes_max = 16'384;

struct NotTls {};

/// Reads the front of a connection, which may be several records.
/// Shape     nullopt: incomplete. Else the server name as sent; empty: none, or not readable.
/// Errors    NotTls: this is no ClientHello, or none of an acceptable size.
/// Lifetime  borrows `bytes` until return.
/// Source    RFC 8446, 4.1.2 and 5.1; RFC 6066, 3.
[[nodiscard]] Result<std::optional<std::string>, NotTls> peek_server_name(ByteView bytes);

}  // namespace mitu::transport
