// The keys of listeners[].
#include "mitu/config/key_make.hpp"
#include "mitu/config/listener.hpp"
#include "mitu/config/table.hpp"

namespace mitu::config {

template <>
const Shape& shape_of<Certificate>() {
    static const Certificate defaults;
    static const Shape shape{
        {},
        {
            key("names", &Certificate::names,
                "Server names (SNI) that get this certificate, `*.example.com` too; none: every "
                "name that no other certificate has.")
                .each(server_name_rule),
            key("certificate", &Certificate::certificate,
                "PEM file: the certificate, then its chain. Read anew when it changes.")
                .each(filled_rule)
                .required()
                .file(),
            key("key", &Certificate::key, "PEM file of the private key.")
                .each(filled_rule)
                .required()
                .file(),
            key("key_password", &Certificate::key_password,
                "What the private key is encrypted with.")
                .secret(),
            key("key_password_file", &Certificate::key_password_file,
                "A file whose first line is that password; read with the key.")
                .file(),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<Tls>() {
    static const Tls defaults;
    static const Shape shape{
        {},
        {
            key("certificates", &Tls::certificates,
                "One or more; a client gets the one whose name it asks for (SNI), or the first.")
                .required(),
            key("minimum_version", &Tls::minimum_version, "The oldest TLS version that is spoken."),
            key("ciphers", &Tls::ciphers, "Ciphers of TLS 1.2, in OpenSSL's notation.")
                .if_none("OpenSSL's choice"),
            key("cipher_suites", &Tls::cipher_suites,
                "Cipher suites of TLS 1.3, in OpenSSL's notation.")
                .if_none("OpenSSL's choice"),
            key("client_certificates", &Tls::client_certificates,
                "Whether clients show a certificate: `none` asks for none, `optional` checks what "
                "comes, `required` refuses those without."),
            key("ca_file", &Tls::ca_file,
                "PEM file of the authorities that sign client certificates.")
                .file(),
            key("crl_files", &Tls::crl_files, "PEM files of revoked client certificates.")
                .each(filled_rule)
                .file(),
            key("verify_depth", &Tls::verify_depth,
                "Longest chain between a client certificate and its authority.")
                .range(1, 20)
                .unit_of("certificates"),
            key("session_tickets", &Tls::session_tickets,
                "Let clients resume a session, which saves most of a handshake."),
            key("handshake_timeout", &Tls::handshake_timeout,
                "From the first byte to a finished handshake.")
                .range(100, 120'000),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<WebSocket>() {
    static const WebSocket defaults;
    static const Shape shape{
        {},
        {
            key("path", &WebSocket::path, "The path that is answered; others get 404.")
                .each(url_path_rule),
            key("sub_protocols", &WebSocket::sub_protocols,
                "Sub-protocols that are spoken; a client offers one of them.")
                .each(filled_rule),
            key("origins", &WebSocket::origins,
                "Values of `Origin` that may come in, such as `https://app.example.com`; none: "
                "any. Clients that are no browsers send none, and may come in.")
                .each(url_rule),
            key("frame_bytes_max", &WebSocket::frame_bytes_max, "Largest frame from a client.")
                .as_size()
                .range(1'024, 268'435'460),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<ProxyProtocol>() {
    static const ProxyProtocol defaults;
    static const Shape shape{
        {},
        {
            key("from", &ProxyProtocol::from,
                "Networks of the load balancers whose PROXY header (v1, v2) is believed.")
                .each(network_rule)
                .required(),
            key("required", &ProxyProtocol::required,
                "Refuse connections from those networks that begin without a header."),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<UnixSocket>() {
    static const UnixSocket defaults;
    static const Shape shape{
        {},
        {
            key("owner", &UnixSocket::owner, "User that the socket belongs to.")
                .if_none("the server's"),
            key("group", &UnixSocket::group, "Group that the socket belongs to.")
                .if_none("the server's"),
            key("mode", &UnixSocket::mode, "Permissions of the socket, octal and in quotes.")
                .each(mode_rule),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<ListenerLimits>() {
    static const ListenerLimits defaults;
    static const Shape shape{
        {},
        {
            key("connections_max", &ListenerLimits::connections_max,
                "Connections at the same time; more are refused (0x97).")
                .range(1, 100'000'000)
                .if_none("no limit of its own"),
            key("connect_rate_per_s", &ListenerLimits::connect_rate_per_s,
                "Connections accepted per second; more are refused: before TLS or WebSocket, else "
                "at CONNECT (0x9F).")
                .range(1, 1'000'000)
                .if_none("no limit of its own"),
            key("connect_burst", &ListenerLimits::connect_burst,
                "Connections accepted at once before the rate counts.")
                .range(1, 1'000'000),
            key("handshakes_max", &ListenerLimits::handshakes_max,
                "Connections that are not yet admitted: in their handshake or before their "
                "CONNECT.")
                .range(1, 1'000'000),
            key("messages_per_s", &ListenerLimits::messages_per_s,
                "Publishes per second of all its clients; beyond it they are read more slowly, "
                "each "
                "in its turn.")
                .range(1, 10'000'000)
                .if_none("no limit of its own"),
            key("bytes_per_s", &ListenerLimits::bytes_per_s,
                "Bytes per second from all its clients; beyond it they are read more slowly.")
                .as_size()
                .range(1'024, std::uint64_t{1} << 40)
                .if_none("no limit of its own"),
            key("packet_bytes_max", &ListenerLimits::packet_bytes_max,
                "Largest packet of a client.")
                .as_size()
                .range(1'024, 268'435'460)
                .if_none("`limits.packet_bytes_max`"),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<Listener>() {
    static const Listener defaults;
    static const Shape shape{
        "name",
        {
            key("name", &Listener::name, "What metrics, logs and the API call it.")
                .each(name_rule)
                .required(),
            key("bind", &Listener::bind,
                "Where it listens: `127.0.0.1:1883`, `[::1]:8883`, `*:1883` (every interface, IPv4 "
                "and IPv6) or `unix:/run/mitu/mqtt.sock`; port 0 is any that is free.")
                .each(bind_rule)
                .required(),
            key("protocol", &Listener::protocol, "MQTT alone, or inside WebSocket."),
            key("enabled", &Listener::enabled, "Off: nobody comes in; who is in stays.")
                .managed()
                .live(),
            key("tenant", &Listener::tenant, "All clients of this listener are this tenant's.")
                .if_none("as credential, SNI or user name say"),
            key("authentication", &Listener::authentication,
                "Names of methods that are asked, in this order.")
                .each(name_rule)
                .if_none("`authentication.chain`"),
            key("allow_anonymous", &Listener::allow_anonymous,
                "Whether clients without a credential may enter, as tenant `default` or the "
                "listener's.")
                .if_none("`authentication.allow_anonymous`"),
            key("tenants_by_sni", &Listener::tenants_by_sni,
                "Server name (SNI) to tenant: `mqtt.acme.example: acme`.")
                .each(name_rule),
            key("tls", &Listener::tls, "Speak TLS.").if_none("no TLS"),
            key("websocket", &Listener::websocket, "For `protocol: websocket`."),
            key("proxy_protocol", &Listener::proxy_protocol,
                "Believe the PROXY header of load balancers.")
                .if_none("not read"),
            key("unix", &Listener::unix_socket, "For `bind: unix:/PATH`."),
            key("limits", &Listener::limits, "Of this listener."),
        },
        &defaults};
    return shape;
}

}  // namespace mitu::config
