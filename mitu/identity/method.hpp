#pragma once
// Method: one way to find out who a client is. The chain asks one after the other.

#include <memory>
#include <optional>
#include <string_view>

#include "mitu/identity/jwt.hpp"
#include "mitu/identity/login.hpp"
#include "mitu/identity/scram_verifier.hpp"

namespace mitu::identity {

class HttpBackend;
class KeySource;
class PasswordFile;
class UserTable;

struct ScramUser {
    ScramVerifier verifier;
    Identity identity;
};

/// Threading  immutable; any thread. What changes (a file, the users) makes a new method.
class Method {
public:
    virtual ~Method() = default;
    /// For logs: `password_file`.
    [[nodiscard]] virtual std::string_view name() const noexcept = 0;
    /// Quick: fit for a shard. What is not quick is SlowWork or BackendWork.
    [[nodiscard]] virtual Answer ask(const std::shared_ptr<const Login>& login,
                                     const Now& now) const = 0;
    /// The user's SCRAM verifier, where this method has one.
    [[nodiscard]] virtual std::optional<ScramUser> find_scram(std::string_view /*tenant*/,
                                                              std::string_view /*user*/) const {
        return std::nullopt;
    }
};
using MethodPtr = std::shared_ptr<const Method>;

/// Users of a password file. An unknown user, or one of another tenant, is left to the next method;
/// a wrong password is not.
[[nodiscard]] MethodPtr make_password_file_method(std::shared_ptr<const PasswordFile> file);

/// The built-in users, in the same way. Where the login's tenant is not known, a name that only one
/// tenant has is enough.
[[nodiscard]] MethodPtr make_user_table_method(std::shared_ptr<const UserTable> users);

struct JwtMethodOptions {
    KeySet keys;
    std::shared_ptr<const KeySource> source;  // instead of `keys`: those that it has just now
    JwtRules rules;
    bool token_is_user_name = false;  // the token is in the user name, not in the password
};
/// What does not look like a token is left to the next method; a token that is wrong is not.
/// With a `source`, a token whose key is not there is BackendWork without a request: it waits for
/// the fetch that may bring the key, and `finish` looks again.
[[nodiscard]] MethodPtr make_jwt_method(JwtMethodOptions options);

/// The certificate that TLS has verified. Clients without one are left to the next method.
[[nodiscard]] MethodPtr make_certificate_method(CertificateRules rules);

[[nodiscard]] MethodPtr make_http_method(std::shared_ptr<HttpBackend> backend);

}  // namespace mitu::identity
