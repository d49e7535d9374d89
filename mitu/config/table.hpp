#pragma once
// The words of the enums that the table uses, and its sections. Inside the table files only;
// key.hpp has the table.

#include <string_view>

#include "mitu/config/config.hpp"
#include "mitu/config/key_make.hpp"

namespace mitu::config {

template <>
struct Words<Protocol> {
    static constexpr std::string_view list[]{"mqtt", "websocket"};
};
template <>
struct Words<Anonymous> {
    static constexpr std::string_view list[]{"never", "loopback", "always"};
};
template <>
struct Words<TlsVersion> {
    static constexpr std::string_view list[]{"1.2", "1.3"};
};
template <>
struct Words<ClientCertificates> {
    static constexpr std::string_view list[]{"none", "optional", "required"};
};
template <>
struct Words<MethodKind> {
    static constexpr std::string_view list[]{"registry", "password_file", "users", "jwt",
                                             "x509",     "http",          "scram"};
};
template <>
struct Words<CertificateIdentity> {
    static constexpr std::string_view list[]{"common_name", "san_dns", "san_uri", "fingerprint"};
};
template <>
struct Words<CertificateTenant> {
    static constexpr std::string_view list[]{"none", "organization", "organizational_unit",
                                             "san_uri"};
};
template <>
struct Words<HttpMethod> {
    static constexpr std::string_view list[]{"get", "post"};
};
template <>
struct Words<WhenDown> {
    static constexpr std::string_view list[]{"deny", "ignore", "allow_cached"};
};
template <>
struct Words<Io> {
    static constexpr std::string_view list[]{"epoll", "io_uring", "auto"};
};
template <>
struct Words<Pin> {
    static constexpr std::string_view list[]{"never", "by_node", "always"};
};
template <>
struct Words<Durability> {
    static constexpr std::string_view list[]{"none", "async", "sync"};
};
template <>
struct Words<LogLevel> {
    static constexpr std::string_view list[]{"debug", "info", "warn", "error", "off"};
};
template <>
struct Words<LogFormat> {
    static constexpr std::string_view list[]{"text", "json"};
};
template <>
struct Words<AccessDefault> {
    static constexpr std::string_view list[]{"deny", "policy"};
};

// Each is defined beside its section's keys.
template <>
const Shape& shape_of<Access>();
template <>
const Shape& shape_of<Api>();
template <>
const Shape& shape_of<ApiTls>();
template <>
const Shape& shape_of<Authentication>();
template <>
const Shape& shape_of<Ban>();
template <>
const Shape& shape_of<Certificate>();
template <>
const Shape& shape_of<ClientLimits>();
template <>
const Shape& shape_of<Config>();
template <>
const Shape& shape_of<Flapping>();
template <>
const Shape& shape_of<SessionFaults>();
template <>
const Shape& shape_of<HttpBackend>();
template <>
const Shape& shape_of<Jwt>();
template <>
const Shape& shape_of<JwtClaims>();
template <>
const Shape& shape_of<Limits>();
template <>
const Shape& shape_of<Listener>();
template <>
const Shape& shape_of<ListenerLimits>();
template <>
const Shape& shape_of<Log>();
template <>
const Shape& shape_of<Memory>();
template <>
const Shape& shape_of<Method>();
template <>
const Shape& shape_of<Metrics>();
template <>
const Shape& shape_of<Node>();
template <>
const Shape& shape_of<Policies>();
template <>
const Shape& shape_of<ProxyProtocol>();
template <>
const Shape& shape_of<Registry>();
template <>
const Shape& shape_of<Store>();
template <>
const Shape& shape_of<SysTopics>();
template <>
const Shape& shape_of<Tenant>();
template <>
const Shape& shape_of<TenantLimits>();
template <>
const Shape& shape_of<Tls>();
template <>
const Shape& shape_of<UnixSocket>();
template <>
const Shape& shape_of<User>();
template <>
const Shape& shape_of<WebSocket>();
template <>
const Shape& shape_of<X509>();

}  // namespace mitu::config
