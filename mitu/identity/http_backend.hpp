#pragma once
// HttpBackend: asks somebody else's service who a client is. The part without HTTP: what to send,
// what an answer means, what is remembered, and what happens while the service is down.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "mitu/base/mutex.hpp"
#include "mitu/base/result.hpp"
#include "mitu/base/thread_annotations.hpp"
#include "mitu/identity/circuit.hpp"
#include "mitu/identity/login.hpp"
#include "mitu/identity/verdict_cache.hpp"

namespace mitu::identity {

/// What a login gets while the backend cannot be asked. The operator's choice: each is wrong for
/// somebody.
enum class WhenDown : std::uint8_t {
    deny,          // nobody comes in
    ignore,        // the next method of the chain is asked
    allow_cached,  // who was let in within `stale_ttl`, with the same credentials
};

struct HttpBackendOptions {
    VerdictCacheOptions cache;
    CircuitOptions circuit;
    WhenDown when_down = WhenDown::deny;
    /// The peer's address is told too. Then it is part of the question, so that a client whose
    /// address changes is asked for anew.
    bool send_peer = true;
    /// By GET, the login in the query. A password stands in a URL then, which servers and proxies
    /// like to log; POST is better wherever there is a choice.
    bool asks_by_get = false;
};

/// The JSON that is sent: client_id, user_name, password (password_base64 where it is not UTF-8),
/// tenant, listener, peer, certificate {fingerprint, common_name}; what the login lacks is left
/// out.
[[nodiscard]] std::string write_login(const Login& login, bool with_peer);

/// The same for a query: "?client_id=dev-1&user_name=ann"; of the certificate
/// certificate_fingerprint and certificate_common_name. Whatever RFC 3986 does not call unreserved
/// is escaped, so nothing a client says adds a parameter.
[[nodiscard]] std::string write_query(const Login& login, bool with_peer);

/// What the backend's reply says.
///   200  JSON: result "allow", "deny" or "ignore", and for allow perhaps user, tenant, client_id,
///        class, acl (access_json.hpp), expire_at (seconds since 1970). Other members say nothing:
///        there are no superusers.
///   204  allow
///   401, 403  deny
/// Errors  the reply is no answer: another status, another shape. For the log.
[[nodiscard]] Result<Verdict, std::string> read_reply(const BackendReply& reply, const Login& login,
                                                      const Now& now);

/// Threading  any thread.
class HttpBackend : public std::enable_shared_from_this<HttpBackend> {
public:
    /// `key`: random, made at start. Shared, because answers that come late find their way back.
    [[nodiscard]] static std::shared_ptr<HttpBackend> create(const HttpBackendOptions& options,
                                                             const SecretKey& key);

    /// Allow, Deny and Ignore come from memory or from when_down; otherwise there is something to
    /// ask, and BackendWork::finish takes the reply.
    [[nodiscard]] Answer ask(std::shared_ptr<const Login> login, const Now& now)
        MITU_EXCLUDES(mutex_);

    struct Status {
        CircuitState state = CircuitState::closed;
        std::uint32_t in_flight = 0;
        std::size_t cached = 0;
        std::string last_error;  // of the last reply that was no answer
    };
    [[nodiscard]] Status status(Instant now) const MITU_EXCLUDES(mutex_);
    /// Forgets all verdicts.
    void forget() MITU_EXCLUDES(mutex_);

private:
    class Question;
    HttpBackend(const HttpBackendOptions& options, const SecretKey& key);

    [[nodiscard]] KeyedDigest key_of(const Login& login) const;
    [[nodiscard]] Verdict finish(const KeyedDigest& key, const Login& login,
                                 const BackendReply& reply, const Now& now) MITU_EXCLUDES(mutex_);
    void abandon(Instant now) MITU_EXCLUDES(mutex_);
    [[nodiscard]] Verdict verdict_when_down(const KeyedDigest& key, const Now& now, bool is_busy,
                                            std::string why) MITU_REQUIRES(mutex_);

    const HttpBackendOptions options_;
    const SecretKey key_;
    mutable Mutex mutex_;
    Circuit circuit_ MITU_GUARDED_BY(mutex_);
    VerdictCache cache_ MITU_GUARDED_BY(mutex_);
    std::string last_error_ MITU_GUARDED_BY(mutex_);
};

}  // namespace mitu::identity
