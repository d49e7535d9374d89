#pragma once
// KeySet: the keys that tokens are checked with: a JWKS document, PEM files, shared secrets.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/result.hpp"

namespace mitu::identity {

struct JoseKey;

/// Shape      at most 256 keys.
/// Threading  immutable, shared by copying.
class KeySet {
public:
    KeySet() = default;  // no key: no token is right

    /// A JWKS document (RFC 7517). Keys that tokens cannot be checked with (another type or curve,
    /// for encryption) are left out with a warning: issuers add such keys when they like.
    /// Errors  no JSON, no `keys`, a key of a known type that is broken (named by place and kid),
    ///         or no key that is of use.
    [[nodiscard]] static Result<KeySet, std::string> from_jwks(std::string_view json);
    /// One or more PEM blocks: PUBLIC KEY or CERTIFICATE. `kid`: for tokens that name one.
    [[nodiscard]] static Result<KeySet, std::string> from_pem(std::string_view pem,
                                                              std::string kid = {});
    /// An HMAC secret of at least 32 bytes (48 for HS384, 64 for HS512).
    [[nodiscard]] static Result<KeySet, std::string> from_secret(std::string_view secret,
                                                                 std::string kid = {});

    /// These keys and the other set's.
    [[nodiscard]] KeySet with(const KeySet& other) const;

    [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }
    [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }
    [[nodiscard]] const std::vector<std::shared_ptr<const JoseKey>>& keys() const noexcept {
        return keys_;
    }

private:
    std::vector<std::shared_ptr<const JoseKey>> keys_;
    std::vector<std::string> warnings_;
};

}  // namespace mitu::identity
