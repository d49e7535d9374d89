#pragma once
// The keys that session tickets are sealed with: the server remembers nothing of a session.

#include <array>
#include <cstdint>

#include "mitu/base/mutex.hpp"
#include "mitu/base/time.hpp"
#include "mitu/transport/openssl_ptr.hpp"

namespace mitu::transport {

/// A current key and the one before, shared by all shards and contexts of one TlsStore. They live
/// in memory only: a restart ends all sessions.
/// Threading  any thread; the lock is held for a copy of 80 bytes.
class TicketKeys {
public:
    TicketKeys();
    ~TicketKeys();
    TicketKeys(const TicketKeys&) = delete;
    TicketKeys& operator=(const TicketKeys&) = delete;

    /// Tickets of the current key stay good until the next call; older ones end.
    void rotate();
    /// Every ticket given out so far ends: what stood in them may not be trusted any more (a CRL
    /// has changed, and a resumed session shows no certificate that could be checked).
    void forget_all();

    /// Lets `context` seal and open tickets with these keys. They outlive its handshakes.
    void serve(SSL_CTX* context);

private:
    struct Key {
        std::array<std::uint8_t, 16> name{};
        std::array<std::uint8_t, 32> cipher{};
        std::array<std::uint8_t, 32> mac{};
    };
    static Key make_key();
    static int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                         EVP_MAC_CTX* mac, int seals) noexcept;

    Mutex mutex_;
    Key current_ MITU_GUARDED_BY(mutex_);
    Key previous_ MITU_GUARDED_BY(mutex_);
};

}  // namespace mitu::transport
