#include "mitu/node/authentication_from_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include "mitu/base/mutex.hpp"
#include "mitu/base/thread_annotations.hpp"
#include "mitu/config/load.hpp"
#include "mitu/identity/certificate.hpp"
#include "mitu/identity/jwt.hpp"
#include "mitu/identity/key_set.hpp"
#include "mitu/identity/password_file.hpp"
#include "mitu/identity/user_table.hpp"
#include "mitu/node/registry_method.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::node {
namespace {

using config::MethodKind;
using identity::MethodPtr;
template <class T>
using OrProblem = Result<T, std::string>;

OrProblem<std::string> read_file(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    std::string text{std::istreambuf_iterator<char>{file}, {}};
    if (!file.is_open() || file.bad()) {
        return std::unexpected(path + ": cannot be read; check that it is there and its mode");
    }
    return text;
}

/// A secret in a file ends with its line.
std::string without_line_end(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return text;
}

OrProblem<MethodPtr> make_password_file(const std::string& path) {
    auto text = read_file(path);
    if (!text) return std::unexpected(text.error());
    auto file = identity::PasswordFile::parse(*std::move(text));
    if (!file) return std::unexpected(identity::to_text(path, file.error()));
    return identity::make_password_file_method(
        std::make_shared<identity::PasswordFile>(*std::move(file)));
}

OrProblem<MethodPtr> make_users(const std::vector<config::User>& users) {
    identity::UserTable table{identity::UserKind::mqtt};
    for (const config::User& user : users) {
        identity::User row;
        row.name = user.name;
        row.tenant = user.tenant;
        row.password = user.credential;
        row.scram = user.scram_sha_256;
        row.device_class = user.device_class;
        row.is_disabled = !user.enabled;
        if (const auto problem = table.put(std::move(row), 0)) {
            return std::unexpected(
                fmt::format("user \"{}\": {}", user.name, identity::remedy(*problem)));
        }
    }
    return identity::make_user_table_method(
        std::make_shared<identity::UserTable>(std::move(table)));
}

OrProblem<identity::KeySet> read_keys(const config::Jwt& jwt) {
    const auto from = [](const std::string& path, auto parse) -> OrProblem<identity::KeySet> {
        auto text = read_file(path);
        if (!text) return std::unexpected(text.error());
        auto keys = parse(*text);
        if (!keys) return std::unexpected(path + ": " + keys.error());
        for (const std::string& warning : keys->warnings()) {
            trace::log(trace::Level::warn, "jwt_key_left_out", {{"file", path}, {"text", warning}});
        }
        return *std::move(keys);
    };
    if (!jwt.keys_file.empty()) {
        return from(jwt.keys_file,
                    [](const std::string& text) { return identity::KeySet::from_pem(text); });
    }
    if (!jwt.jwks_file.empty()) {
        return from(jwt.jwks_file,
                    [](const std::string& text) { return identity::KeySet::from_jwks(text); });
    }
    if (!jwt.secret_file.empty()) {
        return from(jwt.secret_file, [](const std::string& text) {
            return identity::KeySet::from_secret(without_line_end(text));
        });
    }
    return identity::KeySet::from_secret(jwt.secret);
}

/// `source` null: the keys are in the configuration or in a file.
OrProblem<MethodPtr> make_jwt(const config::Jwt& jwt,
                              std::shared_ptr<const identity::KeySource> source) {
    identity::JwtMethodOptions options;
    if (!source) {
        auto keys = read_keys(jwt);
        if (!keys) return std::unexpected(keys.error());
        options.keys = *std::move(keys);
    }
    options.source = std::move(source);
    options.rules.algorithms = jwt.algorithms;
    options.rules.issuer = jwt.issuer;
    if (!jwt.audience.empty()) options.rules.audiences = {jwt.audience};
    options.rules.leeway_s = jwt.leeway.count_s();
    options.rules.claims.tenant = jwt.claims.tenant;
    options.rules.claims.client_id = jwt.claims.client_id;
    options.rules.claims.device_class = jwt.claims.device_class;
    options.rules.claims.access = jwt.claims.acl;
    if (auto problem = identity::check_jwt_rules(options.rules); !problem.empty()) {
        return std::unexpected(problem);
    }
    return identity::make_jwt_method(std::move(options));
}

/// Lines `FINGERPRINT [NAME]`; what begins with # says nothing.
std::optional<std::string> read_fingerprints(const std::string& path,
                                             identity::CertificateRules& rules) {
    const auto text = read_file(path);
    if (!text) return text.error();
    std::istringstream lines{*text};
    std::string line;
    for (std::size_t number = 1; std::getline(lines, line); ++number) {
        std::istringstream words{line};
        std::string digits;
        std::string name;
        std::string more;
        words >> digits >> name >> more;
        if (digits.empty() || digits.front() == '#') continue;
        const auto fingerprint = identity::parse_fingerprint(digits);
        if (!fingerprint || !more.empty()) {
            return fmt::format(
                "{}:{}: {}; use 64 hexadecimal digits, as openssl x509 -fingerprint -sha256 prints "
                "them, and perhaps the name of the device",
                path, number, fingerprint ? "more than two words" : "no SHA-256 fingerprint");
        }
        rules.allowed.push_back(*fingerprint);
        if (!name.empty()) rules.names[*fingerprint] = name;
    }
    if (!rules.allowed.empty()) return std::nullopt;
    // No list at all would mean that every certificate is allowed.
    return path + ": no fingerprint in it; put in one a line, or remove fingerprints_file";
}

OrProblem<MethodPtr> make_certificate(const config::X509& x509) {
    identity::CertificateRules rules;
    static constexpr identity::CertificateField fields[]{
        identity::CertificateField::cn, identity::CertificateField::san_dns,
        identity::CertificateField::san_uri, identity::CertificateField::fingerprint};
    rules.from = fields[static_cast<std::size_t>(x509.identity_from)];
    static constexpr identity::CertificateTenant tenants[]{
        identity::CertificateTenant::none, identity::CertificateTenant::organization,
        identity::CertificateTenant::organizational_unit, identity::CertificateTenant::name};
    rules.tenant = tenants[static_cast<std::size_t>(x509.tenant_from)];
    if (!x509.strip_prefix.empty() || !x509.strip_suffix.empty()) {
        rules.pattern = x509.strip_prefix + "{id}" + x509.strip_suffix;
    }
    if (!x509.fingerprints_file.empty()) {
        if (auto problem = read_fingerprints(x509.fingerprints_file, rules)) {
            return std::unexpected(*std::move(problem));
        }
    }
    if (auto problem = identity::check_certificate_rules(rules); !problem.empty()) {
        return std::unexpected(problem);
    }
    return identity::make_certificate_method(std::move(rules));
}

/// A method under the name that the configuration gives it, by which its backend is found.
class Named final : public identity::Method {
public:
    Named(std::string name, MethodPtr method)
        : name_{std::move(name)}, method_{std::move(method)} {}
    [[nodiscard]] std::string_view name() const noexcept override { return name_; }
    [[nodiscard]] identity::Answer ask(const std::shared_ptr<const identity::Login>& login,
                                       const identity::Now& now) const override {
        return method_->ask(login, now);
    }
    [[nodiscard]] std::optional<identity::ScramUser> find_scram(
        std::string_view tenant, std::string_view user) const override {
        return method_->find_scram(tenant, user);
    }

private:
    std::string name_;
    MethodPtr method_;
};

identity::AnonymousRule rule_of(config::Anonymous anonymous) {
    switch (anonymous) {
        case config::Anonymous::never:
            return identity::AnonymousRule::never;
        case config::Anonymous::loopback:
            return identity::AnonymousRule::loopback;
        case config::Anonymous::always:
            return identity::AnonymousRule::always;
    }
    return identity::AnonymousRule::never;
}

AskBackend ask_by(const std::shared_ptr<http::Client>& client) {
    return [client](identity::BackendRequest request,
                    std::function<void(const identity::BackendReply&)> done) {
        http::ClientRequest out;
        if (request.is_get) {
            out.target = std::move(request.query);
        } else {
            out.method = "POST";
            out.content_type = std::move(request.content_type);
            out.body = std::move(request.body);
        }
        client->send(std::move(out), [done = std::move(done)](auto answer) {
            identity::BackendReply reply;
            if (answer) {
                reply.was_reached = true;
                reply.status = static_cast<int>(answer->status);
                reply.body = std::move(answer->body);
            } else {
                reply.error = answer.error().text();
            }
            done(reply);
        });
    };
}

}  // namespace

/// The built-in users as a method that stays the same while they change.
class AuthenticationSources::LiveUsers final : public identity::Method {
public:
    void set(MethodPtr users) MITU_EXCLUDES(mutex_) {
        const MutexLock lock{mutex_};
        users_ = std::move(users);
    }
    [[nodiscard]] std::string_view name() const noexcept override { return "users"; }
    [[nodiscard]] identity::Answer ask(const std::shared_ptr<const identity::Login>& login,
                                       const identity::Now& now) const override {
        return users()->ask(login, now);
    }
    [[nodiscard]] std::optional<identity::ScramUser> find_scram(
        std::string_view tenant, std::string_view user) const override {
        return users()->find_scram(tenant, user);
    }

private:
    [[nodiscard]] MethodPtr users() const MITU_EXCLUDES(mutex_) {
        const MutexLock lock{mutex_};
        return users_;
    }
    mutable Mutex mutex_;
    MethodPtr users_ MITU_GUARDED_BY(mutex_);
};

class AuthenticationSources::Builder {
public:
    Builder(AuthenticationSources& sources, const config::Config& config) noexcept
        : sources_{sources}, config_{config} {}

    [[nodiscard]] OrProblem<std::shared_ptr<const Authentication>> build() {
        auto users = make_users(config_.users);
        if (!users) return std::unexpected(users.error());
        auto out = std::make_shared<Authentication>();
        out->catalog = sources_.catalog_;
        out->profiles =
            std::make_shared<Profiles>(sources_.catalog_, client_defaults(config_.limits));
        for (const config::Method& method : config_.authentication.methods) {
            auto made = make(method);
            if (!made) {
                return std::unexpected(
                    fmt::format("authentication method {}: {}", method.name, made.error()));
            }
            methods_[method.name] = std::make_shared<Named>(method.name, *std::move(made));
            if (method.kind == MethodKind::scram) scram_.push_back(method.name);
        }
        if (!config_.access.acl_file.empty()) {
            auto text = read_file(config_.access.acl_file);
            if (!text) return std::unexpected("access.acl_file: " + text.error());
            auto acl = identity::AclFile::parse(*text);
            if (!acl) {
                return std::unexpected(identity::to_text(config_.access.acl_file, acl.error()));
            }
            out->acl = std::make_shared<identity::AclFile>(*std::move(acl));
        }
        out->denies_by_default = config_.access.default_access == config::AccessDefault::deny;
        add_chains(*out);
        for (const auto& [name, backend] : sources_.backends_) {
            out->backends.emplace(name, ask_by(backend.client));
        }
        out->backends.merge(waits_);
        sources_.users_->set(*std::move(users));
        return out;
    }

private:
    [[nodiscard]] OrProblem<MethodPtr> make(const config::Method& method) {
        switch (method.kind) {
            case MethodKind::registry:
                return sources_.registry_;
            case MethodKind::password_file:
                return make_password_file(method.file);
            case MethodKind::scram:
                if (!method.file.empty()) return make_password_file(method.file);
                return sources_.users_;
            case MethodKind::users:
                return sources_.users_;
            case MethodKind::jwt:
                return make_jwt(method);
            case MethodKind::x509:
                return make_certificate(method.x509);
            case MethodKind::http:
                return make_http(method);
        }
        return std::unexpected("unknown kind");
    }

    [[nodiscard]] OrProblem<MethodPtr> make_jwt(const config::Method& method) {
        if (method.jwt.jwks_url.empty()) return node::make_jwt(method.jwt, nullptr);
        auto keys = sources_.key_sources_.find(method.name, method.jwt);
        if (!keys) return std::unexpected("jwt.jwks_url: " + keys.error());
        waits_[method.name] = [fetcher = keys->fetcher](identity::BackendRequest, auto done) {
            fetcher->wait([done = std::move(done)] { done({}); });
        };
        return node::make_jwt(method.jwt, std::move(keys->source));
    }

    [[nodiscard]] OrProblem<MethodPtr> make_http(const config::Method& method) {
        const config::HttpBackend& from = method.http;
        const auto known = sources_.backends_.find(method.name);
        if (known != sources_.backends_.end() && known->second.from == from) {
            return identity::make_http_method(known->second.state);
        }
        Backend backend;
        backend.from = from;
        http::ClientOptions client;
        client.url = from.url;
        client.ca_file = from.ca_file;
        for (const auto& [name, value] : from.headers) client.headers.push_back({name, value});
        std::string token = from.bearer_token;
        if (!from.bearer_token_file.empty()) {
            auto text = read_file(from.bearer_token_file);
            if (!text) return std::unexpected(text.error());
            token = without_line_end(*std::move(text));
        }
        if (!token.empty()) client.headers.push_back({"Authorization", "Bearer " + token});
        client.connections_max = from.pool;
        client.request_timeout = from.timeout;
        client.connect_timeout = std::min(client.connect_timeout, from.timeout);
        backend.client = std::make_shared<http::Client>(std::move(client));
        if (auto started = backend.client->start(); !started) {
            return std::unexpected(started.error());
        }
        identity::HttpBackendOptions options;
        options.cache.entries_max = from.cache_entries_max;
        options.cache.positive_ttl = from.cache_ttl;
        options.cache.negative_ttl = from.cache_negative_ttl;
        static constexpr identity::WhenDown when[]{
            identity::WhenDown::deny, identity::WhenDown::ignore, identity::WhenDown::allow_cached};
        options.asks_by_get = from.method == config::HttpMethod::get;
        options.when_down = when[static_cast<std::size_t>(from.when_down)];
        backend.state = identity::HttpBackend::create(options, sources_.key_);
        auto made = identity::make_http_method(backend.state);
        if (known != sources_.backends_.end()) {
            sources_.retired_.push_back(std::move(known->second.client));
        }
        sources_.backends_[method.name] = std::move(backend);
        return made;
    }

    [[nodiscard]] std::shared_ptr<const identity::Chain> chain(
        const std::vector<std::string>& names, config::Anonymous anonymous,
        Authentication& out) const {
        identity::ChainOptions options;
        for (const std::string& name : names) {
            options.methods.push_back(methods_.at(name));
            if (std::find(scram_.begin(), scram_.end(), name) != scram_.end()) {
                out.offers_scram = true;
            }
        }
        options.anonymous = rule_of(anonymous);
        return std::make_shared<identity::Chain>(std::move(options));
    }

    void add_chains(Authentication& out) const {
        for (const config::Listener& listener : config_.listeners) {
            const config::Anonymous anonymous =
                listener.allow_anonymous.value_or(config_.authentication.allow_anonymous);
            out.chains.set(listener.name, "",
                           chain(config::chain_of(config_, listener), anonymous, out));
            for (const config::Tenant& tenant : config_.tenants) {
                if (tenant.chain.empty()) continue;
                out.chains.set(listener.name, tenant.name, chain(tenant.chain, anonymous, out));
            }
            out.entrances.push_back({listener.name, listener.tenant, listener.tenants_by_sni});
        }
        for (const config::Tenant& tenant : config_.tenants) {
            if (tenant.user_name_suffix.empty()) continue;
            out.suffixes.emplace_back(tenant.user_name_suffix, tenant.name);
        }
        std::sort(out.suffixes.begin(), out.suffixes.end(), [](const auto& a, const auto& b) {
            return a.first.size() != b.first.size() ? a.first.size() > b.first.size() : a < b;
        });
    }

    AuthenticationSources& sources_;
    const config::Config& config_;
    std::map<std::string, MethodPtr> methods_;
    std::map<std::string, AskBackend, std::less<>> waits_;  // for keys, by the name of the method
    std::vector<std::string> scram_;
};

AuthenticationSources::AuthenticationSources(const ports::Clock& clock,
                                             const identity::SecretKey& key)
    : key_{key}, key_sources_{clock}, users_{std::make_shared<LiveUsers>()} {}
AuthenticationSources::~AuthenticationSources() { stop(); }

std::optional<std::string> AuthenticationSources::set_users(
    const std::vector<config::User>& users) {
    auto method = make_users(users);
    if (!method) return method.error();
    users_->set(*std::move(method));
    return std::nullopt;
}

Result<std::shared_ptr<const Authentication>, std::string> AuthenticationSources::build(
    const config::Config& config, const std::shared_ptr<const fleet::Catalog>& catalog) {
    if (catalog_ != catalog) {
        catalog_ = catalog;
        registry_ = make_registry_method(catalog);
    }
    return Builder{*this, config}.build();
}

void AuthenticationSources::stop() {
    for (const auto& [name, backend] : backends_) backend.client->stop();
    for (const auto& client : retired_) client->stop();
    key_sources_.stop();
}

}  // namespace mitu::node
