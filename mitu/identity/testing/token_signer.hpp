#pragma once
// For tests: an issuer of tokens, with fresh keys of OpenSSL's making.

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <memory>
#include <string>
#include <string_view>

#include "mitu/identity/digest.hpp"
#include "mitu/identity/secret.hpp"

namespace mitu::identity {

class TokenSigner {
public:
    /// `algorithm`: a name of RFC 7518.
    explicit TokenSigner(std::string algorithm) : algorithm_{std::move(algorithm)} {
        EVP_PKEY* key = nullptr;
        if (algorithm_[0] == 'R' || algorithm_[0] == 'P') key = EVP_RSA_gen(2'048);
        if (algorithm_ == "ES256") key = EVP_EC_gen("P-256");
        if (algorithm_ == "ES384") key = EVP_EC_gen("P-384");
        if (algorithm_ == "EdDSA") key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
        key_.reset(key);
    }

    static std::string secret() { return std::string(64, 's'); }

    [[nodiscard]] std::string public_pem() const {
        BIO* bio = BIO_new(BIO_s_mem());
        PEM_write_bio_PUBKEY(bio, key_.get());
        char* data = nullptr;
        const long size = BIO_get_mem_data(bio, &data);
        std::string pem{data, static_cast<std::size_t>(size)};
        BIO_free(bio);
        return pem;
    }

    /// `header`: what stands beside alg, such as `,"kid":"a"`.
    [[nodiscard]] std::string sign(std::string_view claims, std::string_view header = "") const {
        const std::string head = "{\"alg\":\"" + algorithm_ + "\"" + std::string{header} + "}";
        const std::string text = to_base64url(head) + "." + to_base64url(claims);
        return text + "." + to_base64url(signature(text));
    }

private:
    struct Free {
        void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    };

    [[nodiscard]] std::string signature(std::string_view text) const {
        const std::string_view bits = std::string_view{algorithm_}.substr(2);
        if (algorithm_[0] == 'H') {
            const HmacHash hash = bits == "256"   ? HmacHash::sha256
                                  : bits == "384" ? HmacHash::sha384
                                                  : HmacHash::sha512;
            return hmac(hash, secret(), text);
        }
        const EVP_MD* md = bits == "256"   ? EVP_sha256()
                           : bits == "384" ? EVP_sha384()
                                           : EVP_sha512();
        EVP_MD_CTX* context = EVP_MD_CTX_new();
        EVP_PKEY_CTX* options = nullptr;
        EVP_DigestSignInit(context, &options, algorithm_ == "EdDSA" ? nullptr : md, nullptr,
                           key_.get());
        if (algorithm_[0] == 'P') {
            EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
            EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
        }
        const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
        std::size_t size = 0;
        EVP_DigestSign(context, nullptr, &size, bytes, text.size());
        std::string signed_text(size, '\0');
        EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signed_text.data()), &size, bytes,
                       text.size());
        signed_text.resize(size);
        EVP_MD_CTX_free(context);
        if (algorithm_ == "ES256") return from_der(signed_text, 32);
        if (algorithm_ == "ES384") return from_der(signed_text, 48);
        return signed_text;
    }

    static std::string from_der(std::string_view der, int half) {
        const auto* at = reinterpret_cast<const unsigned char*>(der.data());
        ECDSA_SIG* parsed = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
        std::string text(static_cast<std::size_t>(half) * 2, '\0');
        auto* out = reinterpret_cast<unsigned char*>(text.data());
        BN_bn2binpad(ECDSA_SIG_get0_r(parsed), out, half);
        BN_bn2binpad(ECDSA_SIG_get0_s(parsed), out + half, half);
        ECDSA_SIG_free(parsed);
        return text;
    }

    std::string algorithm_;
    std::unique_ptr<EVP_PKEY, Free> key_;
};

}  // namespace mitu::identity
