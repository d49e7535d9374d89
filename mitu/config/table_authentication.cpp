// The keys of authentication.
#include "mitu/config/authentication.hpp"
#include "mitu/config/key_make.hpp"
#include "mitu/config/table.hpp"

namespace mitu::config {

template <>
const Shape& shape_of<JwtClaims>() {
    static const JwtClaims defaults;
    static const Shape shape{
        {},
        {
            key("tenant", &JwtClaims::tenant, "Claim that names the tenant.")
                .if_none("not read")
                .live(),
            key("client_id", &JwtClaims::client_id, "Claim that must be the client id.")
                .if_none("not read")
                .live(),
            key("class", &JwtClaims::device_class, "Claim that names the device class.")
                .if_none("not read")
                .live(),
            key("acl", &JwtClaims::acl, "Claim with filters: {\"pub\": [...], \"sub\": [...]}.")
                .if_none("not read")
                .live(),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<Jwt>() {
    static const Jwt defaults;
    static const Shape shape{
        {},
        {
            key("keys_file", &Jwt::keys_file, "PEM public keys; read anew with each reload.")
                .file()
                .live(),
            key("jwks_file", &Jwt::jwks_file, "A JSON Web Key Set; read anew with each reload.")
                .file()
                .live(),
            key("jwks_url", &Jwt::jwks_url, "Where a JSON Web Key Set is fetched.")
                .each(url_rule)
                .live(),
            key("jwks_ca_file", &Jwt::jwks_ca_file,
                "PEM file of the authorities that the JWKS URL's certificate is checked against.")
                .if_none("the system's")
                .file()
                .live(),
            key("jwks_stale_max", &Jwt::jwks_stale_max,
                "How long the last good keys count while the JWKS URL cannot be reached; then "
                "tokens are refused.")
                .range(60'000, 2'592'000'000)
                .live(),
            key("secret", &Jwt::secret, "The shared secret of HS256, HS384 and HS512.")
                .secret()
                .live(),
            key("secret_file", &Jwt::secret_file,
                "A file with that secret; its last line end is not part of it.")
                .file()
                .live(),
            key("algorithms", &Jwt::algorithms,
                "Algorithms that are accepted, whatever the token says.")
                .each(algorithm_rule)
                .live(),
            key("issuer", &Jwt::issuer, "What `iss` must be.").if_none("not checked").live(),
            key("audience", &Jwt::audience, "What `aud` must contain.")
                .if_none("not checked")
                .live(),
            key("leeway", &Jwt::leeway, "Clocks may differ by this much.").range(0, 600'000).live(),
            key("refresh", &Jwt::refresh,
                "How often the JWKS URL is asked, where its reply has no Cache-Control max-age "
                "(which "
                "counts within 5s and 24h).")

                .range(10'000, 86'400'000)
                .live(),
            key("claims", &Jwt::claims, "Claims that say more than that the token is good.").live(),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<X509>() {
    static const X509 defaults;
    static const Shape shape{
        {},
        {
            key("identity_from", &X509::identity_from,
                "The part of the certificate that is the device id.")
                .live(),
            key("strip_prefix", &X509::strip_prefix,
                "What stands before the id and is no part of it; a name without it is nobody's. "
                "With `tenant_from: san_uri` it has `{tenant}` in it: `urn:{tenant}:`.")
                .live(),
            key("strip_suffix", &X509::strip_suffix, "What stands behind the id, in the same way.")
                .live(),
            key("fingerprints_file", &X509::fingerprints_file,
                "SHA-256 fingerprints that may come in, one a line, each followed by the device it "
                "belongs to (none: the fingerprint is its name); for `identity_from: fingerprint`.")
                .file()
                .live(),
            key("tenant_from", &X509::tenant_from,
                "The part of the certificate that names the tenant.")
                .live(),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<HttpBackend>() {
    static const HttpBackend defaults;
    static const Shape shape{
        {},
        {
            key("url", &HttpBackend::url, "Who is asked.").each(url_rule).live(),
            key("method", &HttpBackend::method,
                "`post` sends JSON in the body, `get` the same in the query, where passwords end "
                "up in "
                "logs; logins of more than 4096 bytes are refused then.")
                .live(),
            key("timeout", &HttpBackend::timeout, "From the question to the whole answer.")
                .range(10, 60'000)
                .live(),
            key("pool", &HttpBackend::pool, "Connections that are kept open.")
                .range(1, 256)
                .unit_of("connections")
                .live(),
            key("cache_ttl", &HttpBackend::cache_ttl,
                "How long a yes is remembered; 0s: not at all.")
                .range(0, 86'400'000)
                .live(),
            key("cache_negative_ttl", &HttpBackend::cache_negative_ttl,
                "How long a no is remembered; 0s: not at all.")
                .range(0, 3'600'000)
                .live(),
            key("cache_entries_max", &HttpBackend::cache_entries_max, "Answers remembered.")
                .range(0, 10'000'000)
                .live(),
            key("when_down", &HttpBackend::when_down,
                "While the backend does not answer: `deny`, `ignore` (the next method decides) or "
                "`allow_cached` (a yes counts beyond its time).")
                .live(),
            key("headers", &HttpBackend::headers, "Sent with each question.").secret().live(),
            key("bearer_token", &HttpBackend::bearer_token, "Sent as `Authorization: Bearer`.")
                .secret()
                .live(),
            key("bearer_token_file", &HttpBackend::bearer_token_file,
                "A file with that token; its last line end is not part of it.")
                .file()
                .live(),
            key("ca_file", &HttpBackend::ca_file,
                "PEM file of the authorities that the backend's certificate is checked against.")
                .if_none("the system's")
                .file()
                .live(),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<Method>() {
    static const Method defaults;
    static const Shape shape{
        "name",
        {
            key("name", &Method::name, "What chains, metrics and logs call it.")
                .each(name_rule)
                .required()
                .live(),
            key("kind", &Method::kind,
                "`registry`: devices of `registry.file`; `password_file`: `mitu passwd`'s or "
                "mosquitto_passwd's; `users`: the built-in user database; `jwt`; `x509`: the "
                "client "
                "certificate; `http`: a backend of yours; `scram`: SCRAM-SHA-256.")
                .required()
                .live(),
            key("file", &Method::file,
                "The password file; of `scram`, a file of SCRAM credentials (none: those of the "
                "built-in users).")
                .file()
                .live(),
            key("jwt", &Method::jwt, "For `kind: jwt`.").live(),
            key("x509", &Method::x509, "For `kind: x509`.").live(),
            key("http", &Method::http, "For `kind: http`.").live(),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<Authentication>() {
    static const Authentication defaults;
    static const Shape shape{
        {},
        {
            key("methods", &Authentication::methods, "What can be asked who a client is.").live(),
            key("chain", &Authentication::chain,
                "Names of methods, in the order in which they are asked; the first that knows the "
                "client decides.")
                .each(name_rule)
                .if_none("all methods, as they are listed")
                .live(),
            key("allow_anonymous", &Authentication::allow_anonymous,
                "Whether clients without a credential may enter: `never`, from `loopback` "
                "(127.0.0.0/8, ::1, Unix sockets), or `always`.")
                .live(),
        },
        &defaults};
    return shape;
}

}  // namespace mitu::config
