#pragma once
// A client certificate that TLS has verified, and whom it names.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/identity/identity.hpp"

namespace mitu::identity {

using Fingerprint = std::array<std::uint8_t, 32>;  // SHA-256 of the certificate's DER

/// What the identity rules look at. A field that occurs more than once is a list, in the order of
/// the certificate. Text is as TLS gives it: not yet known to be UTF-8.
struct CertificateFacts {
    std::vector<std::string> common_names;
    std::vector<std::string> organizations;
    std::vector<std::string> organizational_units;
    std::vector<std::string> san_dns;
    std::vector<std::string> san_uri;
    std::vector<std::string> san_email;
    Fingerprint fingerprint{};
};

/// 64 hexadecimal digits, in lower case.
[[nodiscard]] std::string format_fingerprint(const Fingerprint& fingerprint);
/// As format_fingerprint() or openssl x509 -fingerprint writes it: either case, colons or none.
[[nodiscard]] std::optional<Fingerprint> parse_fingerprint(std::string_view text) noexcept;

enum class CertificateField : std::uint8_t { cn, san_dns, san_uri, san_email, fingerprint };
[[nodiscard]] std::optional<CertificateField> parse_certificate_field(
    std::string_view name) noexcept;

enum class CertificateTenant : std::uint8_t {
    none,                 // the certificate does not say
    organization,         // O
    organizational_unit,  // OU
    name,                 // the `{tenant}` of the pattern
};

struct CertificateRules {
    CertificateField from = CertificateField::cn;
    /// How the field is to look: literal text around `{id}`, and perhaps `{tenant}` before or
    /// behind it: `spiffe://{tenant}/device/{id}`. A placeholder stands for one or more characters
    /// without `/`, and without the character that follows it in the pattern. Empty: `{id}`, which
    /// then stands for the whole field, `/` too. A value that does not fit is passed over.
    std::string pattern;
    CertificateTenant tenant = CertificateTenant::none;
    /// Only these certificates; empty: all that TLS has verified.
    std::vector<Fingerprint> allowed;
    /// Whose a certificate is, where its fingerprint is the identity; not named: the fingerprint.
    std::map<Fingerprint, std::string> names{};
    /// The id is also the only client id that the certificate may use.
    bool id_is_client_id = false;
};

enum class CertificateError : std::uint8_t {
    not_listed,  // its fingerprint is not in `allowed`
    no_name,     // the field is not there, or no value of it fits the pattern
    ambiguous,   // several different values fit: which one is it?
    no_tenant,   // the tenant is configured, and is not there exactly once
};

struct CertificateRefusal {
    CertificateError kind = CertificateError::no_name;
    std::string text;  // for the log
};

/// The identity: user (and client id, tenant) as the rules say. Names are 1..1,024 bytes of UTF-8
/// without control characters; others are passed over.
[[nodiscard]] Result<Identity, CertificateRefusal> identify_certificate(
    const CertificateFacts& facts, const CertificateRules& rules);

/// What is wrong with `rules`, for people; empty: nothing.
[[nodiscard]] std::string check_certificate_rules(const CertificateRules& rules);

}  // namespace mitu::identity
