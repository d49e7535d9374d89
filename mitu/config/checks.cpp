// What one key alone cannot say: names that refer to each other, keys that go together.
#include <fmt/format.h>

#include <map>
#include <set>

#include "mitu/config/layers.hpp"
#include "mitu/config/table.hpp"
#include "mitu/config/units.hpp"

namespace mitu::config {
namespace {

/// A section that has a problem already is left out, so that one mistake gives one problem.
class Checker {
public:
    Checker(const Config& config, const std::optional<std::vector<std::string>>& tenants,
            Complaints& complaints)
        : config_{config}, complaints_{complaints} {
        tenants_.insert("default");
        if (tenants) tenants_.insert(tenants->begin(), tenants->end());
        for (const Tenant& tenant : config.tenants) tenants_.insert(tenant.name);
        for (const Method& method : config.authentication.methods) methods_.insert(method.name);
        tenants_known_ = tenants && !complaints.has_at("tenants");
        methods_known_ = !complaints.has_at("authentication.methods");
    }

    void all() {
        unique_names("listeners", config_.listeners);
        if (!config_.node.group.empty() && config_.node.user.empty()) {
            add("node.group",
                fmt::format("node.group is \"{}\" without node.user; name the user too",
                            config_.node.group));
        }
        unique_names("tenants", config_.tenants);
        unique_names("authentication.methods", config_.authentication.methods);
        for_each("listeners", config_.listeners,
                 [this](const auto& item, const auto& path) { listener(item, path); });
        binds();
        for_each("authentication.methods", config_.authentication.methods,
                 [this](const auto& item, const auto& path) { method(item, path); });
        method_names(config_.authentication.chain, "authentication.chain");
        for_each("tenants", config_.tenants, [this](const Tenant& tenant, const auto& path) {
            method_names(tenant.chain, path + ".chain");
        });
        tenants();
        for_each("users", config_.users, [this](const User& user, const auto& path) {
            tenant_name(user.tenant, path + ".tenant");
        });
        users();
        for_each("bans", config_.bans,
                 [this](const Ban& item, const auto& path) { ban(item, path); });
        api();
        memory();
    }

private:
    void add(std::string_view path, std::string text) { complaints_.add(path, std::move(text)); }

    template <class Item, class Check>
    void for_each(std::string_view list, const std::vector<Item>& items, Check check) {
        for (std::size_t i = 0; i < items.size(); ++i) {
            const std::string path = fmt::format("{}[{}]", list, i);
            if (!complaints_.has_at(path)) check(items[i], path);
        }
    }
    template <class Item>
    void unique_names(std::string_view list, const std::vector<Item>& items) {
        std::map<std::string_view, std::size_t> seen;
        for (std::size_t i = 0; i < items.size(); ++i) {
            const auto [at, is_new] = seen.try_emplace(items[i].name, i);
            if (is_new || items[i].name.empty()) continue;
            const std::string path = fmt::format("{}[{}].name", list, i);
            add(path, fmt::format("{} is \"{}\", as is {}[{}]; use another name", path,
                                  items[i].name, list, at->second));
        }
    }

    /// One that must be among `known`, with the near miss if it is not.
    void reference(const std::string& name, const std::string& path,
                   const std::set<std::string, std::less<>>& known, std::string_view what,
                   std::string_view where) {
        if (known.contains(name)) return;
        const std::vector<std::string_view> names{known.begin(), known.end()};
        const std::string_view near = yaml::did_you_mean(name, names);
        add(path, near.empty()
                      ? fmt::format("{} is \"{}\", which is no {}; use {}, or add it to {}", path,
                                    name, what, fmt::join(names, ", "), where)
                      : fmt::format("{} is \"{}\", which is no {}; did you mean {}?", path, name,
                                    what, near));
    }
    void tenant_name(const std::string& name, const std::string& path) {
        if (tenants_known_ && !name.empty()) reference(name, path, tenants_, "tenant", "tenants");
    }
    void method_names(const std::vector<std::string>& names, const std::string& path) {
        if (!methods_known_) return;
        std::set<std::string_view> seen;
        for (std::size_t i = 0; i < names.size(); ++i) {
            const std::string at = fmt::format("{}[{}]", path, i);
            reference(names[i], at, methods_, "method", "authentication.methods");
            if (!seen.insert(names[i]).second) {
                add(at,
                    fmt::format("{} is \"{}\", which is there twice; remove one", at, names[i]));
            }
        }
    }

    void listener(const Listener& listener, const std::string& path) {
        tenant_name(listener.tenant, path + ".tenant");
        for (const auto& [server_name, tenant] : listener.tenants_by_sni) {
            const std::string at = path + ".tenants_by_sni." + server_name;
            tenant_name(tenant, at);
            if (!server_name_rule.accepts(server_name)) {
                add(at,
                    fmt::format("{} is for \"{}\"; use {}", at, server_name, server_name_rule.use));
            }
        }
        method_names(listener.authentication, path + ".authentication");
        const bool is_unix = parse_bind(listener.bind)->is_unix();
        const UnixSocket plain;
        if (!is_unix &&
            (!listener.unix_socket.owner.empty() || !listener.unix_socket.group.empty() ||
             listener.unix_socket.mode != plain.mode)) {
            add(path + ".unix",
                fmt::format("{0}.unix is for Unix sockets, but {0}.bind is \"{1}\"; "
                            "remove it, or bind to unix:/PATH",
                            path, listener.bind));
        }
        if (is_unix && listener.proxy_protocol) {
            add(path + ".proxy_protocol",
                fmt::format(
                    "{}.proxy_protocol is set for a Unix socket, whose peer has no address; "
                    "remove it",
                    path));
        }
        if (!listener.tls && !listener.tenants_by_sni.empty()) {
            add(path + ".tenants_by_sni",
                fmt::format("{0}.tenants_by_sni needs TLS, which carries the name; add {0}.tls",
                            path));
        }
        websocket(listener, path);
        if (listener.tls) tls(*listener.tls, path + ".tls");
        certificate_methods(listener, path);
    }
    void websocket(const Listener& listener, const std::string& path) {
        const WebSocket plain;
        const WebSocket& own = listener.websocket;
        const bool is_set = own.path != plain.path || own.sub_protocols != plain.sub_protocols ||
                            own.origins != plain.origins ||
                            own.frame_bytes_max != plain.frame_bytes_max;
        if (is_set && listener.protocol != Protocol::websocket) {
            add(path + ".websocket",
                fmt::format("{0}.websocket is set, but {0}.protocol is mqtt; use websocket", path));
        }
    }
    void tls(const Tls& tls, const std::string& path) {
        if (tls.client_certificates != ClientCertificates::none && tls.ca_file.empty()) {
            add(path,
                fmt::format("{0}.ca_file is missing, and {0}.client_certificates is {1}; name "
                            "the authorities that sign them",
                            path,
                            Words<ClientCertificates>::list[static_cast<std::size_t>(
                                tls.client_certificates)]));
        }
        const bool asks = tls.client_certificates != ClientCertificates::none;
        if (!asks && !tls.crl_files.empty()) {
            add(path + ".crl_files",
                fmt::format("{0}.crl_files is set, but {0}.client_certificates "
                            "is none; use optional or required",
                            path));
        }
        if (tls.minimum_version == TlsVersion::v1_3 && !tls.ciphers.empty()) {
            add(path + ".ciphers",
                fmt::format(
                    "{0}.ciphers is for TLS 1.2, but {0}.minimum_version is 1.3; remove it, "
                    "or use cipher_suites",
                    path));
        }
        std::map<std::string_view, std::size_t> owners;
        for (std::size_t i = 0; i < tls.certificates.size(); ++i) {
            const Certificate& certificate = tls.certificates[i];
            const std::string at = fmt::format("{}.certificates[{}]", path, i);
            for (const std::string& name : certificate.names) {
                const auto [owner, is_new] = owners.try_emplace(name, i);
                if (!is_new) {
                    add(at + ".names", fmt::format("{}.names has \"{}\", as has "
                                                   "{}.certificates[{}]; remove one",
                                                   at, name, path, owner->second));
                }
            }
            if (certificate.names.empty() && !owners.try_emplace("", i).second) {
                add(at, fmt::format("{}.names is missing, and another certificate is for any name "
                                    "already; name the servers",
                                    at));
            }
            one_of_two(at, "key_password", certificate.key_password, certificate.key_password_file);
        }
    }
    void one_of_two(const std::string& path, const char* name, const std::string& value,
                    const std::string& file) {
        if (value.empty() || file.empty()) return;
        add(path, fmt::format("{0}.{1} and {0}.{1}_file are both set; remove one", path, name));
    }
    /// A method that nobody could ever pass is a mistake.
    void certificate_methods(const Listener& listener, const std::string& path) {
        if (!methods_known_ || listener.authentication.empty()) return;
        for (std::size_t i = 0; i < listener.authentication.size(); ++i) {
            for (const Method& method : config_.authentication.methods) {
                if (method.name != listener.authentication[i] || method.kind != MethodKind::x509) {
                    continue;
                }
                if (listener.tls && listener.tls->client_certificates != ClientCertificates::none) {
                    continue;
                }
                const std::string at = fmt::format("{}.authentication[{}]", path, i);
                add(at, fmt::format("{0} is \"{1}\", which reads client certificates, but the "
                                    "listener asks for none; set {2}.tls.client_certificates",
                                    at, method.name, path));
            }
        }
    }
    void binds() {
        std::map<std::string, std::size_t> seen;
        for_each("listeners", config_.listeners, [&](const Listener& listener, const auto& path) {
            const BindAddress bind = *parse_bind(listener.bind);
            if (!bind.is_unix() && bind.port == 0) return;
            const std::string id = fmt::format("{} {} {}", bind.host, bind.port, bind.path);
            const auto index = static_cast<std::size_t>(&listener - config_.listeners.data());
            const auto [at, is_new] = seen.try_emplace(id, index);
            if (is_new) return;
            add(path + ".bind", fmt::format("{}.bind is \"{}\", as is listeners[{}].bind; use "
                                            "another port",
                                            path, listener.bind, at->second));
        });
    }

    void method(const Method& method, const std::string& path) {
        const std::string_view kind =
            Words<MethodKind>::list[static_cast<std::size_t>(method.kind)];
        const auto foreign = [&](const char* key, bool is_set, bool fits) {
            if (!is_set || fits) return;
            add(path + "." + key,
                fmt::format("{0}.{1} is set, but {0}.kind is {2}; remove it", path, key, kind));
        };
        const bool takes_file =
            method.kind == MethodKind::password_file || method.kind == MethodKind::scram;
        foreign("file", !method.file.empty(), takes_file);
        foreign("jwt", changed(method.jwt), method.kind == MethodKind::jwt);
        foreign("x509", changed(method.x509), method.kind == MethodKind::x509);
        foreign("http", changed(method.http), method.kind == MethodKind::http);
        if (method.kind == MethodKind::password_file && method.file.empty()) {
            add(path,
                fmt::format("{}.file is missing; name a file that `mitu passwd` writes", path));
        }
        if (method.kind == MethodKind::jwt) jwt(method.jwt, path + ".jwt");
        if (method.kind == MethodKind::http) http(method.http, path + ".http");
        if (method.kind == MethodKind::x509) x509(method.x509, path + ".x509");
    }
    template <class Section>
    static bool changed(const Section& section) {
        const Shape& shape = shape_of<Section>();
        for (const Key& key : shape.keys) {
            if (key.kind == Kind::section) {
                const Shape& inner = key.shape();
                for (const Key& child : inner.keys) {
                    if (child.get(key.peek(&section)) != child.get(inner.defaults)) return true;
                }
            } else if (key.get(&section) != key.get(shape.defaults)) {
                return true;
            }
        }
        return false;
    }
    void jwt(const Jwt& jwt, const std::string& path) {
        one_of_two(path, "secret", jwt.secret, jwt.secret_file);
        const bool has_secret = !jwt.secret.empty() || !jwt.secret_file.empty();
        const int sources = int{!jwt.keys_file.empty()} + int{!jwt.jwks_file.empty()} +
                            int{!jwt.jwks_url.empty()} + int{has_secret};
        if (sources != 1) {
            add(path,
                fmt::format("{} has {} of keys_file, jwks_file, jwks_url and secret_file; use "
                            "one",
                            path, sources == 0 ? "none" : "several"));
        }
        if (!jwt.jwks_ca_file.empty() && !jwt.jwks_url.starts_with("https://")) {
            add(path + ".jwks_ca_file",
                fmt::format("{}.jwks_ca_file is set and jwks_url is not https; use https, or "
                            "remove it",
                            path));
        }
        if (jwt.algorithms.empty()) {
            add(path,
                fmt::format("{}.algorithms is []; use one or more {}", path, algorithm_rule.use));
        }
        for (std::size_t i = 0; i < jwt.algorithms.size() && sources == 1; ++i) {
            // A public key that serves as a shared secret is the classic hole of JWT.
            if (jwt.algorithms[i].starts_with("HS") == has_secret) continue;
            const std::string at = fmt::format("{}.algorithms[{}]", path, i);
            add(at, fmt::format("{} is \"{}\", which does not go with {}; use {}", at,
                                jwt.algorithms[i], has_secret ? "a secret" : "public keys",
                                has_secret ? "HS256, HS384 or HS512"
                                           : "algorithms that begin with RS or ES"));
        }
    }
    void http(const HttpBackend& http, const std::string& path) {
        if (http.url.empty()) {
            add(path, fmt::format("{}.url is missing; use {}", path, url_rule.use));
        }
        one_of_two(path, "bearer_token", http.bearer_token, http.bearer_token_file);
        if (!http.ca_file.empty() && !http.url.starts_with("https://")) {
            add(path + ".ca_file",
                fmt::format("{0}.ca_file is set, but {0}.url is not https; remove it", path));
        }
    }
    void x509(const X509& x509, const std::string& path) {
        const bool by_fingerprint = x509.identity_from == CertificateIdentity::fingerprint;
        if (by_fingerprint && x509.fingerprints_file.empty()) {
            add(path, fmt::format("{0}.fingerprints_file is missing, and {0}.identity_from is "
                                  "fingerprint; name the file that says whose each is",
                                  path));
        }
        if (!by_fingerprint && !x509.fingerprints_file.empty()) {
            add(path + ".fingerprints_file",
                fmt::format("{0}.fingerprints_file is set, but {0}.identity_from is not "
                            "fingerprint; remove it",
                            path));
        }
    }

    void tenants() {
        std::map<std::string_view, std::size_t> suffixes;
        std::uint64_t reserved = 0;
        for_each("tenants", config_.tenants, [&](const Tenant& tenant, const std::string& path) {
            reserved += tenant.limits.reserved_connections;
            const auto index = static_cast<std::size_t>(&tenant - config_.tenants.data());
            if (!tenant.user_name_suffix.empty()) {
                const auto [at, is_new] = suffixes.try_emplace(tenant.user_name_suffix, index);
                if (!is_new) {
                    add(path + ".user_name_suffix",
                        fmt::format("{}.user_name_suffix is \"{}\", as is that of tenants[{}]; use "
                                    "another",
                                    path, tenant.user_name_suffix, at->second));
                }
            }
            const auto max = tenant.limits.connections_max;
            if (max && tenant.limits.reserved_connections > *max) {
                add(path + ".limits.reserved_connections",
                    fmt::format("{0}.limits.reserved_connections is {1}, above "
                                "{0}.limits.connections_max; use 0..{2}",
                                path, tenant.limits.reserved_connections, *max));
            }
        });
        if (reserved > config_.limits.connections_max) {
            add("tenants", fmt::format("tenants reserve {} connections, above "
                                       "limits.connections_max, which is {}; reserve fewer",
                                       reserved, config_.limits.connections_max));
        }
    }
    void users() {
        std::map<std::pair<std::string_view, std::string_view>, std::size_t> seen;
        for_each("users", config_.users, [&](const User& user, const std::string& path) {
            const auto index = static_cast<std::size_t>(&user - config_.users.data());
            const auto [at, is_new] = seen.try_emplace({user.tenant, user.name}, index);
            if (!is_new) {
                add(path + ".name", fmt::format("{}.name is \"{}\", as is that of users[{}] in the "
                                                "same tenant; use another name",
                                                path, user.name, at->second));
            }
            if (!user.credential.empty() && !user.credential.starts_with("$argon2id$")) {
                add(path + ".credential",
                    fmt::format("{}.credential is no argon2id hash; use what `mitu passwd` prints",
                                path));
            }
            if (user.credential.empty() && user.scram_sha_256.empty()) {
                add(path,
                    fmt::format("{}.credential is missing; use what `mitu passwd` prints", path));
            }
        });
    }
    void ban(const Ban& ban, const std::string& path) {
        const int count =
            int{!ban.client_id.empty()} + int{!ban.user.empty()} + int{!ban.address.empty()};
        if (count != 1) {
            add(path, fmt::format("{} has {} of client_id, user and address; use one", path,
                                  count == 0 ? "none" : "several"));
        }
        if (!ban.address.empty() && !ban.tenant.empty()) {
            add(path + ".tenant",
                fmt::format("{}.tenant is \"{}\", but an address is banned for every tenant; "
                            "remove it",
                            path, ban.tenant));
        }
        tenant_name(ban.tenant, path + ".tenant");
    }
    void api() {
        if (complaints_.has_at("api") || complaints_.has_at("metrics")) return;
        if (config_.api.bind.empty() && config_.api.tls) {
            add("api.tls", "api.tls is set, but api.bind is \"\"; remove it, or name an address");
        }
        const auto bind = parse_bind(config_.api.bind);
        if (bind && !bind->is_loopback() && !config_.api.tls && !config_.api.users_file.empty()) {
            add("api.bind",
                fmt::format("api.bind is \"{}\", where passwords would travel in the clear; add "
                            "api.tls, or use 127.0.0.1",
                            config_.api.bind));
        }
    }
    void memory() {
        if (complaints_.has_at("memory")) return;
        const Memory& memory = config_.memory;
        if (memory.disconnect_slow_at < memory.drop_qos0_at) {
            add("memory.disconnect_slow_at",
                fmt::format("memory.disconnect_slow_at is {}, below memory.drop_qos0_at, which is "
                            "{}; messages go before clients do",
                            memory.disconnect_slow_at, memory.drop_qos0_at));
        }
    }

    const Config& config_;
    Complaints& complaints_;
    std::set<std::string, std::less<>> tenants_;
    std::set<std::string, std::less<>> methods_;
    bool tenants_known_ = true;
    bool methods_known_ = true;
};

}  // namespace

void check_config(const Config& config, const std::optional<std::vector<std::string>>& tenants,
                  Complaints& complaints) {
    Checker{config, tenants, complaints}.all();
}

}  // namespace mitu::config
