#pragma once
// Where clients come in: addresses, TLS, WebSocket, PROXY protocol. Values as configured, no more.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mitu/base/time.hpp"

namespace mitu::config {

enum class Protocol : std::uint8_t { mqtt, websocket };

/// Who may enter without a credential.
enum class Anonymous : std::uint8_t {
    never,
    loopback,  // peers on 127.0.0.0/8, ::1 and Unix sockets
    always,
};

enum class TlsVersion : std::uint8_t { v1_2, v1_3 };

enum class ClientCertificates : std::uint8_t {
    none,
    optional,  // checked if there is one
    required,
};

struct Certificate {
    std::vector<std::string> names;  // of SNI, "*.example.com" too; empty: for any other name
    std::string certificate;         // PEM, the chain after it
    std::string key;
    std::string key_password;
    std::string key_password_file;
};

struct Tls {
    std::vector<Certificate> certificates;
    TlsVersion minimum_version = TlsVersion::v1_2;
    std::string ciphers;        // of TLS 1.2, OpenSSL's notation; empty: OpenSSL's
    std::string cipher_suites;  // of TLS 1.3
    ClientCertificates client_certificates = ClientCertificates::none;
    std::string ca_file;
    std::vector<std::string> crl_files;
    std::uint8_t verify_depth = 5;
    bool session_tickets = true;
    Duration handshake_timeout = Duration::seconds(10);
};

struct WebSocket {
    std::string path = "/mqtt";
    std::vector<std::string> sub_protocols{"mqtt"};
    std::vector<std::string> origins;  // empty: any
    std::uint64_t frame_bytes_max = 1 << 20;
};

struct ProxyProtocol {
    std::vector<std::string> from;  // networks whose header is believed
    bool required = true;
};

struct UnixSocket {
    std::string owner;
    std::string group;
    std::string mode = "0660";
};

struct ListenerLimits {
    std::optional<std::uint32_t> connections_max;
    std::optional<std::uint32_t> connect_rate_per_s;
    std::uint32_t connect_burst = 1'000;
    std::uint32_t handshakes_max = 4'096;
    std::optional<std::uint32_t> messages_per_s;
    std::optional<std::uint64_t> bytes_per_s;
    std::optional<std::uint32_t> packet_bytes_max;
};

struct Listener {
    std::string name;
    std::string bind;
    Protocol protocol = Protocol::mqtt;
    bool enabled = true;
    std::string tenant;                        // empty: as the credential says
    std::vector<std::string> authentication;   // names of methods; empty: authentication.chain
    std::optional<Anonymous> allow_anonymous;  // none: authentication.allow_anonymous
    std::map<std::string, std::string> tenants_by_sni;  // server name -> tenant
    std::optional<Tls> tls;
    WebSocket websocket;
    std::optional<ProxyProtocol> proxy_protocol;
    UnixSocket unix_socket;
    ListenerLimits limits;
};

}  // namespace mitu::config
