#pragma once
// What stands in a certificate, as text that is safe to show and compare. Internal: OpenSSL.

#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/time.hpp"
#include "mitu/ports/peer_facts.hpp"
#include "mitu/transport/openssl_ptr.hpp"

namespace mitu::transport {

/// What cannot be written as clean UTF-8 (control characters, a zero byte in the middle) is left
/// out, as if it did not stand there: "bank.example\0.evil.example" must match nothing.
[[nodiscard]] ports::ClientCertificate read_certificate(X509* certificate);
[[nodiscard]] std::vector<std::string> dns_names(X509* certificate);
[[nodiscard]] std::string common_name(X509* certificate);
[[nodiscard]] std::string subject_text(const X509_NAME* name);
/// ASCII letters only, as host names compare.
[[nodiscard]] std::string lower_case(std::string_view text);
[[nodiscard]] WallTime to_wall(const ASN1_TIME* time);

}  // namespace mitu::transport
