#include "mitu/identity/certificate.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "mitu/identity/secret.hpp"

namespace mitu::identity {
namespace {

constexpr std::string_view id_mark = "{id}";
constexpr std::string_view tenant_mark = "{tenant}";

struct Match {
    std::string_view id;
    std::string_view tenant;
};

bool is_name(std::string_view text) noexcept {
    return !text.empty() && text.size() <= identity_name_bytes_max && is_utf8(text) &&
           std::none_of(text.begin(), text.end(), is_control);
}

/// Walks pattern and value side by side; no way back is ever needed, because a placeholder ends
/// where the next literal character first comes.
std::optional<Match> match(std::string_view pattern, std::string_view value) noexcept {
    if (pattern.empty()) return Match{value, {}};
    Match found;
    while (!pattern.empty()) {
        const bool is_id = pattern.starts_with(id_mark);
        if (!is_id && !pattern.starts_with(tenant_mark)) {
            if (value.empty() || value.front() != pattern.front()) return std::nullopt;
            pattern.remove_prefix(1);
            value.remove_prefix(1);
            continue;
        }
        pattern.remove_prefix(is_id ? id_mark.size() : tenant_mark.size());
        const char stops[] = {'/', pattern.empty() ? '/' : pattern.front()};
        const std::size_t size =
            std::min(value.find_first_of(std::string_view{stops, 2}), value.size());
        if (size == 0) return std::nullopt;
        (is_id ? found.id : found.tenant) = value.substr(0, size);
        value.remove_prefix(size);
    }
    if (!value.empty()) return std::nullopt;
    return found;
}

std::vector<std::string> values_of(const CertificateFacts& facts, CertificateField field) {
    switch (field) {
        case CertificateField::cn:
            return facts.common_names;
        case CertificateField::san_dns:
            return facts.san_dns;
        case CertificateField::san_uri:
            return facts.san_uri;
        case CertificateField::san_email:
            return facts.san_email;
        case CertificateField::fingerprint:
            return {format_fingerprint(facts.fingerprint)};
    }
    return {};
}

std::unexpected<CertificateRefusal> refuse(CertificateError kind, std::string text) {
    return std::unexpected(CertificateRefusal{kind, std::move(text)});
}

std::string_view name_of(CertificateField field) noexcept {
    constexpr std::string_view names[] = {"CN", "SAN DNS", "SAN URI", "SAN email", "fingerprint"};
    return names[static_cast<std::size_t>(field)];
}

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::size_t count(std::string_view text, std::string_view part) noexcept {
    std::size_t times = 0;
    for (std::size_t at = text.find(part); at != std::string_view::npos;
         at = text.find(part, at + part.size())) {
        ++times;
    }
    return times;
}

}  // namespace

std::string format_fingerprint(const Fingerprint& fingerprint) {
    std::string text;
    for (const std::uint8_t byte : fingerprint) text += fmt::format("{:02x}", byte);
    return text;
}

std::optional<Fingerprint> parse_fingerprint(std::string_view text) noexcept {
    const bool has_colons = text.find(':') != std::string_view::npos;
    Fingerprint fingerprint{};
    for (std::size_t i = 0; i < fingerprint.size(); ++i) {
        if (has_colons && i > 0) {
            if (!text.starts_with(':')) return std::nullopt;
            text.remove_prefix(1);
        }
        if (text.size() < 2) return std::nullopt;
        const int high = hex_digit(text[0]);
        const int low = hex_digit(text[1]);
        if (high < 0 || low < 0) return std::nullopt;
        fingerprint[i] = static_cast<std::uint8_t>(high * 16 + low);
        text.remove_prefix(2);
    }
    if (!text.empty()) return std::nullopt;
    return fingerprint;
}

std::optional<CertificateField> parse_certificate_field(std::string_view name) noexcept {
    if (name == "cn") return CertificateField::cn;
    if (name == "san_dns") return CertificateField::san_dns;
    if (name == "san_uri") return CertificateField::san_uri;
    if (name == "san_email") return CertificateField::san_email;
    if (name == "fingerprint") return CertificateField::fingerprint;
    return std::nullopt;
}

Result<Identity, CertificateRefusal> identify_certificate(const CertificateFacts& facts,
                                                          const CertificateRules& rules) {
    const std::string fingerprint = format_fingerprint(facts.fingerprint);
    if (!rules.allowed.empty() && std::find(rules.allowed.begin(), rules.allowed.end(),
                                            facts.fingerprint) == rules.allowed.end()) {
        return refuse(
            CertificateError::not_listed,
            fmt::format("the certificate {} is not in the list of allowed ones", fingerprint));
    }
    const std::vector<std::string> values = values_of(facts, rules.from);
    std::optional<Match> found;
    for (const std::string& value : values) {
        const auto matched = is_name(value) ? match(rules.pattern, value) : std::nullopt;
        if (!matched) continue;
        if (found && (found->id != matched->id || found->tenant != matched->tenant)) {
            return refuse(CertificateError::ambiguous,
                          fmt::format("the certificate {} has several names in {}: \"{}\", \"{}\"",
                                      fingerprint, name_of(rules.from), found->id, matched->id));
        }
        found = matched;
    }
    if (!found) {
        return refuse(
            CertificateError::no_name,
            values.empty()
                ? fmt::format("the certificate {} has no {}", fingerprint, name_of(rules.from))
                : fmt::format("no {} of the certificate {} is as \"{}\" wants it",
                              name_of(rules.from), fingerprint, rules.pattern));
    }
    Identity identity;
    identity.user = found->id;
    if (rules.from == CertificateField::fingerprint) {
        const auto named = rules.names.find(facts.fingerprint);
        if (named != rules.names.end()) identity.user = named->second;
    }
    if (rules.id_is_client_id) identity.client_id = identity.user;
    if (rules.tenant == CertificateTenant::none) return identity;
    if (rules.tenant == CertificateTenant::name) {
        identity.tenant = found->tenant;
        return identity;
    }
    const bool is_unit = rules.tenant == CertificateTenant::organizational_unit;
    const auto& tenants = is_unit ? facts.organizational_units : facts.organizations;
    if (tenants.size() != 1 || !is_name(tenants.front())) {
        return refuse(CertificateError::no_tenant,
                      fmt::format("the certificate {} has {} {}, and exactly one is its tenant",
                                  fingerprint, tenants.size(), is_unit ? "OU" : "O"));
    }
    identity.tenant = tenants.front();
    return identity;
}

std::string check_certificate_rules(const CertificateRules& rules) {
    const std::string_view pattern = rules.pattern;
    const std::size_t ids = count(pattern, id_mark);
    const std::size_t tenants = count(pattern, tenant_mark);
    if (!pattern.empty() && ids != 1) {
        return fmt::format("pattern is \"{}\"; use {{id}} in it exactly once", pattern);
    }
    if (tenants != (rules.tenant == CertificateTenant::name ? 1u : 0u)) {
        return fmt::format(
            "pattern is \"{}\"; it has {{tenant}} exactly where tenant is taken "
            "from the name",
            pattern);
    }
    if (pattern.find("{id}{tenant}") != std::string_view::npos ||
        pattern.find("{tenant}{id}") != std::string_view::npos) {
        return fmt::format("pattern is \"{}\"; put a character between {{id}} and {{tenant}}",
                           pattern);
    }
    return {};
}

}  // namespace mitu::identity
