#pragma once
// One snapshot of what TLS needs for handshakes. Internal: includes OpenSSL.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/transport/openssl_ptr.hpp"
#include "mitu/transport/ticket_keys.hpp"
#include "mitu/transport/tls_settings.hpp"
#include "mitu/transport/tls_store.hpp"

namespace mitu::transport {

/// Owns one SSL_CTX per certificate.
/// Threading  immutable.
class TlsContexts {
public:
    /// Errors  one sentence: file, cause, remedy.
    [[nodiscard]] static Result<std::shared_ptr<const TlsContexts>, std::string> load(
        const TlsSettings& settings, std::shared_ptr<TicketKeys> tickets, WallTime now);

    /// A server's end. Lifetime  the snapshot outlives its handshake.
    [[nodiscard]] SslPtr make_ssl() const {
        return SslPtr{SSL_new(entries_.front().context.get())};
    }
    /// By the exact name, then by the wildcard above it. nullopt: nobody's.
    [[nodiscard]] std::optional<std::uint32_t> find(std::string_view server_name) const;
    [[nodiscard]] const std::vector<CertificateStatus>& certificates() const noexcept {
        return status_;
    }
    [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }

private:
    struct Entry {
        SslCtxPtr context;
    };
    class Loader;

    TlsContexts() = default;
    static int on_server_name(SSL* ssl, int* alert, void* self) noexcept;
    static int on_alpn(SSL* ssl, const unsigned char** chosen, unsigned char* chosen_size,
                       const unsigned char* offered, unsigned offered_size, void* self) noexcept;

    std::shared_ptr<TicketKeys> tickets_;
    std::vector<Entry> entries_;
    std::unordered_map<std::string, std::uint32_t> by_name_;
    std::vector<CertificateStatus> status_;
    std::vector<std::string> warnings_;
    std::string alpn_;  // as on the wire: lengths and names
    bool refuses_unknown_names_ = false;
};

}  // namespace mitu::transport
