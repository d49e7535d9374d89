#pragma once
// What an operator says of TLS on one listener.

#include <cstdint>
#include <string>
#include <vector>

#include "mitu/base/time.hpp"

namespace mitu::transport {

/// One identity of the server. The file may hold the chain, the server's own certificate first.
struct CertificateFiles {
    std::string certificate_file;           // PEM
    std::string key_file;                   // PEM
    std::vector<std::string> server_names;  // "mqtt.example.org", "*.example.org"; empty: those
                                            // that the certificate names
    // What an encrypted key is decrypted with: as it is, or the first line of a file, which is read
    // with the key each time.
    std::string key_password{};
    std::string key_password_file{};
};

enum class ClientCertificates : std::uint8_t { none, optional, required };
enum class TlsVersion : std::uint8_t { tls1_2, tls1_3 };

struct TlsSettings {
    std::vector<CertificateFiles> certificates;  // the first one serves unknown server names
    bool refuses_unknown_names = false;          // with the alert unrecognized_name instead
    ClientCertificates client_certificates = ClientCertificates::none;
    std::vector<std::string> ca_files;   // PEM; who may sign client certificates
    std::vector<std::string> crl_files;  // PEM; once there is one, each issuer needs one
    int verify_depth = 4;                // CAs between a client's certificate and a listed one
    TlsVersion version_min = TlsVersion::tls1_2;
    std::string cipher_list;    // TLS 1.2, OpenSSL's notation; empty: forward secret AEADs
    std::string cipher_suites;  // TLS 1.3; empty: OpenSSL's own
    // Offered by a client, one of these must match (RFC 7301); offering none is fine.
    std::vector<std::string> alpn{"mqtt", "http/1.1", "x-amzn-mqtt-ca"};
    bool session_tickets = true;
    Duration ticket_time_max = Duration::seconds(86'400);
};

}  // namespace mitu::transport
