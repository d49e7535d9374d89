#include "mitu/identity/jose_key.hpp"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <array>
#include <utility>

#include "mitu/identity/digest.hpp"

namespace mitu::identity {
namespace {

template <auto Free>
struct Freed {
    template <class T>
    void operator()(T* value) const noexcept {
        Free(value);
    }
};
using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>>;
using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;

constexpr int rsa_bits_min = 2'048;
constexpr int rsa_bits_max = 16'384;

/// What OpenSSL noted about a peer's bytes must not be found by whoever asks next on this thread.
struct ErrorQueue {
    ErrorQueue() noexcept { ERR_clear_error(); }
    ErrorQueue(const ErrorQueue&) = delete;
    ErrorQueue& operator=(const ErrorQueue&) = delete;
    ~ErrorQueue() { ERR_clear_error(); }
};

Number to_number(std::string_view bytes) {
    return Number{BN_bin2bn(unsigned_bytes(bytes), static_cast<int>(bytes.size()), nullptr)};
}

/// A public key of that kind from its parameters, checked.
PublicKey from_params(const char* kind, OSSL_PARAM_BLD* builder) {
    const Params params{OSSL_PARAM_BLD_to_param(builder)};
    const KeyContext context{EVP_PKEY_CTX_new_from_name(nullptr, kind, nullptr)};
    if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1) return nullptr;
    EVP_PKEY* made = nullptr;
    if (EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
        return nullptr;
    }
    PublicKey key{made};
    const KeyContext check{EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr)};
    if (!check || EVP_PKEY_public_check_quick(check.get()) != 1) return nullptr;
    return key;
}

bool is_bearable_rsa(const EVP_PKEY* key) noexcept {
    const int bits = EVP_PKEY_get_bits(key);
    return bits >= rsa_bits_min && bits <= rsa_bits_max;
}

std::size_t coordinate_bytes(KeyFamily family) noexcept {
    return family == KeyFamily::p256 ? 32 : 48;
}

/// JOSE writes r and s side by side; OpenSSL reads them as DER.
std::string to_der(std::string_view signature) {
    const std::size_t half = signature.size() / 2;
    const EcdsaSignature parsed{ECDSA_SIG_new()};
    Number r = to_number(signature.substr(0, half));
    Number s = to_number(signature.substr(half));
    if (!parsed || !r || !s || ECDSA_SIG_set0(parsed.get(), r.get(), s.get()) != 1) return {};
    (void)r.release();
    (void)s.release();
    unsigned char* der = nullptr;
    const int size = i2d_ECDSA_SIG(parsed.get(), &der);
    if (size <= 0) return {};
    std::string text{reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)};
    OPENSSL_free(der);
    return text;
}

const EVP_MD* hash_of(JwsAlgorithm algorithm) noexcept {
    switch (algorithm) {
        case JwsAlgorithm::hs256:
        case JwsAlgorithm::rs256:
        case JwsAlgorithm::ps256:
        case JwsAlgorithm::es256:
            return EVP_sha256();
        case JwsAlgorithm::hs384:
        case JwsAlgorithm::rs384:
        case JwsAlgorithm::ps384:
        case JwsAlgorithm::es384:
            return EVP_sha384();
        case JwsAlgorithm::hs512:
        case JwsAlgorithm::rs512:
        case JwsAlgorithm::ps512:
            return EVP_sha512();
        case JwsAlgorithm::eddsa:
            break;  // hashes by itself
    }
    return nullptr;
}

bool is_pss(JwsAlgorithm algorithm) noexcept {
    return algorithm == JwsAlgorithm::ps256 || algorithm == JwsAlgorithm::ps384 ||
           algorithm == JwsAlgorithm::ps512;
}

bool verify_hmac(const JoseKey& key, JwsAlgorithm algorithm, std::string_view signed_bytes,
                 std::string_view signature) {
    if (key.secret.view().size() < secret_bytes_min(algorithm)) return false;
    const HmacHash hash = algorithm == JwsAlgorithm::hs256   ? HmacHash::sha256
                          : algorithm == JwsAlgorithm::hs384 ? HmacHash::sha384
                                                             : HmacHash::sha512;
    return equal_in_constant_time(hmac(hash, key.secret.view(), signed_bytes), signature);
}

std::optional<KeyFamily> family_of_key(const EVP_PKEY* key) {
    if (EVP_PKEY_is_a(key, "RSA") == 1) return KeyFamily::rsa;
    if (EVP_PKEY_is_a(key, "ED25519") == 1) return KeyFamily::ed25519;
    if (EVP_PKEY_is_a(key, "EC") != 1) return std::nullopt;
    std::array<char, 64> group{};
    std::size_t size = 0;
    if (EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) != 1) return std::nullopt;
    const std::string_view name{group.data(), size};
    if (name == "prime256v1" || name == "P-256") return KeyFamily::p256;
    if (name == "secp384r1" || name == "P-384") return KeyFamily::p384;
    return std::nullopt;
}

/// Never asks a terminal for a pass phrase.
int no_pass_phrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) { return -1; }

}  // namespace

void PublicKeyFree::operator()(evp_pkey_st* key) const noexcept { EVP_PKEY_free(key); }

std::optional<JwsAlgorithm> parse_jws_algorithm(std::string_view name) noexcept {
    constexpr std::pair<std::string_view, JwsAlgorithm> names[] = {
        {"HS256", JwsAlgorithm::hs256}, {"HS384", JwsAlgorithm::hs384},
        {"HS512", JwsAlgorithm::hs512}, {"RS256", JwsAlgorithm::rs256},
        {"RS384", JwsAlgorithm::rs384}, {"RS512", JwsAlgorithm::rs512},
        {"PS256", JwsAlgorithm::ps256}, {"PS384", JwsAlgorithm::ps384},
        {"PS512", JwsAlgorithm::ps512}, {"ES256", JwsAlgorithm::es256},
        {"ES384", JwsAlgorithm::es384}, {"EdDSA", JwsAlgorithm::eddsa},
    };
    for (const auto& [known, algorithm] : names) {
        if (known == name) return algorithm;
    }
    return std::nullopt;
}

KeyFamily family_of(JwsAlgorithm algorithm) noexcept {
    switch (algorithm) {
        case JwsAlgorithm::hs256:
        case JwsAlgorithm::hs384:
        case JwsAlgorithm::hs512:
            return KeyFamily::hmac;
        case JwsAlgorithm::es256:
            return KeyFamily::p256;
        case JwsAlgorithm::es384:
            return KeyFamily::p384;
        case JwsAlgorithm::eddsa:
            return KeyFamily::ed25519;
        default:
            return KeyFamily::rsa;
    }
}

std::size_t secret_bytes_min(JwsAlgorithm algorithm) noexcept {
    return algorithm == JwsAlgorithm::hs512 ? 64 : algorithm == JwsAlgorithm::hs384 ? 48 : 32;
}

PublicKey make_rsa_key(std::string_view modulus, std::string_view exponent) {
    const ErrorQueue errors;
    if (modulus.size() > rsa_bits_max / 8 + 1 || exponent.size() > 8) return nullptr;
    const Number n = to_number(modulus);
    const Number e = to_number(exponent);
    const Builder builder{OSSL_PARAM_BLD_new()};
    if (!n || !e || !builder || BN_is_odd(e.get()) != 1 || BN_is_one(e.get()) == 1 ||
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
        return nullptr;
    }
    PublicKey key = from_params("RSA", builder.get());
    return key && is_bearable_rsa(key.get()) ? std::move(key) : nullptr;
}

PublicKey make_ec_key(KeyFamily family, std::string_view x, std::string_view y) {
    const ErrorQueue errors;
    const std::size_t size = coordinate_bytes(family);
    if (x.size() != size || y.size() != size) return nullptr;
    std::string point = "\x04";
    point.append(x).append(y);
    const char* group = family == KeyFamily::p256 ? "P-256" : "P-384";
    const Builder builder{OSSL_PARAM_BLD_new()};
    if (!builder ||
        OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                         point.size()) != 1) {
        return nullptr;
    }
    return from_params("EC", builder.get());
}

PublicKey make_ed25519_key(std::string_view x) {
    const ErrorQueue errors;
    if (x.size() != 32) return nullptr;
    return PublicKey{
        EVP_PKEY_new_raw_public_key_ex(nullptr, "ED25519", nullptr, unsigned_bytes(x), x.size())};
}

Result<PemKey, std::string> take_pem_key(std::string_view& pem) {
    const ErrorQueue errors;
    constexpr std::string_view begin_mark = "-----BEGIN ";
    constexpr std::string_view end_mark = "-----END ";
    const std::size_t begin = pem.find(begin_mark);
    const std::size_t end = pem.find(end_mark, begin == std::string_view::npos ? 0 : begin);
    if (begin == std::string_view::npos || end == std::string_view::npos) {
        return std::unexpected("no whole PEM block (-----BEGIN PUBLIC KEY-----)");
    }
    const std::size_t behind = std::min(pem.find('\n', end), pem.size());
    const std::string_view block = pem.substr(begin, behind - begin);
    pem.remove_prefix(behind);

    const std::string_view label_on = block.substr(begin_mark.size());
    const std::string_view label = label_on.substr(0, label_on.find("-----"));
    const Bio bio{BIO_new_mem_buf(block.data(), static_cast<int>(block.size()))};
    PublicKey key;
    if (label == "PUBLIC KEY") {
        key.reset(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_pass_phrase, nullptr));
    } else if (label == "RSA PUBLIC KEY") {
        EVP_PKEY* made = nullptr;
        // PKCS#1; the decoder of PUBLIC KEY does not take it.
        std::unique_ptr<BIO, Freed<BIO_free>> reader{
            BIO_new_mem_buf(block.data(), static_cast<int>(block.size()))};
        char* name = nullptr;
        char* header = nullptr;
        unsigned char* data = nullptr;
        long size = 0;
        if (PEM_read_bio(reader.get(), &name, &header, &data, &size) == 1) {
            const unsigned char* at = data;
            made = d2i_PublicKey(EVP_PKEY_RSA, nullptr, &at, size);
            OPENSSL_free(name);
            OPENSSL_free(header);
            OPENSSL_free(data);
        }
        key.reset(made);
    } else if (label == "CERTIFICATE") {
        const Certificate certificate{
            PEM_read_bio_X509(bio.get(), nullptr, no_pass_phrase, nullptr)};
        if (certificate) key.reset(X509_get_pubkey(certificate.get()));
    } else if (label.ends_with("PRIVATE KEY")) {
        return std::unexpected(
            "a private key; the server needs only the public one (openssl pkey -pubout)");
    } else {
        return std::unexpected(
            fmt::format("a PEM block \"{}\"; use PUBLIC KEY or CERTIFICATE", label.substr(0, 64)));
    }
    if (!key) return std::unexpected("the PEM block does not hold a key that OpenSSL can read");
    const auto family = family_of_key(key.get());
    if (!family) return std::unexpected("not an RSA, P-256, P-384 or Ed25519 key");
    if (*family == KeyFamily::rsa && !is_bearable_rsa(key.get())) {
        return std::unexpected(
            fmt::format("an RSA key of {} bits; use 2048..16384", EVP_PKEY_get_bits(key.get())));
    }
    return PemKey{*family, std::move(key)};
}

bool verify_signature(const JoseKey& key, JwsAlgorithm algorithm, std::string_view signed_bytes,
                      std::string_view signature) {
    if (family_of(algorithm) != key.family) return false;
    if (key.family == KeyFamily::hmac) {
        return verify_hmac(key, algorithm, signed_bytes, signature);
    }
    const ErrorQueue errors;
    std::string der;
    if (key.family == KeyFamily::p256 || key.family == KeyFamily::p384) {
        if (signature.size() != 2 * coordinate_bytes(key.family)) return false;
        der = to_der(signature);
        signature = der;
    }
    const DigestContext context{EVP_MD_CTX_new()};
    EVP_PKEY_CTX* options = nullptr;  // the context's own
    if (!context || EVP_DigestVerifyInit(context.get(), &options, hash_of(algorithm), nullptr,
                                         key.public_key.get()) != 1) {
        return false;
    }
    if (is_pss(algorithm) &&
        (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
         EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) != 1)) {
        return false;
    }
    return EVP_DigestVerify(context.get(), unsigned_bytes(signature), signature.size(),
                            unsigned_bytes(signed_bytes), signed_bytes.size()) == 1;
}

}  // namespace mitu::identity
