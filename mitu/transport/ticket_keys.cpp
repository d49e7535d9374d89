#include "mitu/transport/ticket_keys.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <cstring>

#include "mitu/base/check.hpp"

namespace mitu::transport {
namespace {

int keys_index() {
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

}  // namespace

TicketKeys::Key TicketKeys::make_key() {
    Key key;
    const auto fill = [](auto& bytes) {
        return RAND_priv_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1;
    };
    MITU_CHECK_MSG(fill(key.name) && fill(key.cipher) && fill(key.mac), "no randomness to be had");
    return key;
}

TicketKeys::TicketKeys() : current_{make_key()}, previous_{make_key()} {}

TicketKeys::~TicketKeys() {
    OPENSSL_cleanse(&current_, sizeof current_);
    OPENSSL_cleanse(&previous_, sizeof previous_);
}

void TicketKeys::rotate() {
    const MutexLock lock{mutex_};
    previous_ = current_;
    current_ = make_key();
}

void TicketKeys::forget_all() {
    const MutexLock lock{mutex_};
    previous_ = make_key();
    current_ = make_key();
}

void TicketKeys::serve(SSL_CTX* context) {
    SSL_CTX_set_ex_data(context, keys_index(), this);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &TicketKeys::on_ticket);
}

// Source  the manual page SSL_CTX_set_tlsext_ticket_key_evp_cb(3). Results: 1 go on, 2 go on and
// give a fresh ticket, 0 unknown (full handshake), -1 end the handshake.
int TicketKeys::on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                          EVP_MAC_CTX* mac, int seals) noexcept {
    auto* const self =
        static_cast<TicketKeys*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), keys_index()));
    if (self == nullptr) return -1;
    Key key;
    bool is_current = true;
    {
        const MutexLock lock{self->mutex_};
        key = self->current_;
        if (seals == 0 && std::memcmp(name, key.name.data(), key.name.size()) != 0) {
            key = self->previous_;
            is_current = false;
        }
    }
    if (seals != 0) {
        std::memcpy(name, key.name.data(), key.name.size());
        if (RAND_bytes(iv, 16) != 1) return -1;
    } else if (std::memcmp(name, key.name.data(), key.name.size()) != 0) {
        OPENSSL_cleanse(&key, sizeof key);
        return 0;
    }
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    const bool set =
        EVP_MAC_CTX_set_params(mac, parameters) == 1 &&
        EVP_CipherInit_ex2(cipher, EVP_aes_256_cbc(), key.cipher.data(), iv, seals, nullptr) == 1;
    OPENSSL_cleanse(&key, sizeof key);
    if (!set) return -1;
    return is_current ? 1 : 2;
}

}  // namespace mitu::transport
