#pragma once
// How clients prove who they are. Values as configured, no more.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "mitu/base/time.hpp"
#include "mitu/config/listener.hpp"

namespace mitu::config {

enum class MethodKind : std::uint8_t { registry, password_file, users, jwt, x509, http, scram };

/// Claims that say more than that the token is good. Empty: not read.
struct JwtClaims {
    std::string tenant;
    std::string client_id;
    std::string device_class;
    std::string acl;
};

/// Exactly one source of keys is set.
struct Jwt {
    std::string keys_file;  // PEM public keys
    std::string jwks_file;
    std::string jwks_url;
    std::string jwks_ca_file;
    Duration jwks_stale_max = Duration::seconds(86'400);
    std::string secret;  // of HS256, HS384, HS512
    std::string secret_file;
    std::vector<std::string> algorithms{"ES256", "RS256"};
    std::string issuer;
    std::string audience;
    Duration leeway = Duration::seconds(30);
    Duration refresh = Duration::seconds(300);  // of the JWKS URL, where a reply does not say
    JwtClaims claims;
};

enum class CertificateIdentity : std::uint8_t { common_name, san_dns, san_uri, fingerprint };
enum class CertificateTenant : std::uint8_t { none, organization, organizational_unit, san_uri };

struct X509 {
    CertificateIdentity identity_from = CertificateIdentity::common_name;
    std::string strip_prefix;
    std::string strip_suffix;
    std::string fingerprints_file;
    CertificateTenant tenant_from = CertificateTenant::none;
};

enum class HttpMethod : std::uint8_t { get, post };

/// What a client hears while the backend cannot be asked.
enum class WhenDown : std::uint8_t {
    deny,
    ignore,        // the next method of the chain decides
    allow_cached,  // answers that have expired count while the backend is down
};

struct HttpBackend {
    std::string url;
    HttpMethod method = HttpMethod::post;
    Duration timeout = Duration::seconds(3);
    std::uint16_t pool = 8;  // connections that are kept
    Duration cache_ttl = Duration::seconds(60);
    Duration cache_negative_ttl = Duration::seconds(5);
    std::uint32_t cache_entries_max = 100'000;
    WhenDown when_down = WhenDown::deny;
    std::map<std::string, std::string> headers;
    std::string bearer_token;
    std::string bearer_token_file;
    std::string ca_file;

    bool operator==(const HttpBackend&) const = default;
};

struct Method {
    std::string name;
    MethodKind kind = MethodKind::registry;
    std::string file;  // of password_file, and of scram if not the built-in users
    Jwt jwt;
    X509 x509;
    HttpBackend http;
};

struct Authentication {
    std::vector<Method> methods{Method{"registry", MethodKind::registry, {}, {}, {}, {}}};
    std::vector<std::string> chain;  // names of methods in order; empty: all, as they are listed
    Anonymous allow_anonymous = Anonymous::never;
};

}  // namespace mitu::config
