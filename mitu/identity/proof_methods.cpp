// The methods whose proof others have made: tokens, certificates, an HTTP backend.

#include <utility>

#include "mitu/identity/http_backend.hpp"
#include "mitu/identity/key_source.hpp"
#include "mitu/identity/method.hpp"

namespace mitu::identity {
namespace {

RefusalKind kind_of(JwtError error) noexcept {
    switch (error) {
        case JwtError::unknown_key:
            return RefusalKind::unknown_key;
        case JwtError::expired:
            return RefusalKind::expired;
        case JwtError::not_yet_valid:
            return RefusalKind::not_yet_valid;
        case JwtError::client_id:
            return RefusalKind::client_id;
        case JwtError::issuer:
        case JwtError::audience:
        case JwtError::missing_claim:
        case JwtError::mismatch:
        case JwtError::access:
            return RefusalKind::not_allowed;
        case JwtError::not_a_token:
        case JwtError::malformed:
        case JwtError::algorithm:
        case JwtError::signature:
            return RefusalKind::credentials;
    }
    return RefusalKind::credentials;
}

class JwtMethod final : public Method {
public:
    explicit JwtMethod(JwtMethodOptions options)
        : options_{std::make_shared<const JwtMethodOptions>(std::move(options))} {}

    [[nodiscard]] std::string_view name() const noexcept override { return "jwt"; }

    [[nodiscard]] Answer ask(const std::shared_ptr<const Login>& login,
                             const Now& now) const override {
        const std::string_view token = token_of(*login, *options_);
        if (token.empty()) return Ignore{"the login has no token", {}};
        if (!looks_like_token(token)) return Ignore{"it is no token", {}};
        if (!options_->source) {
            return SlowWork{[options = options_, login, unix_s = now.unix_s] {
                return verify(*options, options->keys, *login, unix_s);
            }};
        }
        auto kid = kid_of_token(token);
        KeySource::Found found = options_->source->find(kid, now.instant);
        if (found.should_wait) {
            BackendWork work;
            work.finish = [options = options_, login, kid = std::move(kid)](const BackendReply&,
                                                                            const Now& then) {
                const KeySource::Found fetched = options->source->find(kid, then.instant);
                return judge(*options, fetched, *login, then.unix_s);
            };
            return work;
        }
        if (!found.keys || found.is_unknowable) return cannot_tell();
        return SlowWork{[options = options_, login, found, unix_s = now.unix_s] {
            return judge(*options, found, *login, unix_s);
        }};
    }

private:
    static Deny cannot_tell() {
        return {{RefusalKind::unavailable, "the keys of tokens cannot be fetched"}};
    }
    static Verdict judge(const JwtMethodOptions& options, const KeySource::Found& found,
                         const Login& login, UnixSeconds unix_s) {
        if (!found.keys || found.is_unknowable) return cannot_tell();
        return verify(options, *found.keys, login, unix_s);
    }
    static Verdict verify(const JwtMethodOptions& options, const KeySet& keys, const Login& login,
                          UnixSeconds unix_s) {
        LoginNames names{login.client_id, {}};
        if (!options.token_is_user_name) names.user = login.user_or_empty();
        auto identity = verify_token(token_of(login, options), keys, options.rules, names, unix_s);
        if (identity) return Allow{*std::move(identity)};
        return Deny{{kind_of(identity.error().kind), std::move(identity.error().text)}};
    }
    static std::string_view token_of(const Login& login, const JwtMethodOptions& options) {
        return options.token_is_user_name ? login.user_or_empty() : login.password_or_empty();
    }

    std::shared_ptr<const JwtMethodOptions> options_;
};

class CertificateMethod final : public Method {
public:
    explicit CertificateMethod(CertificateRules rules) : rules_{std::move(rules)} {}

    [[nodiscard]] std::string_view name() const noexcept override { return "certificate"; }

    [[nodiscard]] Answer ask(const std::shared_ptr<const Login>& login,
                             const Now& /*now*/) const override {
        if (!login->certificate) return Ignore{"the client has no certificate", {}};
        auto identity = identify_certificate(*login->certificate, rules_);
        if (identity) return Allow{*std::move(identity)};
        return Deny{{RefusalKind::not_allowed, std::move(identity.error().text)}};
    }

private:
    CertificateRules rules_;
};

class HttpMethod final : public Method {
public:
    explicit HttpMethod(std::shared_ptr<HttpBackend> backend) : backend_{std::move(backend)} {}

    [[nodiscard]] std::string_view name() const noexcept override { return "http"; }

    [[nodiscard]] Answer ask(const std::shared_ptr<const Login>& login,
                             const Now& now) const override {
        return backend_->ask(login, now);
    }

private:
    std::shared_ptr<HttpBackend> backend_;
};

}  // namespace

MethodPtr make_jwt_method(JwtMethodOptions options) {
    return std::make_shared<JwtMethod>(std::move(options));
}

MethodPtr make_certificate_method(CertificateRules rules) {
    return std::make_shared<CertificateMethod>(std::move(rules));
}

MethodPtr make_http_method(std::shared_ptr<HttpBackend> backend) {
    return std::make_shared<HttpMethod>(std::move(backend));
}

}  // namespace mitu::identity
