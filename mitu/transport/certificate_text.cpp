#include "mitu/transport/certificate_text.hpp"

#include <algorithm>
#include <string_view>

namespace mitu::transport {
namespace {

using NamesPtr = OpenSslPtr<GENERAL_NAMES, GENERAL_NAMES_free>;

bool is_clean(std::string_view text) {
    return std::ranges::none_of(text, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7F;
    });
}

/// Empty: it cannot be written cleanly. OpenSSL checks the UTF-8.
std::string to_utf8(const ASN1_STRING* string) {
    unsigned char* bytes = nullptr;
    const int size = ASN1_STRING_to_UTF8(&bytes, string);
    if (size < 0) {
        ERR_clear_error();
        return {};
    }
    std::string text{reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)};
    OPENSSL_free(bytes);
    return is_clean(text) ? text : std::string{};
}

/// The names of a subject alternative name (RFC 5280, 4.2.1.6) are ASCII.
std::string to_ascii(const ASN1_IA5STRING* string) {
    const std::string_view text{reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
                                static_cast<std::size_t>(ASN1_STRING_length(string))};
    const bool is_ascii =
        std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    return is_ascii && is_clean(text) ? std::string{text} : std::string{};
}

std::vector<std::string> names_of_type(X509* certificate, int type) {
    const NamesPtr names{static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr))};
    std::vector<std::string> result;
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != type) continue;
        std::string text = to_ascii(name->d.ia5);
        if (!text.empty()) result.push_back(std::move(text));
    }
    return result;
}

}  // namespace

std::vector<std::string> dns_names(X509* certificate) {
    return names_of_type(certificate, GEN_DNS);
}

std::string common_name(X509* certificate) {
    const X509_NAME* const subject = X509_get_subject_name(certificate);
    int at = -1;
    for (int next = -1; (next = X509_NAME_get_index_by_NID(subject, NID_commonName, next)) >= 0;) {
        at = next;  // the last one is the most specific
    }
    if (at < 0) return {};
    return to_utf8(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

std::string subject_text(const X509_NAME* name) {
    const BioPtr bio{BIO_new(BIO_s_mem())};
    if (!bio ||
        X509_NAME_print_ex(bio.get(), name, 0, (XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB)) < 0) {
        ERR_clear_error();
        return {};
    }
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    return size > 0 ? std::string{text, static_cast<std::size_t>(size)} : std::string{};
}

std::string lower_case(std::string_view text) {
    std::string result{text};
    for (char& c : result) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return result;
}

WallTime to_wall(const ASN1_TIME* time) {
    // Days and seconds since 1970: ASN1_TIME has no function that gives a number.
    const OpenSslPtr<ASN1_TIME, ASN1_TIME_free> epoch{ASN1_TIME_set(nullptr, 0)};
    int days = 0;
    int seconds = 0;
    if (ASN1_TIME_diff(&days, &seconds, epoch.get(), time) != 1) return {};
    return {(std::int64_t{days} * 86'400 + seconds) * 1'000};
}

ports::ClientCertificate read_certificate(X509* certificate) {
    ports::ClientCertificate result;
    result.common_name = common_name(certificate);
    result.subject = subject_text(X509_get_subject_name(certificate));
    result.dns_names = dns_names(certificate);
    result.uris = names_of_type(certificate, GEN_URI);
    result.emails = names_of_type(certificate, GEN_EMAIL);
    unsigned size = 0;
    X509_digest(certificate, EVP_sha256(), result.sha256.data(), &size);
    result.not_after = to_wall(X509_get0_notAfter(certificate));
    return result;
}

}  // namespace mitu::transport
